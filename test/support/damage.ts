import fc from 'fast-check';

/** The bytes in pieces: each place, modulo the length, is a cut. */
export function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...places.map((place) => place % (bytes.length + 1)), bytes.length].sort(
    (a, b) => a - b,
  );
  return ends.map((end, n) => bytes.subarray(ends[n - 1] ?? 0, end));
}

/** One of the samples with some bytes changed (also to the extremes that lengths are made of), or a piece cut out, doubled or appended. */
export function damaged(samples: readonly Buffer[]): fc.Arbitrary<Buffer> {
  const byte = fc.oneof(fc.constantFrom(0, 1, 0x7f, 0x80, 0xff), fc.integer({ min: 0, max: 255 }));
  const edit = fc.record({ at: fc.nat(), to: byte });
  const piece = fc.record({
    from: fc.nat(),
    length: fc.nat({ max: 40 }),
    copies: fc.constantFrom(0, 0, 2),
  });
  return fc
    .record({
      sample: fc.constantFrom(...samples),
      edits: fc.array(edit, { maxLength: 6 }),
      piece: fc.option(piece),
      tail: fc.uint8Array({ maxLength: 8 }),
    })
    .map(({ sample, edits, piece: change, tail }) => {
      const bytes = Buffer.from(sample);
      // Half of the edits go to the front, where the lengths are.
      for (const { at, to } of edits)
        bytes[at % (at % 2 === 0 ? Math.min(bytes.length, 100) : bytes.length)] = to;
      if (change === null) return Buffer.concat([bytes, tail]);
      const from = change.from % bytes.length;
      const taken = bytes.subarray(from, from + change.length);
      return Buffer.concat([
        bytes.subarray(0, from),
        ...Array.from({ length: change.copies }, () => taken),
        bytes.subarray(from + change.length),
      ]);
    });
}
