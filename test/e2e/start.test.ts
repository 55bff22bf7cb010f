import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startChild } from '../support/child-process.ts';
import { shell } from '../support/shell.ts';

const START = fileURLToPath(new URL('../../cli/start.ts', import.meta.url));

async function start(
  ...args: string[]
): Promise<{ code: number | NodeJS.Signals; stdout: string; output: string }> {
  const child = startChild(process.execPath, [START, ...args]);
  const chunks: Buffer[] = [];
  child.process.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
  const code = await child.exited;
  return { code, stdout: Buffer.concat(chunks).toString('utf8'), output: child.output() };
}

describe('npm start', () => {
  it('carries messages from a producer to committed offsets on embedded parts, and says so in one line of JSON', async () => {
    const { code, stdout, output } = await shell('npm start --silent -- --json --messages 300');
    assert.equal(code, 0, output);
    const lines = stdout.trimEnd().split('\n');
    assert.equal(lines.length, 1, 'nothing else on stdout');
    const { seconds, queues, ...summary } = JSON.parse(lines[0] as string) as Record<
      string,
      unknown
    > & {
      queues: Record<string, unknown>[];
    };
    assert.ok(typeof seconds === 'number');
    const redelivered = summary.redelivered;
    // 9 that fail once come back once; 5 that fail always come back three times.
    assert.ok(
      typeof redelivered === 'number' && redelivered >= 9 + 5 * 3,
      `${String(redelivered)} redeliveries`,
    );
    assert.deepEqual(
      { ...summary, redelivered: undefined, duplicates: undefined },
      {
        group: 'order-worker',
        topics: ['orders'],
        produced: 300,
        handled: 295,
        distinct: 295,
        redelivered: undefined,
        deadLettered: 5,
        lost: 0,
        duplicates: undefined,
      },
    );
    assert.equal(summary.duplicates, 0);
    assert.deepEqual(
      queues.map(({ topic, queueId }) => `${String(topic)}/${String(queueId)}`).sort(),
      ['%RETRY%order-worker/0', ...Array.from({ length: 8 }, (_, id) => `orders/${id}`)].sort(),
    );
    for (const { committed, max, brokerName } of queues) {
      assert.equal(brokerName, 'broker-a');
      assert.equal(committed, max);
    }
  });

  for (const [args, complaint] of [
    [['--messages', 'many'], /--messages many: give a whole number/],
    [['--broker', 'rael'], /--broker rael: give real/],
    [['--dynamodb', 'somewhere'], /--dynamodb somewhere: give real, or a URL/],
    [['--mesages', '5'], /--mesages is not an option; did you mean --messages\?/],
    [['--messages', '-5'], /--messages -5: --messages needs a value/],
    [['--name-servers', 'nonsense'], /--name-servers nonsense: give addresses/],
    [['--name-servers', '127.0.0.1:9876', '--broker', 'real'], /exclude each other/],
  ] as const)
    it(`refuses ${args.join(' ')} with exit code 2`, async () => {
      const { code, output } = await start(...args);
      assert.equal(code, 2);
      assert.match(output, complaint);
      assert.match(output, /usage: npm start/);
    });

  it('ends with a named error when the name servers cannot be reached', async () => {
    const { code, output } = await start('--name-servers', '127.0.0.1:1');
    assert.equal(code, 1);
    assert.match(output, /127\.0\.0\.1:1/);
  });

  it('ends with a named error when no DynamoDB answers', async () => {
    const { code, output } = await start('--dynamodb', 'http://127.0.0.1:1');
    assert.equal(code, 1);
    assert.match(output, /no DynamoDB answers at http:\/\/127\.0\.0\.1:1: /);
  });

  it('--help says what there is', async () => {
    const { code, stdout } = await start('--help');
    assert.equal(code, 0);
    for (const option of [
      '--messages N',
      '--json',
      '--keep',
      '--broker real',
      '--name-servers A;B',
      '--dynamodb',
    ])
      assert.match(stdout, new RegExp(option));
  });

  it('interrupted, it drains and says that nothing was decided', async () => {
    const child = startChild(process.execPath, [START, '--messages', '100000']);
    await new Promise<void>((resolve) =>
      child.process.stdout?.on(
        'data',
        (chunk: Buffer) => chunk.includes('lambda port') && resolve(),
      ),
    );
    child.process.kill('SIGINT');
    assert.equal(await child.exited, 130, child.output());
    assert.match(child.output(), /interrupted: \d+ of 100000 messages handled, nothing decided/);
  });
});
