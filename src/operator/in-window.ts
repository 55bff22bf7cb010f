/** Requests at once. */
const WINDOW = 16;

/** Works on the items, some at a time; results in the items' order. The first failure ends it. */
export async function inWindow<Item, Result>(items: readonly Item[], work: (item: Item) => Promise<Result>): Promise<Result[]> {
  const results: Result[] = [];
  const left = [...items.entries()];
  const next = async (): Promise<void> => {
    for (let entry = left.shift(); entry !== undefined; entry = left.shift()) results[entry[0]] = await work(entry[1]);
  };
  await Promise.all(Array.from({ length: Math.min(WINDOW, items.length) }, next));
  return results;
}
