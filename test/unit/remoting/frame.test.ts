import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ProtocolError } from '../../../src/errors.ts';
import type { RemotingCommand } from '../../../src/remoting/command.ts';
import { decodeFrame, encodeFrame } from '../../../src/remoting/frame.ts';
import { FrameDecoder } from '../../../src/remoting/frame-decoder.ts';
import { frameVectors } from '../../support/vectors.ts';

const ROUTE_REQUEST: RemotingCommand = {
  code: 105,
  language: 'OTHER',
  version: 401,
  opaque: 7,
  flag: 0,
  remark: undefined,
  extFields: { topic: 'T' },
  body: Buffer.alloc(0),
};

/** A frame with any header bytes, well measured. */
function frameOf(type: number, header: Buffer | string, body = ''): Buffer {
  const bytes = Buffer.from(header);
  const prefix = Buffer.alloc(8);
  prefix.writeInt32BE(4 + bytes.length + body.length, 0);
  prefix.writeUInt32BE(type * 0x1000000 + bytes.length, 4);
  return Buffer.concat([prefix, bytes, Buffer.from(body)]);
}

describe('frames of Java', () => {
  for (const [index, vector] of frameVectors().entries()) {
    it(`${index}: ${vector.serializeType} code ${vector.decoded.code}`, () => {
      const frame = Buffer.from(vector.frame, 'base64');
      const { code, language, version, opaque, flag, remark, extFields, body } = vector.decoded;
      const expected = {
        code,
        language,
        version,
        opaque,
        flag,
        remark: remark ?? undefined,
        extFields: extFields ?? {},
      };
      const { body: decodedBody, ...decoded } = decodeFrame(frame);
      assert.deepEqual(decoded, expected);
      assert.equal(decodedBody.toString('base64'), body ?? '');
      assert.deepEqual(decodeFrame(encodeFrame({ ...decoded, body: decodedBody }, 'JSON')), {
        ...expected,
        body: decodedBody,
      });
      assert.deepEqual(decodeFrame(encodeFrame({ ...decoded, body: decodedBody }, 'ROCKETMQ')), {
        ...expected,
        body: decodedBody,
      });
    });
  }

  it('are written byte for byte alike in binary', () => {
    for (const vector of frameVectors().filter(
      ({ serializeType }) => serializeType === 'ROCKETMQ',
    )) {
      const frame = Buffer.from(vector.frame, 'base64');
      assert.equal(
        encodeFrame(decodeFrame(frame), 'ROCKETMQ').toString('hex'),
        frame.toString('hex'),
      );
    }
  });
});

describe('encodeFrame', () => {
  it('writes the reference request in JSON', () => {
    const json =
      '{"code":105,"extFields":{"topic":"T"},"flag":0,"language":"OTHER","opaque":7,"serializeTypeCurrentRPC":"JSON","version":401}';
    assert.equal(encodeFrame(ROUTE_REQUEST).toString('latin1'), `\0\0\0\x80\0\0\0\x7c${json}`);
  });

  it('writes the reference request in binary', () => {
    const hex =
      '00000025010000210069070191000000070000000000000000' + '0000000c0005746f7069630000000154';
    assert.equal(encodeFrame(ROUTE_REQUEST, 'ROCKETMQ').toString('hex'), hex);
  });

  it('refuses in binary a code that has more than 16 bits, and takes it in JSON', () => {
    const pop = { ...ROUTE_REQUEST, code: 200050 };
    assert.throws(() => encodeFrame(pop, 'ROCKETMQ'), {
      name: 'ProtocolError',
      message: /200050 does not fit/,
    });
    assert.equal(decodeFrame(encodeFrame(pop)).code, 200050);
  });

  it('refuses a header over 24 bits', () => {
    assert.throws(
      () => encodeFrame({ ...ROUTE_REQUEST, remark: 'x'.repeat(2 ** 24) }),
      ProtocolError,
    );
  });

  it('keeps a field named __proto__ a field', () => {
    const extFields = JSON.parse('{"__proto__":"x","a":"b"}') as Record<string, string>;
    for (const type of ['JSON', 'ROCKETMQ'] as const) {
      const decoded = decodeFrame(encodeFrame({ ...ROUTE_REQUEST, extFields }, type)).extFields;
      assert.deepEqual(Object.entries(decoded), Object.entries(extFields));
      assert.equal(Object.getPrototypeOf(decoded), Object.prototype);
    }
  });
});

