/** Runs work when its turn has come. */
export type AtMost = <Result>(work: () => Promise<Result>) => Promise<Result>;

/** At most so many pieces of work at once, in the order in which they come. */
export function atMost(count: number): AtMost {
  const waiting: (() => void)[] = [];
  let free = count;
  return async (work) => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) free++;
      else next();
    }
  };
}
