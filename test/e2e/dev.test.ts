import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { shell, signalGroup, startShell } from '../support/shell.ts';

const README = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');

test('npm run dev and the npm run send that it prints, as README has them: the message is handled, Ctrl-C drains', {
  timeout: 180_000,
}, async (t) => {
  const dev = startShell('npm run dev');
  t.after(() => signalGroup(dev, 'SIGKILL'));
  let printed = '';
  const looks = new Set<() => void>();
  dev.process.stdout?.on('data', (chunk: Buffer) => {
    printed += chunk.toString();
    for (const look of looks) look();
  });
  /** Ends with the service when the line never comes. */
  const line = (wanted: RegExp): Promise<RegExpExecArray> =>
    Promise.race([
      new Promise<RegExpExecArray>((resolve) => {
        const look = (): void => {
          const found = wanted.exec(printed);
          if (found !== null) resolve(found);
        };
        looks.add(look);
        look();
      }),
      dev.exited.then((code) =>
        assert.fail(`npm run dev ended with ${code} before ${wanted}:\n${printed}`),
      ),
    ]);
  const [, send = ''] = await line(/To send a message: (npm run send .+)\n/);
  const [, documented = ''] = /`(npm run send -- orders .+) …`/.exec(README) ?? [];
  assert.ok(
    documented !== '' && send.startsWith(documented),
    `README: ${documented}, printed: ${send}`,
  );
  const sent = await shell(send);
  assert.equal(sent.code, 0, sent.output);
  assert.match(sent.stdout, /is message 0 of orders\/broker-a\/\d/);
  await line(/batch handled .*records=1 failed=0/);
  const closed = once(dev.process, 'close');
  signalGroup(dev, 'SIGINT');
  // npm ends by the signal that its script was sent.
  assert.ok([0, 130, 'SIGINT'].includes(await dev.exited), printed);
  await closed;
  assert.match(printed, /drained, every lease is released/);
});
