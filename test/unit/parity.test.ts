import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const TESTS = fileURLToPath(new URL('../', import.meta.url));
/** A file, and the tests of it that are named behind it: `file.ts`: "title"; "title" */
const REFERENCE = /`([\w./-]+\.ts)`(?:: ((?:".+?"(?=; |\. | \|)(?:; (?="))?)+))?/g;
/** Titles may have quotation marks of their own. */
const BETWEEN_TITLES = '"; "';

/** Every file that a page names, with the tests that it names. */
function references(page: string): { file: string; titles: string[] }[] {
  return [...page.matchAll(REFERENCE)].map(([, file = '', titles]) => ({
    file: file.startsWith('test/') ? file.slice('test/'.length) : file,
    titles: titles?.slice(1, -1).split(BETWEEN_TITLES) ?? [],
  }));
}

/** Whether a source has this text as a whole string, with whatever quotation marks. */
function hasString(source: string, text: string): boolean {
  return ["'", '"', '`'].some((mark) => source.includes(`${mark}${text}${mark}`));
}

describe('test/PARITY.md', () => {
  const named = references(readFileSync(`${TESTS}PARITY.md`, 'utf8'));

  test('names many tests', () => {
    const count = named.reduce((sum, { titles }) => sum + titles.length, 0);
    assert.ok(count > 150, `${count} titles were read`);
  });

  test('names files that exist, and tests that they have', () => {
    const missing = named.flatMap(({ file, titles }) => {
      if (!existsSync(TESTS + file)) return [file];
      const source = readFileSync(TESTS + file, 'utf8');
      return titles
        .filter((title) => !hasString(source, title))
        .map((title) => `${file}: ${title}`);
    });
    assert.deepEqual(missing, []);
  });

  test('is read as it is written', () => {
    const page =
      '| a | `x/y.test.ts`: "one"; "says "none" twice"; `z.ts`: "it’s, `so`". And "so" in `w.ts` |\n| b | `v.ts`: "last" |';
    assert.deepEqual(references(page), [
      { file: 'x/y.test.ts', titles: ['one', 'says "none" twice'] },
      { file: 'z.ts', titles: ['it’s, `so`'] },
      { file: 'w.ts', titles: [] },
      { file: 'v.ts', titles: ['last'] },
    ]);
    assert.deepEqual(
      [hasString("test('one', f)", 'one'), hasString("test('one more', f)", 'one')],
      [true, false],
    );
  });
});