describe('decodeFrame', () => {
  it('gives a view of the frame as body', () => {
    const frame = encodeFrame({ ...ROUTE_REQUEST, body: Buffer.from('body') });
    const { body } = decodeFrame(frame);
    frame.write('B', frame.length - 4);
    assert.equal(body.toString(), 'Body');
  });

  it('takes ext values that are no strings, and skips null', () => {
    const frame = frameOf(
      0,
      '{"code":1,"flag":1,"opaque":2,"version":3,"remark":null,"extFields":{"a":1,"b":true,"c":null,"d":"x"}}',
    );
    assert.deepEqual(decodeFrame(frame).extFields, { a: '1', b: 'true', d: 'x' });
    assert.equal(decodeFrame(frame).remark, undefined);
    assert.equal(decodeFrame(frame).language, 'OTHER');
  });

  it('names a language that came later OTHER', () => {
    const frame = encodeFrame({ ...ROUTE_REQUEST, language: 'KLINGON' }, 'ROCKETMQ');
    assert.equal(decodeFrame(frame).language, 'OTHER');
    frame.writeUInt8(99, 10);
    assert.equal(decodeFrame(frame).language, 'OTHER');
  });

  const binary = encodeFrame(ROUTE_REQUEST, 'ROCKETMQ');
  const broken: Record<string, Buffer> = {
    'an empty buffer': Buffer.alloc(0),
    'seven bytes': Buffer.from([0, 0, 0, 3, 0, 0, 0]),
    'a length that is not the frame’s': Buffer.concat([
      encodeFrame(ROUTE_REQUEST),
      Buffer.from('x'),
    ]),
    'a header longer than the frame': Buffer.from('00000004000000ff', 'hex'),
    'an unknown header type': frameOf(2, '{}'),
    'a header that is no JSON': frameOf(0, '{"code":'),
    'a header that is an array': frameOf(0, '[1]'),
    'a header that is null': frameOf(0, 'null'),
    'ext fields that are an array': frameOf(0, '{"code":1,"extFields":[1]}'),
    'a code that is text': frameOf(0, '{"code":"1"}'),
    'a cut binary header': frameOf(1, binary.subarray(8, 20)),
    'binary fields longer than the header': frameOf(
      1,
      Buffer.concat([binary.subarray(8, 25), Buffer.from([0, 0, 0, 99]), binary.subarray(29)]),
    ),
    'binary fields of negative length': frameOf(
      1,
      Buffer.concat([binary.subarray(8, 25), Buffer.from([255, 0, 0, 0]), binary.subarray(29)]),
    ),
    'a value beyond the fields': frameOf(
      1,
      Buffer.concat([binary.subarray(8, 36), Buffer.from([0, 0, 9, 9]), binary.subarray(40)]),
    ),
  };
  for (const [what, frame] of Object.entries(broken))
    it(`refuses ${what}`, () => assert.throws(() => decodeFrame(frame), ProtocolError));
});

describe('headers beyond their bounds', () => {
  const command = { ...ROUTE_REQUEST, flag: 1 };

  it('of more than 1 MiB are refused as soon as their length is there', () => {
    const frame = encodeFrame({ ...command, extFields: { a: 'x'.repeat(1024 * 1024) } });
    assert.throws(() => decodeFrame(frame), /frame header of \d+ bytes, more than 1048576/);
    const decoder = new FrameDecoder({ wants: () => true });
    assert.throws(() => decoder.push(frame.subarray(0, 100)), /frame header of/);
  });

  for (const type of ['JSON', 'ROCKETMQ'] as const)
    it(`with more than 1,000 fields are refused (${type})`, () => {
      const fields = (count: number) =>
        Object.fromEntries(Array.from({ length: count }, (_, n) => [`f${n}`, '']));
      const framed = (count: number) => encodeFrame({ ...command, extFields: fields(count) }, type);
      assert.equal(Object.keys(decodeFrame(framed(1_000)).extFields).length, 1_000);
      assert.throws(() => decodeFrame(framed(1_001)), /ext fields/);
    });
});
