/**
 * Whole seconds since a broker made a message visible first: a delay that was asked for is not age,
 * and the clock of its producer does not count. Undefined: not older than allowed.
 * @param firstStoredAt epoch ms, by the broker's clock
 * @param maxSeconds undefined: any age is allowed
 */
export function ageBeyondLimit(
  firstStoredAt: number,
  now: number,
  maxSeconds: number | undefined,
): number | undefined {
  if (maxSeconds === undefined) return undefined;
  const age = Math.floor((now - firstStoredAt) / 1000);
  return age > maxSeconds ? age : undefined;
}
