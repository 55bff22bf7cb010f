const P1 = 0x9e3779b1;
const P2 = 0x85ebca77;
const P3 = 0xc2b2ae3d;
const P4 = 0x27d4eb2f;
const P5 = 0x165667b1;
const rotate = (value: number, bits: number): number => (value << bits) | (value >>> (32 - bits));

/** xxHash32 with seed 0, unsigned: LZ4 frames check themselves with it. */
export function xxh32(data: Buffer): number {
  let at = 0;
  let hash: number;
  if (data.length >= 16) {
    let v1 = (P1 + P2) | 0;
    let v2 = P2 | 0;
    let v3 = 0;
    let v4 = -P1 | 0;
    const round = (lane: number, word: number): number =>
      Math.imul(rotate((lane + Math.imul(word, P2)) | 0, 13), P1);
    for (; at <= data.length - 16; at += 16) {
      v1 = round(v1, data.readInt32LE(at));
      v2 = round(v2, data.readInt32LE(at + 4));
      v3 = round(v3, data.readInt32LE(at + 8));
      v4 = round(v4, data.readInt32LE(at + 12));
    }
    hash = (rotate(v1, 1) + rotate(v2, 7) + rotate(v3, 12) + rotate(v4, 18)) | 0;
  } else hash = P5 | 0;
  hash = (hash + data.length) | 0;
  for (; at <= data.length - 4; at += 4)
    hash = Math.imul(rotate((hash + Math.imul(data.readInt32LE(at), P3)) | 0, 17), P4);
  for (; at < data.length; at++)
    hash = Math.imul(rotate((hash + Math.imul(data[at] as number, P5)) | 0, 11), P1);
  hash = Math.imul(hash ^ (hash >>> 15), P2);
  hash = Math.imul(hash ^ (hash >>> 13), P3);
  return (hash ^ (hash >>> 16)) >>> 0;
}
