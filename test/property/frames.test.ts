import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { LimitExceededError, ProtocolError } from '../../src/errors.ts';
import type { RemotingCommand } from '../../src/remoting/command.ts';
import { type FastjsonValue, parseFastjson, stringifyJson } from '../../src/remoting/fastjson.ts';
import { decodeFrame, encodeFrame } from '../../src/remoting/frame.ts';
import { FrameDecoder } from '../../src/remoting/frame-decoder.ts';
import { cut, damaged } from '../support/damage.ts';
import { frameVectors } from '../support/vectors.ts';

const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const text = fc.string({ unit: 'binary', maxLength: 20 }).map((value) => value.toWellFormed());
const command: fc.Arbitrary<RemotingCommand> = fc.record(
  {
    code: fc.integer({ min: -32768, max: 32767 }),
    language: fc.constantFrom('JAVA', 'OTHER', 'GO', 'NODE_JS'),
    version: fc.integer({ min: 0, max: 32767 }),
    opaque: int32,
    flag: int32,
    remark: fc.option(text.filter(Boolean), { nil: undefined }),
    extFields: fc.dictionary(text, text).map((fields) => ({ ...fields })),
    body: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  },
  { noNullPrototype: true },
);
const FRAMES = frameVectors().map(({ frame }) => Buffer.from(frame, 'base64'));
const isOurs = (error: unknown): boolean =>
  error instanceof ProtocolError || error instanceof LimitExceededError;

/** What JSON.parse rounds. From 1e21 on numbers are written with an exponent, and are no integers any more. */
function exact(_key: string, item: unknown): unknown {
  const isRounded =
    typeof item === 'number' &&
    Number.isInteger(item) &&
    !Number.isSafeInteger(item) &&
    Math.abs(item) < 1e21;
  return isRounded ? BigInt(JSON.stringify(item)) : item;
}

function pushAll(decoder: FrameDecoder, chunks: readonly Buffer[]): RemotingCommand[] {
  return chunks.flatMap((chunk) => decoder.push(Buffer.from(chunk)));
}

describe('frames', () => {
  it('come back from either header type', () => {
    fc.assert(
      fc.property(command, fc.constantFrom('JSON' as const, 'ROCKETMQ' as const), (sent, type) => {
        assert.deepEqual(decodeFrame(encodeFrame(sent, type)), sent);
      }),
      { numRuns: 500 },
    );
  });

  it('come out of any chunking as they went in', () => {
    fc.assert(
      fc.property(
        fc.array(command, { maxLength: 6 }),
        fc.array(fc.nat(), { maxLength: 30 }),
        (sent, places) => {
          const stream = Buffer.concat(
            sent.map((one, n) => encodeFrame(one, n % 2 === 0 ? 'JSON' : 'ROCKETMQ')),
          );
          const decoder = new FrameDecoder();
          assert.deepEqual(pushAll(decoder, cut(stream, places)), sent);
          assert.equal(decoder.buffered, 0);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('of random bytes give our errors or commands, within the limits', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 400 }),
        fc.array(fc.nat(), { maxLength: 5 }),
        (bytes, places) => {
          const decoder = new FrameDecoder({ maxFrameBytes: 1000 });
          try {
            pushAll(decoder, cut(Buffer.from(bytes), places));
            assert.ok(decoder.buffered <= bytes.length);
          } catch (error) {
            assert.ok(isOurs(error), String(error));
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('of Java, damaged, give our errors or commands', () => {
    fc.assert(
      fc.property(damaged(FRAMES), fc.array(fc.nat(), { maxLength: 5 }), (bytes, places) => {
        try {
          const commands = pushAll(new FrameDecoder(), cut(bytes, places));
          for (const { code, extFields, body } of commands)
            assert.ok(
              Number.isInteger(code) && typeof extFields === 'object' && Buffer.isBuffer(body),
            );
        } catch (error) {
          assert.ok(isOurs(error), String(error));
        }
      }),
      { numRuns: 3000 },
    );
  });
});

describe('fastjson', () => {
  it('comes back from stringifyJson, integers exact', () => {
    const { value } = fc.letrec<{ value: FastjsonValue }>((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        fc.constantFrom(null, true, false),
        fc.maxSafeInteger(),
        fc
          .double({ noNaN: true, noDefaultInfinity: true })
          .filter((n) => !Object.is(n, -0) && (!Number.isInteger(n) || Number.isSafeInteger(n))),
        fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n }),
        text,
        fc.array(tie('value'), { maxLength: 4 }),
        fc.dictionary(text, tie('value'), { maxKeys: 4 }).map((fields) => ({ ...fields })),
      ),
    }));
    fc.assert(
      fc.property(value, (sent) => assert.deepEqual(parseFastjson(stringifyJson(sent)), sent)),
      { numRuns: 500 },
    );
  });

  it('agrees with JSON.parse whichever way it goes', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 3 }), (value) => {
        const json = JSON.stringify(value);
        // A bare key in front sends the text the tolerant way.
        assert.deepEqual(parseFastjson(`{0:${json}}`), { 0: JSON.parse(json, exact) });
      }),
      { numRuns: 500 },
    );
  });

  it('of random text gives our errors or values', () => {
    const dialect = fc
      .array(fc.constantFrom(...'{ } [ ] : , " \' \\ 0 1 2 9 - . e E t f n u'.split(' '), ' '), {
        maxLength: 60,
      })
      .map((chars) => chars.join(''));
    fc.assert(
      fc.property(fc.oneof(dialect, fc.string()), (source) => {
        try {
          parseFastjson(source);
        } catch (error) {
          assert.ok(isOurs(error), String(error));
        }
      }),
      { numRuns: 3000 },
    );
  });
});
