import assert from 'node:assert/strict';
import { test } from 'node:test';
import { humanLine } from '../../../cli/local/human-log.ts';
import { COMMANDS } from '../../../infra/commands/all-commands.ts';
import type { CommandDefinition, Terminal } from '../../../infra/commands/command.ts';
import { messagesText } from '../../../infra/commands/peek.ts';
import { runCommand } from '../../../infra/commands/run-command.ts';
import { textTable } from '../../../infra/commands/text-table.ts';
import { printableText } from '../../../src/model/printable-text.ts';

/** Clipboard, title, screen, hidden text, link, carriage return, 8-bit CSI, direction of text. */
const HOSTILE =
  '\x1b]52;c;Y3VybA==\x07\x1b]0;title\x07\x1b[2J\x1b[8mhidden\x1b]8;;http://evil\x07\r\u009b2J\u202egpj\u2028\x7f\0';
const OBEYED = /[^\P{Cc}\n\t]|[\p{Bidi_Control}\u2028\u2029]/u;

function terminal(): Terminal & { readonly written: string[] } {
  const written: string[] = [];
  const stream = { write: (text: string) => written.push(text), isTTY: true };
  return {
    ...{ written, out: stream, err: stream, ask: undefined, now: () => 0, sleep: async () => {} },
    signal: new AbortController().signal,
  };
}

test('tabs, newlines and other scripts stay, and JSON keeps its values', () => {
  const text = 'a\tb\nΩ 漢字 🎉 e\u0301';
  assert.equal(printableText(text), text);
  const json = JSON.stringify({ text: HOSTILE });
  assert.deepEqual(JSON.parse(printableText(json)), { text: HOSTILE });
  assert.doesNotMatch(printableText(json), OBEYED);
});

test('whatever a command writes or fails with, the terminal gets no control characters', async () => {
  for (const json of [false, true])
    for (const run of [
      async ({ terminal: { out, err } }) => {
        out.write(HOSTILE);
        err.write(HOSTILE);
      },
      async () => {
        throw new Error(HOSTILE);
      },
    ] satisfies CommandDefinition['run'][]) {
      const shown = terminal();
      const command = { ...(COMMANDS[0] as CommandDefinition), run };
      const operator = { request: async () => assert.fail(), close: async () => {} };
      await runCommand(command, { json }, async () => operator, shown);
      assert.ok(shown.written.length > 0);
      assert.doesNotMatch(shown.written.join(''), OBEYED);
      assert.match(shown.written.join(''), /\\u001b/);
    }
});

test('errors of hostile texts, of every command', async () => {
  for (const command of COMMANDS) {
    const shown = terminal();
    const operator = {
      request: async () => ({ ok: false as const, error: { code: HOSTILE, message: HOSTILE } }),
      close: async () => {},
    };
    await runCommand(
      command,
      { yes: true, to: 'first', queue: 'a/b/0' },
      async () => operator,
      shown,
    );
    assert.doesNotMatch(
      shown.written.join('').replaceAll('\r\x1b[K', ''),
      OBEYED,
      command.words.join(' '),
    );
  }
});

test('a message of a producer forges no line of a listing', () => {
  const message = {
    ...{ queue: 'orders/a/0', offset: '1', messageId: `id\n${HOSTILE}`, offsetMessageId: 'x' },
    ...{ tags: `t\n${HOSTILE}`, keys: `k\n${HOSTILE}`, reconsumeTimes: 0, bodySize: 1 },
    ...{ bornTimestamp: 0, storeTimestamp: 0, bodyEncoding: 'utf8' as const, bodyCut: false },
    ...{ body: HOSTILE, properties: {} },
  };
  const text = messagesText({ messages: [message], scanned: 1 });
  assert.doesNotMatch(text, OBEYED);
  assert.equal(text.split('\n').length, 4);
  const table = textTable([{ title: 'A' }], [[`x\n${HOSTILE}`]]);
  assert.doesNotMatch(table, OBEYED);
  assert.equal(table.split('\n').length, 2);
});

test('the log of npm run dev shows no control characters of messages', () => {
  for (const line of [HOSTILE, JSON.stringify({ msg: HOSTILE, level: 'info', key: HOSTILE })])
    assert.doesNotMatch(stripped(humanLine(line)), OBEYED);
});

/** Without the colours that the log itself has. */
function stripped(line: string): string {
  return line.replaceAll('\x1b[2m', '').replaceAll('\x1b[22m', '');
}
