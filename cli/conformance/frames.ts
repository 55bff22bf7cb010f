import type { RemotingCommand } from '../../src/remoting/command.ts';
import {
  decodeFrame,
  encodeFrame,
  LENGTH_BYTES,
  PREFIX_BYTES,
  type SerializeType,
} from '../../src/remoting/frame.ts';
import { FrameDecoder } from '../../src/remoting/frame-decoder.ts';
import type { Checker } from './checker.ts';

interface DecodedFrame {
  readonly code: number;
  readonly language: string;
  readonly version: number;
  readonly opaque: number;
  readonly flag: number;
  readonly remark: string | null;
  readonly extFields: Readonly<Record<string, string>> | null;
  readonly body: string | null;
}

interface FrameVectors {
  readonly cases: readonly {
    readonly frame: string;
    readonly serializeType: SerializeType;
    readonly decoded: DecodedFrame;
  }[];
}

/**
 * Decodes each frame as Java did, whole and byte by byte, and reads back what it writes itself. A binary frame is written as Java's to the byte;
 * of a JSON header the fields are compared, because Java's order of them is no rule.
 */
export function checkFrames({ cases }: FrameVectors, checker: Checker): void {
  cases.forEach(({ frame, serializeType, decoded }, index) => {
    checker.case(`case ${index} (${serializeType} code ${decoded.code})`, (expect) => {
      const bytes = Buffer.from(frame, 'base64');
      expect('serializeType', bytes[LENGTH_BYTES] === 0 ? 'JSON' : 'ROCKETMQ', serializeType);
      const command = decodeFrame(bytes);
      compare('', command, decoded, expect);
      const decoder = new FrameDecoder();
      const pieces = Array.from(bytes, (_, at) => decoder.push(bytes.subarray(at, at + 1))).flat();
      expect('frames in single bytes', pieces.length, 1);
      if (pieces[0] !== undefined) compare('in single bytes: ', pieces[0], decoded, expect);
      for (const type of ['JSON', 'ROCKETMQ'] as const)
        compare(
          `written and read as ${type}: `,
          decodeFrame(encodeFrame(command, type)),
          decoded,
          expect,
        );
      const written = encodeFrame(command, serializeType);
      if (serializeType === 'JSON')
        expect('written header', jsonHeader(written), jsonHeader(bytes));
      else expect('written frame', written.toString('base64'), frame);
    });
  });
}

function compare(
  prefix: string,
  actual: RemotingCommand,
  expected: DecodedFrame,
  expect: (field: string, actual: unknown, expected: unknown) => void,
): void {
  for (const field of ['code', 'language', 'version', 'opaque', 'flag'] as const)
    expect(prefix + field, actual[field], expected[field]);
  expect(`${prefix}remark`, actual.remark, expected.remark ?? undefined);
  expect(`${prefix}extFields`, { ...actual.extFields }, { ...expected.extFields });
  expect(`${prefix}body`, actual.body.toString('base64'), expected.body ?? '');
}

function jsonHeader(frame: Buffer): unknown {
  const length = frame.readInt32BE(LENGTH_BYTES);
  return JSON.parse(frame.toString('utf8', PREFIX_BYTES, PREFIX_BYTES + length));
}
