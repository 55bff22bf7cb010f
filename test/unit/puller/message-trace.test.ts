import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { OutgoingMessage, RocketMQ } from '../../../src/ports/rocketmq.ts';
import { createMessageTrace } from '../../../src/puller/message-trace.ts';
import { systemClock } from '../../../src/runtime/system-clock.ts';
import { silentLogger } from '../../support/coordinator-world.ts';

/** A trace topic that answers when it is asked to. */
function createTrace() {
  const sent: OutgoingMessage[] = [];
  const { promise: open, resolve: answer } = Promise.withResolvers<void>();
  const send = async (message: OutgoingMessage) => {
    sent.push(message);
    await open;
  };
  const lost: number[] = [];
  const warn = (fields: { lost?: number }) => void (fields.lost && lost.push(fields.lost));
  const logger = { ...silentLogger, warn, child: () => logger } as typeof silentLogger;
  const client = { send } as unknown as RocketMQ;
  return {
    trace: createMessageTrace({ client, clock: systemClock, logger }, 'TRACE'),
    sent,
    lost,
    answer,
  };
}

const bytesOf = (messages: readonly OutgoingMessage[]): number =>
  messages.reduce(
    (sum, { body, keys = [] }) => sum + body.length + Buffer.byteLength([keys].flat().join(' ')),
    0,
  );

describe('traces of a topic that does not answer', () => {
  for (const [what, data, key] of [
    ['keys', 'd', 'k'.repeat(30_000)],
    ['keys of more bytes than characters', 'd', '键'.repeat(10_000)],
    ['data', 'd'.repeat(30_000), 'k'],
    ['little', 'd'.repeat(200), 'k'],
  ] as const)
    test(`are held up to 8 MiB, of ${what}`, async () => {
      const { trace, sent, lost, answer } = createTrace();
      const count = data.length === 200 ? 20_000 : 1_000;
      for (let n = 0; n < count; n++) trace.append([{ data, keys: [`${n}-${key}`] }]);
      answer();
      await trace.flush(60_000);
      const records = sent.flatMap(({ keys = [] }) => keys).length;
      assert.equal(records + (lost[0] ?? 0), count, 'what is not sent is counted');
      assert.ok(bytesOf(sent) <= 8 * 1024 * 1024);
      assert.ok(records === count || bytesOf(sent) > 8 * 1024 * 1024 - 2 * 30_100);
      if (data.length === 200) assert.equal(records, count);
    });

  test('that were sent make room for others', async () => {
    const { trace, sent, lost, answer } = createTrace();
    answer();
    for (let n = 0; n < 600; n++) {
      trace.append([{ data: 'd'.repeat(30_000), keys: [`${n}`, 'same'] }]);
      if (n % 100 === 99) await trace.flush(60_000);
    }
    assert.deepEqual(lost, []);
    assert.equal(
      sent.map(({ body }) => body.length).reduce((a, b) => a + b),
      600 * 30_000,
    );
    assert.deepEqual(sent[0]?.keys, ['0', 'same', '1', '2', '3']);
    trace.append([{ data: 'd', keys: [] }]);
    await trace.flush(60_000);
    assert.deepEqual(sent.at(-1)?.keys, []);
  });
});
