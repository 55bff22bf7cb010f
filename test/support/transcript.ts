import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** One command of a transcript: `word name=value name=value`. */
export interface Command {
  readonly word: string;
  readonly text: string;
  /** @throws when the command has no such argument */
  arg(name: string): string;
  maybe(name: string): string | undefined;
}

/**
 * Runs a transcript of test/transcripts, as etcd's raft does with testdata: each command, and below
 * `----` what came of it, up to the next empty line. Lines with `#` are for readers.
 * `REWRITE_TRANSCRIPTS=1 npm test -- transcripts` writes what comes now instead of comparing.
 */
export async function runTranscript(
  name: string,
  run: (command: Command) => string | Promise<string>,
): Promise<void> {
  const file = fileURLToPath(new URL(`../transcripts/${name}.txt`, import.meta.url));
  const before = readFileSync(file, 'utf8');
  const blocks: string[] = [];
  for (const block of before.trimEnd().split(/\n\n+/)) blocks.push(await runBlock(block, run));
  const after = `${blocks.join('\n\n')}\n`;
  if (process.env.REWRITE_TRANSCRIPTS === '1') writeFileSync(file, after);
  else assert.equal(after, before, `${name}.txt (REWRITE_TRANSCRIPTS=1 rewrites it)`);
}

async function runBlock(
  block: string,
  run: (command: Command) => string | Promise<string>,
): Promise<string> {
  const lines = block.split('\n');
  const end = lines.indexOf('----');
  const head = end < 0 ? lines : lines.slice(0, end);
  const commands = head.filter((line) => !line.startsWith('#'));
  if (commands.length === 0) return block;
  const outcome: string[] = [];
  for (const line of commands)
    outcome.push(`${line}\n${(await run(parse(line))).replaceAll(/^/gm, '    ')}`);
  return [...head, '----', ...outcome].join('\n');
}

function parse(line: string): Command {
  const [word = '', ...rest] = line.trim().split(/\s+/);
  const args = new Map(rest.map((part) => part.split('=', 2) as [string, string]));
  return {
    word,
    text: line,
    arg(name) {
      const value = args.get(name);
      assert(value !== undefined, `"${line}" needs ${name}=…`);
      return value;
    },
    maybe: (name) => args.get(name),
  };
}
