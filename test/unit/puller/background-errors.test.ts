import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { GroupRun } from '../../../src/coordinator/group-run.ts';
import { createIdleWatch } from '../../../src/coordinator/watch-idle-queues.ts';
import { type MessageQueue, queueKey } from '../../../src/model/message-queue.ts';
import type { PoppedMessage } from '../../../src/model/pop.ts';
import type { Logger } from '../../../src/ports/logger.ts';
import type { RocketMQ } from '../../../src/ports/rocketmq.ts';
import { BrokerLocks } from '../../../src/puller/broker-locks.ts';
import { createMessageTrace } from '../../../src/puller/message-trace.ts';
import { PoppedMessages } from '../../../src/puller/popped-messages.ts';
import { buildSubscription } from '../../../src/records/subscription.ts';
import { systemClock } from '../../../src/runtime/system-clock.ts';

const queue: MessageQueue = { topic: 'orders', brokerName: 'broker-a', queueId: 0 };
const other: MessageQueue = { ...queue, queueId: 1 };

/** Work that nobody awaits: whatever it throws is logged, and the work goes on. */
describe('an error in background work', () => {
  const unhandled: unknown[] = [];
  const onUnhandled = (error: unknown): void => void unhandled.push(error);
  const logged: string[] = [];
  const write = (_: object, message: string): void => void logged.push(message);
  const logger: Logger = {
    ...{ debug: write, info: write, warn: write, error: write },
    child: () => logger,
  };
  before(() => process.on('unhandledRejection', onUnhandled));
  after(() => process.off('unhandledRejection', onUnhandled));
  beforeEach(() => void logged.splice(0));
  const nothingUnhandled = async (): Promise<void> => {
    await nextTurn();
    assert.deepEqual(unhandled.splice(0), []);
  };

  it('of prolonging popped messages does not stop the next prolonging', async () => {
    const prolonged: bigint[] = [];
    let now = 0;
    let failing = false;
    const popped = new PoppedMessages({
      clock: { now: () => now, sleep: () => Promise.resolve() },
      client: {
        changeInvisibleTime: async (
          _group: string,
          _topic: string,
          handle: { queueOffset: bigint },
        ) => {
          prolonged.push(handle.queueOffset);
          return handle;
        },
      },
      options: {
        get popInvisibleMs() {
          if (failing) throw new Error('anything');
          return 60_000;
        },
      },
      source: { consumerGroup: 'workers' },
      queue,
      messages: { append: (record: PoppedMessage) => record.handle.queueOffset },
      logger,
      lifecycle: { isLost: false, signal: () => new AbortController().signal },
      lease: { mayAct: () => true },
    } as unknown as ConstructorParameters<typeof PoppedMessages>[0]);
    const handle = { queueOffset: 7n, invisibleTime: 60_000n } as PoppedMessage['handle'];
    popped.put([{ handle } as PoppedMessage], 0);
    now = 50_000;
    failing = true;
    popped.prolong();
    await nothingUnhandled();
    assert.deepEqual([prolonged, logged], [[], ['popped messages not prolonged, trying again']]);
    failing = false;
    popped.prolong();
    await nextTurn();
    assert.equal(prolonged.length, 1);
  });

  it('of sending traces loses these traces and no others', async () => {
    const sent: string[] = [];
    const trace = createMessageTrace(
      {
        client: {
          send: ({ body }: { body: Buffer }) => {
            if (String(body) === 'bad') throw new Error('anything');
            sent.push(String(body));
            return Promise.resolve();
          },
        } as unknown as RocketMQ,
        clock: systemClock,
        logger,
      },
      'traces',
    );
    trace.append([{ data: 'bad', keys: [] }]);
    await trace.flush(1_000);
    trace.append([{ data: 'good', keys: [] }]);
    await trace.flush(1_000);
    await nothingUnhandled();
    assert.deepEqual(sent, ['good']);
    assert.deepEqual(logged, [
      'traces could not be sent',
      'traces were lost; deliveries are not concerned',
    ]);
  });

  it('of a queue that hears of its broker lock leaves the other queues’ locks alone', async () => {
    const locks = new BrokerLocks(
      {
        client: {
          lockQueues: async (_group: string, _id: string, queues: MessageQueue[]) => queues,
        } as unknown as RocketMQ,
        clock: systemClock,
        logger,
      },
      'workers',
      'client-0',
    );
    let heard = 0;
    const first = locks.hold(queue, () => {
      throw new Error('anything');
    });
    const second = locks.hold(other, () => void heard++);
    await nextTurn();
    assert.equal(heard, 1);
    first.drop();
    second.drop();
    await nothingUnhandled();
    assert.deepEqual(logged, ['broker lock answer not handled']);
  });

  it('of renewing broker locks is logged', async () => {
    const locks = new BrokerLocks(
      {
        client: { lockQueues: async () => [] } as unknown as RocketMQ,
        clock: {
          now: () => 0,
          sleep: () => {
            throw new Error('anything');
          },
        },
        logger,
      },
      'workers',
      'client-0',
    );
    locks.hold(queue, () => {});
    await nextTurn();
    assert.ok(logged.includes('broker locks not renewed any more'));
    await nothingUnhandled();
  });

  it('of the watch over an idle queue becomes a problem of the run', async () => {
    const problems: unknown[] = [];
    const watch = createIdleWatch({
      clock: {
        now: () => {
          throw new Error('anything');
        },
      },
      group: { consumerGroup: 'workers' },
      problems: { add: (error: unknown) => problems.push(error) },
      signal: new AbortController().signal,
      until: 1,
    } as unknown as GroupRun);
    watch.watchOnly([{ queue, offset: 0n, subscription: buildSubscription('orders', '*') }]);
    await nothingUnhandled();
    assert.equal(problems.length, 1);
    assert.equal(watch.watchedAt(queueKey(queue)), undefined);
  });
});
