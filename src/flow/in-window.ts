/** Calls at once, for whoever has no reason for another number. */
const WINDOW = 16;

/** Works on the items, at most `atOnce` at a time; results in the items' order. The first failure ends it. */
export async function inWindow<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
  atOnce: number = WINDOW,
): Promise<Result[]> {
  const results: Result[] = [];
  const left = items.entries();
  const next = async (): Promise<void> => {
    for (const [index, item] of left) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, next));
  return results;
}
