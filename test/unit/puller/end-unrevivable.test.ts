import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ConnectionError, PermissionError } from '../../../src/errors.ts';
import type { PoppedMessage } from '../../../src/model/pop.ts';
import type { RocketMQ } from '../../../src/ports/rocketmq.ts';
import { createHeldQueue, HELD_AT, namedMessage, poppedMessage } from '../../support/held-queue.ts';

const ARN = 'arn:aws:sqs:eu-west-1:123456789012:dead-orders';
const REFUSED = new PermissionError('sendMessage', 'broker-a', 16, 'NO_PERMISSION', 'no right');

interface Settings {
  /** Requests that are refused beside the first copies. */
  readonly refuses?: readonly ('copy' | 'request 36' | 'send')[];
  readonly busy?: boolean;
  readonly hasDestination?: boolean;
  readonly maximumRetryAttempts?: number;
}

/** Two messages of an inner batch were popped, and their broker took no copies of them. */
async function poppedInnerBatch(settings: Settings = {}) {
  const { refuses = [], busy = false, hasDestination = false } = settings;
  const done: string[] = [];
  let isPopped = false;
  const copies = { refused: true };
  const answer = (way: 'copy' | 'request 36' | 'send', name: string): void => {
    if (refuses.includes(way))
      throw busy ? new ConnectionError('broker-a', 'reset', { maybeSent: true }) : REFUSED;
    done.push(`${name}: ${way}`);
  };
  const world = createHeldQueue({
    source: { mode: 'pop' },
    subscription: {
      maximumRetryAttempts: settings.maximumRetryAttempts ?? 3,
      ...(hasDestination && { onFailure: { type: 'sqs', arn: ARN } }),
    },
    client: {
      pop: async () => {
        if (isPopped) return new Promise(() => {});
        isPopped = true;
        const [first, second] = ['a', 'b'].map((name, offset) =>
          poppedMessage(namedMessage(name, offset), HELD_AT),
        );
        assert(first !== undefined && second !== undefined);
        const messages: PoppedMessage[] = [first, { ...second, handle: first.handle }].map(
          (popped) => ({ ...popped, unrevivable: 'inner-batch' }),
        );
        return { messages, filteredOut: [], undecodable: [], full: false };
      },
      copyToPopRetry: async (_group, { msgId }) => {
        if (copies.refused) throw REFUSED;
        answer('copy', msgId);
      },
      sendBack: async ({ commitLogOffset }) =>
        answer('request 36', commitLogOffset === 0n ? 'a' : 'b'),
      sendBackAsNormalMessage: async (_group, { msgId }) => answer('send', msgId),
      sendDeadLetter: async (_group, { msgId }) => answer('send', msgId),
      topicRoute: async (topic) => ({ topic, brokers: [], queues: [] }),
      minOffset: async () => 0n,
      maxOffset: async () => 0n,
      ack: async () => void done.push('record acknowledged'),
    } as Partial<RocketMQ>,
    deps: {
      destinations: {
        sqs: {
          deliver: async (_arn, { payload: { Records } }) =>
            void done.push(`${Records[0].messageId}: onFailure`),
        },
      },
    },
  });
  const { held } = world;
  void held.fetching.run(100);
  await new Promise(setImmediate);
  assert.equal(held.messages.count, 2);
  copies.refused = false;
  const discarded = (): number =>
    world.logs.filter(({ code }) => code === 'ROCKETMQ_MESSAGE_DISCARDED').length;
  return { ...world, done, discarded };
}

describe('a message that its broker cannot bring back', () => {
  for (const where of ['that no handler got', 'whose handler gave no verdict'])
    for (const why of ['lost lease', 'end of the invocation'])
      test(`${where} is copied at the ${why}`, async () => {
        const { held, done } = await poppedInnerBatch();
        if (where !== 'that no handler got') assert(held.nextBatch().work?.kind === 'batch');
        if (why === 'lost lease') held.lease.lose('taken-over', true);
        else held.lifecycle.stop('deadline');
        await held.settlement.close();
        assert.deepEqual(done, ['a: copy', 'b: copy', 'record acknowledged']);
        assert.equal(held.messages.count, 0);
      });

  test('and whose time is over is not given up', async () => {
    const { held, done, pass } = await poppedInnerBatch();
    pass(120_000);
    const { work } = held.nextBatch();
    assert(work?.kind === 'batch');
    assert.equal(work.deliveries.length, 2);
    const verdict = { kind: 'read', failures: new Map(), othersDone: false } as const;
    await held.settlement.conclude(work, { kind: 'answered', verdict, suspension: undefined });
    assert.deepEqual([done, held.messages.count], [['record acknowledged'], 0]);
  });

  test('and that its handler took is acknowledged after a lost lease', async () => {
    const { held, done } = await poppedInnerBatch();
    const { work } = held.nextBatch();
    assert(work?.kind === 'batch');
    held.lease.lose('taken-over', true);
    const verdict = {
      kind: 'read',
      failures: new Map([[1, 'default' as const]]),
      othersDone: false,
    } as const;
    await held.settlement.conclude(work, { kind: 'answered', verdict, suspension: undefined });
    await held.settlement.close();
    assert.deepEqual(done, ['b: copy', 'record acknowledged']);
  });

  const LADDER = [
    [{ hasDestination: true }, ['a: onFailure', 'b: onFailure'], 0],
    [{}, ['a: request 36', 'b: request 36'], 0],
    [{ refuses: ['request 36'] }, ['a: send', 'b: send'], 0],
    [{ refuses: ['request 36', 'send'] }, [], 2],
    [{ refuses: ['request 36', 'send'], busy: true }, [], 2],
  ] as const;
  for (const [settings, ends, logged] of LADDER)
    for (const why of ['lost lease', 'end of the invocation'])
      test(`and whose copy is refused has the ends of all others at the ${why}: ${JSON.stringify(settings)}`, async () => {
        const refuses = ['copy', ...('refuses' in settings ? settings.refuses : [])] as const;
        const { held, done, discarded } = await poppedInnerBatch({ ...settings, refuses });
        if (why === 'lost lease') held.lease.lose('taken-over', true);
        else held.lifecycle.stop('deadline');
        await held.settlement.close();
        assert.deepEqual([done.sort(), discarded()], [[...ends, 'record acknowledged'], logged]);
      });

  test('and that failed for good already is not copied for another delivery', async () => {
    const { held, done, logs } = await poppedInnerBatch({
      maximumRetryAttempts: 0,
      refuses: ['request 36', 'send'],
      busy: true,
    });
    const { work } = held.nextBatch();
    assert(work?.kind === 'batch');
    await held.settlement.settle(work, () => 'default');
    assert(logs.some(({ code }) => code === 'ROCKETMQ_END_NOT_STORED'));
    held.lifecycle.stop('deadline');
    await held.settlement.close();
    assert.deepEqual(done, ['record acknowledged']);
  });
});
