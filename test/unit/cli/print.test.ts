import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';

const ROOT = path.join(import.meta.dirname, '../../..');
/** Places that write by themselves: they make printable what they write, or write what tools of this repo say. */
const WRITERS = [
  'cli/print.ts',
  // The live view's stream.
  'cli/local/run-local.ts',
  'cli/stack-install.ts',
  'cli/test-matrix.ts',
  'cli/test.ts',
  'cli/testing/run-file.ts',
  'infra/commands/bin.ts',
  // The streams of the terminal, in safe-terminal.
  'infra/commands/run-command.ts',
  'src/helpers/handle-each.ts',
  'src/helpers/report.ts',
  'src/helpers/rocketmq-records.ts',
  'src/runtime/emf-metrics.ts',
];

test('text goes out by one printer', async () => {
  const found: string[] = [];
  for (const room of ['src', 'handlers', 'infra', 'cli'])
    for (const file of await readdir(path.join(ROOT, room), { recursive: true }))
      if (file.endsWith('.ts')) {
        const text = await readFile(path.join(ROOT, room, file), 'utf8');
        if (/process\.std(out|err)\b|\bconsole\.(log|info|warn|error|debug)\(/.test(text))
          found.push(`${room}/${file}`);
      }
  assert.deepEqual(found.sort(), WRITERS.toSorted());
});

const HOSTILE = '\u001b]52;c;x\u0007\u009b2J\u202e\u2028';

for (const [command, args] of [
  ['send', [`orders${HOSTILE}`, 'body', '--name-servers', '127.0.0.1:9']],
  ['send', [HOSTILE]],
  ['send', ['orders', 'body', `--${HOSTILE}`]],
  ['start', [`--name-servers=${HOSTILE}`]],
  ['faults', [`--only=${HOSTILE}`]],
  ['dev', [HOSTILE]],
] as const)
  test(`npm run ${command} shows control characters of ${JSON.stringify(args)} escaped`, () => {
    const { stdout, stderr, status } = spawnSync(
      process.execPath,
      [path.join(ROOT, 'cli', `${command}.ts`), ...args],
      { encoding: 'utf8' },
    );
    assert.notEqual(status, 0);
    assert.doesNotMatch(stdout + stderr, /[^\P{Cc}\n]|\p{Bidi_Control}|\u2028/u);
    assert.match(stdout + stderr, /\S/);
  });
