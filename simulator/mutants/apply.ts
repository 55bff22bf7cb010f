import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import { MUTANTS } from './mutants.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/**
 * From now on this thread loads the product with the mutation in it. The product's files know nothing of it.
 * @throws when there is no such mutant, or (at loading) when its text is not in its file exactly once
 */
export function applyMutant(name: string): void {
  const mutant = MUTANTS.find((one) => one.name === name);
  if (mutant === undefined)
    throw new RangeError(
      `no mutant "${name}": choose from ${MUTANTS.map((one) => one.name).join(', ')}`,
    );
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      const edits = [mutant, ...(mutant.also === undefined ? [] : [mutant.also])].filter(
        ({ file }) => url.startsWith('file:') && fileURLToPath(url) === `${ROOT}${file}`,
      );
      if (edits.length === 0) return loaded;
      let source = Buffer.from((loaded.source ?? '') as Uint8Array).toString();
      for (const edit of edits) source = edited(source, name, edit);
      return { ...loaded, source };
    },
  });
}

/** @throws when the text to replace is not there exactly once */
export function edited(
  source: string,
  name: string,
  {
    file,
    find,
    replace,
  }: { readonly file: string; readonly find: string; readonly replace: string },
): string {
  const parts = source.split(find);
  if (parts.length !== 2)
    throw new Error(
      `mutant "${name}": its text stands ${parts.length - 1} times in ${file}: adapt it to the present code`,
    );
  return parts.join(replace);
}
