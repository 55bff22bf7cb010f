import { isDeepStrictEqual } from 'node:util';

/** Counts cases and prints what differs. A case passes when nothing in it differs. */
export class Checker {
  readonly #file: string;
  readonly #print: (line: string) => void;
  passed = 0;
  failed = 0;

  constructor(file: string, print: (line: string) => void) {
    this.#file = file;
    this.#print = print;
  }

  /** Runs one case; an exception is a difference too. */
  case(
    name: string,
    body: (expect: (field: string, actual: unknown, expected: unknown) => void) => void,
  ): void {
    const differences: string[] = [];
    try {
      body((field, actual, expected) => {
        if (!isDeepStrictEqual(actual, expected))
          differences.push(`${field}: expected ${show(expected)}, got ${show(actual)}`);
      });
    } catch (error) {
      differences.push(`threw ${String(error)}`);
    }
    if (differences.length === 0) this.passed++;
    else this.failed++;
    for (const difference of differences) this.#print(`${this.#file} ${name}: ${difference}`);
  }
}

const SHOWN_CHARACTERS = 300;

function show(value: unknown): string {
  const text =
    JSON.stringify(value, (_key, item: unknown) =>
      typeof item === 'bigint' ? String(item) : item,
    ) ?? 'nothing';
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
}
