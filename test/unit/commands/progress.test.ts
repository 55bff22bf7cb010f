import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { barText, progressBar } from '../../../infra/commands/progress.ts';

describe('a progress bar', () => {
  for (const [name, progress, elapsedMs, text] of [
    [
      'at its begin',
      { at: 0, of: 2000, text: 'sent' },
      0,
      '[........................] 0 of 2000: sent',
    ],
    [
      'with rate and rest',
      { at: 500, of: 2000, text: 'sent' },
      2_000,
      '[######..................] 500 of 2000, 250/s, 6.0 s left: sent',
    ],
    [
      'that is slow',
      { at: 3, of: 4, text: 'set' },
      2_000,
      '[##################......] 3 of 4, 1.5/s, 0.7 s left: set',
    ],
    [
      'at its end',
      { at: 4, of: 4, text: 'set' },
      2_000,
      '[########################] 4 of 4, 2.0/s: set',
    ],
    [
      'of more than was expected',
      { at: 9, of: 4, text: 'set' },
      0,
      '[########################] 9 of 4: set',
    ],
    ['of nothing', { at: 0, of: 0, text: 'set' }, 0, '[########################] 0 of 0: set'],
    [
      'before its whole is known',
      { at: 20_000, of: undefined, text: 'looked through' },
      4_000,
      '20000, 5000/s: looked through',
    ],
    ['of something to wait for', { text: 'waiting …' }, 9_000, 'waiting …'],
  ] as const)
    test(name, () => assert.equal(barText(progress, elapsedMs), text));

  const written = (isTTY: boolean, json: boolean, columns?: number): string[] => {
    const texts: string[] = [];
    let now = 0;
    const bar = progressBar({
      json,
      terminal: {
        out: { write: () => assert.fail('what scripts read is not for bars') },
        err: {
          write: (text: string) => texts.push(text),
          isTTY,
          ...(columns === undefined ? {} : { columns }),
        },
        ...{
          ask: undefined,
          signal: new AbortController().signal,
          sleep: async () => {},
          now: () => now,
        },
      },
    });
    for (const at of [0, 1]) {
      now = at * 1_000;
      bar.show({ at, of: 2, text: 'sent' });
    }
    bar.end();
    return texts;
  };

  test('is written over on a terminal, cut to its width, and gone at the end', () => {
    assert.deepEqual(written(true, false), [
      '\r\x1b[K[........................] 0 of 2: sent',
      '\r\x1b[K[############............] 1 of 2, 1.0/s, 1.0 s left: sent',
      '\r\x1b[K',
    ]);
    assert.equal(
      written(true, false, 30)[1],
      '\r\x1b[K[############............] 1 '.slice(0, 4 + 29),
    );
  });

  test('is nothing in a pipe, and with --json', () => {
    assert.deepEqual(written(false, false), []);
    assert.deepEqual(written(true, true), []);
  });
});
