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
      if (!url.startsWith('file:') || fileURLToPath(url) !== `${ROOT}${mutant.file}`) return loaded;
      const source = Buffer.from((loaded.source ?? '') as Uint8Array).toString();
      return { ...loaded, source: mutated(source, mutant) };
    },
  });
}

interface Replacement {
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** @throws when the text to replace is not there exactly once */
export function mutated(source: string, { name, file, find, replace }: Replacement): string {
  const parts = source.split(find);
  if (parts.length !== 2)
    throw new Error(
      `mutant "${name}": its text stands ${parts.length - 1} times in ${file}: adapt it to the present code`,
    );
  return parts.join(replace);
}
