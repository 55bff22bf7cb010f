import { printableText } from '../src/model/printable-text.ts';

/*
 * Everything that the commands of this repo write, but for the lines of test files. Texts of brokers, messages and command lines
 * cannot obey their own control characters.
 */

/** A line to stdout. */
export function print(text: string): void {
  process.stdout.write(`${printableText(text)}\n`);
}

/** A line to stderr. */
export function printError(text: string): void {
  process.stderr.write(`${printableText(text)}\n`);
}

/** The message of whatever was thrown, to stderr. */
export function printFailure(error: unknown): void {
  printError(error instanceof Error ? error.message : String(error));
}

/** A text with our own colours and cursor movements. What comes from elsewhere in it was made printable before. */
export function printStyled(text: string, out: 'stdout' | 'stderr' = 'stdout'): void {
  process[out].write(text);
}
