import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LimitExceededError, ProtocolError } from '../../../src/errors.ts';
import type { RemotingCommand } from '../../../src/remoting/command.ts';
import { decodeFrame, encodeFrame } from '../../../src/remoting/frame.ts';
import { FrameDecoder } from '../../../src/remoting/frame-decoder.ts';
import { frameVectors } from '../../support/vectors.ts';

const FRAMES = frameVectors().map(({ frame }) => Buffer.from(frame, 'base64'));
const STREAM = Buffer.concat(FRAMES);
const EXPECTED = FRAMES.map(decodeFrame);

function inChunks(stream: Buffer, size: number): RemotingCommand[] {
  const decoder = new FrameDecoder();
  const commands: RemotingCommand[] = [];
  for (let at = 0; at < stream.length; at += size)
    commands.push(...decoder.push(stream.subarray(at, at + size)));
  assert.equal(decoder.buffered, 0);
  return commands;
}

function commandOf(bodyBytes: number): RemotingCommand {
  return {
    code: 0,
    language: 'JAVA',
    version: 493,
    opaque: 1,
    flag: 1,
    remark: undefined,
    extFields: {},
    body: Buffer.alloc(bodyBytes, 'b'),
  };
}

describe('FrameDecoder', () => {
  for (const size of [1, 2, 3, 4, 5, 7, 8, 9, 63, 500, 1460, 4096, STREAM.length])
    it(`cuts the vectors from chunks of ${size}`, () =>
      assert.deepEqual(inChunks(STREAM, size), EXPECTED));

  it('cuts two frames at every place', () => {
    const two = Buffer.concat(FRAMES.slice(0, 2));
    for (let cut = 0; cut <= two.length; cut++) {
      const decoder = new FrameDecoder();
      assert.deepEqual(
        [...decoder.push(two.subarray(0, cut)), ...decoder.push(two.subarray(cut))],
        EXPECTED.slice(0, 2),
      );
    }
  });

  it('gives a command as soon as its last byte is there', () => {
    const decoder = new FrameDecoder();
    const frame = FRAMES[0] as Buffer;
    assert.deepEqual(decoder.push(frame.subarray(0, -1)), []);
    assert.equal(decoder.buffered, frame.length - 1);
    assert.equal(decoder.push(frame.subarray(-1)).length, 1);
    assert.equal(decoder.buffered, 0);
  });

  it('decodes in place a frame that lies whole in its chunk', () => {
    const frame = encodeFrame(commandOf(8));
    const [command] = new FrameDecoder().push(frame);
    frame.write('X', frame.length - 8);
    assert.equal(command?.body.toString(), 'Xbbbbbbb');
  });

  it('keeps the bodies of gathered frames apart', () => {
    const frames = [1, 2, 3].map((n) =>
      encodeFrame({ ...commandOf(50), body: Buffer.alloc(50, String(n)) }),
    );
    const bodies = inChunks(Buffer.concat(frames), 11).map(({ body }) => body.toString());
    assert.deepEqual(bodies, ['1'.repeat(50), '2'.repeat(50), '3'.repeat(50)]);
  });

  it('takes a frame of exactly the limit and refuses one byte more, before the rest has come', () => {
    const frame = encodeFrame(commandOf(100));
    assert.equal(new FrameDecoder({ maxFrameBytes: frame.length }).push(frame).length, 1);
    const decoder = new FrameDecoder({ maxFrameBytes: frame.length - 1 });
    assert.throws(() => decoder.push(frame.subarray(0, 4)), LimitExceededError);
  });

  it('allocates by what came, not by what was announced', () => {
    const before = process.memoryUsage().arrayBuffers;
    const prefix = Buffer.from('00fffff000000010', 'hex');
    const decoders = Array.from({ length: 200 }, () => new FrameDecoder());
    for (const decoder of decoders) decoder.push(prefix);
    assert.ok(process.memoryUsage().arrayBuffers - before < 16 * 1024 * 1024, 'announced 3.2 GB');
  });

  for (const [what, hex] of [
    ['a length below its own header', '00000003'],
    ['a negative length', 'ffffffff'],
    ['an HTTP answer', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n').toString('hex')],
    ['a TLS alert', '15030300020228'],
    ['a header longer than its frame', '0000000400ffffff'],
  ] as const)
    it(`refuses ${what} and everything after it`, () => {
      const decoder = new FrameDecoder();
      const isOurs = (error: unknown) =>
        error instanceof ProtocolError || error instanceof LimitExceededError;
      assert.throws(() => decoder.push(Buffer.from(hex, 'hex')), isOurs);
      assert.throws(() => decoder.push(FRAMES[0] as Buffer), isOurs);
      assert.equal(decoder.buffered, 0);
    });

  it('gives the good frames before a bad one in the same chunk, then fails for good', () => {
    const decoder = new FrameDecoder();
    assert.deepEqual(
      decoder.push(
        Buffer.concat([FRAMES[0] as Buffer, FRAMES[1] as Buffer, Buffer.from('00000003', 'hex')]),
      ),
      EXPECTED.slice(0, 2),
    );
    assert.ok(decoder.failure instanceof ProtocolError);
    assert.throws(() => decoder.push(FRAMES[0] as Buffer), ProtocolError);
  });

  it('takes time in proportion to the bytes when they come one by one', () => {
    const timeOf = (bytes: number): number => {
      const frame = encodeFrame(commandOf(bytes));
      const start = process.hrtime.bigint();
      inChunks(frame, 1);
      return Number(process.hrtime.bigint() - start);
    };
    timeOf(100_000);
    const small = Math.min(timeOf(200_000), timeOf(200_000), timeOf(200_000));
    const large = Math.min(timeOf(1_600_000), timeOf(1_600_000));
    assert.ok(large < small * 8 * 5, `8 times the bytes took ${large / small} times the time`);
  });

  for (const size of [1, 3, 7, 64, 200, 1_000, 5_000])
    it(`passes over bodies that are not wanted, in chunks of ${size}`, () => {
      const bodies = [0, 1, 300, 0, 2_000, 40];
      const stream = Buffer.concat(
        bodies.map((bytes, opaque) => encodeFrame({ ...commandOf(bytes), opaque })),
      );
      for (const unwanted of bodies) {
        const decoder = new FrameDecoder({ wants: (_head, bytes) => bytes !== unwanted });
        const commands: RemotingCommand[] = [];
        for (let at = 0; at < stream.length; at += size)
          commands.push(...decoder.push(stream.subarray(at, at + size)));
        const found = commands.map(({ opaque, body, droppedBytes }) => [
          opaque,
          droppedBytes ?? body.length,
          droppedBytes !== undefined,
        ]);
        const expected = bodies.map((bytes, at) => [at, bytes, bytes > 0 && bytes === unwanted]);
        assert.deepEqual(found, expected);
        assert.equal(decoder.buffered, 0);
      }
    });

  it('holds nothing of a body that is passed over', () => {
    const decoder = new FrameDecoder({ wants: () => false });
    const frame = encodeFrame(commandOf(1_000_000));
    for (let at = 0; at < frame.length - 1; at += 10_000) {
      decoder.push(frame.subarray(at, Math.min(at + 10_000, frame.length - 1)));
      assert.equal(decoder.buffered, 0);
    }
    assert.equal(decoder.push(frame.subarray(-1))[0]?.droppedBytes, 1_000_000);
  });

  it('frees the buffer of a response that is not wanted any more, and reads the next frame', () => {
    const decoder = new FrameDecoder({ wants: () => true });
    const frame = encodeFrame(commandOf(100_000));
    decoder.push(frame.subarray(0, 50_000));
    decoder.dropResponse(2);
    assert.equal(decoder.buffered, 50_000);
    decoder.dropResponse(1);
    assert.equal(decoder.buffered, 0);
    const [dropped, next] = decoder.push(
      Buffer.concat([frame.subarray(50_000), encodeFrame(commandOf(3))]),
    );
    assert.deepEqual([dropped?.droppedBytes, next?.body.length], [100_000, 3]);
  });

  it('reads a body that is wanted into one buffer of its size', () => {
    const decoder = new FrameDecoder({ wants: () => true });
    const frame = encodeFrame(commandOf(100_000));
    decoder.push(frame.subarray(0, 500));
    const [command] = decoder.push(frame.subarray(500));
    assert.equal(command?.body.buffer.byteLength, frame.length);
    assert.deepEqual(command?.body, commandOf(100_000).body);
  });
});
