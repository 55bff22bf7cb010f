import type { Random } from '../../simulator/kernel/random.ts';

/** Longer inputs are made now and then only: most faults of parsers need few bytes. */
const MAX_BYTES = 8 * 1024;
const MAX_LARGE_BYTES = 256 * 1024;
const LARGE_EVERY = 5_000;
const MAX_EDITS = 6;
const BYTES = [0, 1, 2, 0x20, 0x22, 0x7f, 0x80, 0xff];
const LENGTHS = [0, 1, -1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, -0x80000000, 0x10000];
/** What lengths, numbers and texts of the formats are made of. */
const TOKENS = [
  ...['{', '}', '[', ']', '"', ':', ',', '\\', "'", '(', ')', '0', '-1', '1e9', '65536', '10001'],
  ...['null', 'true', '__proto__', 'constructor', '9223372036854775807', '99999999999999999999'],
  ...['\u0001', '\u0002', '\u0000', '\u202e', '\ud800', '\n', '\u001b[2J', 'é', '😀', '%RETRY%'],
  ...[' AND ', ' OR ', ' NOT ', ' IS NULL', ' BETWEEN 1 AND 2', ' IN (', '/*', '*/', '--', '||'],
  ...['127.0.0.1:1', '[::1]:1', '0x7f.1:1', '@', '#', '/', '%', '|', ';', '=', ' '],
].map((text) => Buffer.from(text));

/** One of the samples with some edits: changed bytes and lengths, tokens, pieces cut out, repeated or taken from another sample. */
export function mutate(samples: readonly Buffer[], random: Random): Buffer {
  let bytes: Buffer = Buffer.from(random.pick(samples));
  const edits = random.int(1, MAX_EDITS);
  for (let edit = 0; edit < edits; edit++) bytes = change(bytes, samples, random);
  if (random.int(1, LARGE_EVERY) > 1) return bytes.subarray(0, MAX_BYTES);
  const piece = pieceOf(bytes, random);
  const times = piece.length === 0 ? 0 : Math.floor(MAX_LARGE_BYTES / piece.length);
  return insert(bytes, Buffer.concat(Array.from({ length: times }, () => piece)), random);
}

function change(bytes: Buffer, samples: readonly Buffer[], random: Random): Buffer {
  const at = placeIn(bytes, random);
  switch (random.int(0, 8)) {
    case 0:
      if (at < bytes.length) bytes[at] = random.pick(BYTES);
      return bytes;
    case 1:
      if (at < bytes.length) bytes[at] = random.int(0, 255);
      return bytes;
    case 2:
      if (at + 4 <= bytes.length) bytes.writeInt32BE(random.pick(LENGTHS), at);
      return bytes;
    case 3:
      if (at + 2 <= bytes.length) bytes.writeUInt16BE(random.pick(LENGTHS) & 0xffff, at);
      return bytes;
    case 4:
      return insert(bytes, random.pick(TOKENS), random);
    case 5:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + random.int(1, 40))]);
    case 6: {
      const piece = pieceOf(bytes, random);
      const copies = Array.from({ length: random.int(1, 20) }, () => piece);
      return insert(bytes, Buffer.concat(copies), random);
    }
    case 7:
      return insert(bytes, pieceOf(random.pick(samples), random), random);
    default:
      return Buffer.from(bytes.subarray(0, at));
  }
}

/** Half of the edits go to the front, where the lengths are. */
function placeIn(bytes: Buffer, random: Random): number {
  return random.int(0, random.chance(0.5) ? Math.min(bytes.length, 100) : bytes.length);
}

function pieceOf(bytes: Buffer, random: Random): Buffer {
  const from = random.int(0, bytes.length);
  return bytes.subarray(from, from + random.int(1, 200));
}

function insert(bytes: Buffer, piece: Buffer, random: Random): Buffer {
  const at = placeIn(bytes, random);
  return Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at)]);
}
