import { nearest } from '../config/nearest.ts';
import { cut, usage } from './operator-error.ts';

const MAX_TEXT = 1_000;
const MAX_ITEMS = 1_000;
/** Properties of a message together have this length at most. */
const MAX_ITEM = 32_767;

/** The arguments of a request, read one by one. What is wrong is told by the name of its command-line option; so is what nobody reads. */
export class Arguments {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #known = new Set<string>();

  constructor(values: Readonly<Record<string, unknown>>) {
    this.#values = values;
  }

  has(name: string): boolean {
    return this.#values[name] !== undefined;
  }

  /** @param max characters */
  text(name: string, max = MAX_TEXT): string | undefined {
    const value = this.#read(name);
    if (value !== undefined && (typeof value !== 'string' || value === ''))
      return usage(`--${name} is ${show(value)}: give a text`);
    if (value !== undefined && (value as string).length > max)
      return usage(`--${name} has ${(value as string).length} characters: give ${max} at most`);
    return value as string | undefined;
  }

  required(name: string, example: string): string {
    return this.text(name) ?? usage(`--${name} is missing: give ${example}`);
  }

  flag(name: string): boolean {
    const value = this.#read(name) ?? false;
    return typeof value === 'boolean'
      ? value
      : usage(`--${name} is ${show(value)}: it is true or false`);
  }

  whole(name: string, least: number, most: number): number | undefined {
    const value = this.#read(name);
    if (value === undefined) return undefined;
    const number = typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value;
    if (typeof number !== 'number' || !Number.isInteger(number) || number < least || number > most)
      return usage(`--${name} is ${show(value)}: give a whole number from ${least} to ${most}`);
    return number;
  }

  offset(name: string): bigint | undefined {
    const value = this.#read(name);
    if (value === undefined) return undefined;
    const text = typeof value === 'string' || typeof value === 'number' ? String(value) : '';
    return /^\d{1,19}$/.test(text)
      ? BigInt(text)
      : usage(`--${name} is ${show(value)}: give an offset, a whole number from 0 on`);
  }

  /** Epoch milliseconds; commands turn what people write into them. */
  time(name: string): number | undefined {
    return this.whole(name, 0, Number.MAX_SAFE_INTEGER);
  }

  list(name: string): string[] | undefined {
    const value = this.#read(name);
    if (value === undefined) return undefined;
    if (
      !Array.isArray(value) ||
      value.length === 0 ||
      value.length > MAX_ITEMS ||
      !value.every((item) => typeof item === 'string' && item !== '' && item.length <= MAX_ITEM)
    )
      return usage(
        `--${name} is ${show(value)}: give 1 to ${MAX_ITEMS} texts of ${MAX_ITEM} characters at most`,
      );
    return value;
  }

  choice<const Choice extends string>(
    name: string,
    choices: readonly Choice[],
  ): Choice | undefined {
    const value = this.text(name);
    if (value === undefined || (choices as readonly string[]).includes(value))
      return value as Choice | undefined;
    return usage(
      `--${name} is "${cut(value)}"${didYouMean(value, choices)}: give ${choices.join(' or ')}`,
    );
  }

  /** @throws OperatorError for what was given and not read */
  finish(): void {
    for (const name of Object.keys(this.#values))
      if (!this.#known.has(name) && this.#values[name] !== undefined)
        usage(
          `--${cut(name)} is not an option of this command${didYouMean(name, [...this.#known])}`,
        );
  }

  #read(name: string): unknown {
    this.#known.add(name);
    return this.#values[name] ?? undefined;
  }
}

export function didYouMean(word: string, candidates: readonly string[]): string {
  const meant = nearest(word, candidates);
  return meant === undefined ? '' : `; did you mean ${meant}?`;
}

function show(value: unknown): string {
  return cut(JSON.stringify(value) ?? String(value));
}
