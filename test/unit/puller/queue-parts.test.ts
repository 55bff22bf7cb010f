import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { CrashRecord } from '../../../src/model/assignment.ts';
import type { LeaseAnswer } from '../../../src/ports/assignment-store.ts';
import { CountedAttempts } from '../../../src/puller/counted-attempts.ts';
import { CrashKeeper } from '../../../src/puller/crash-keeper.ts';
import { fetchByPop, fetchByPull } from '../../../src/puller/fetching.ts';
import { HandOverMeasure } from '../../../src/puller/hand-over-measure.ts';
import { KeptBatchLimits } from '../../../src/puller/kept-batch-limits.ts';
import { queueSubscriptions } from '../../../src/puller/queue-subscriptions.ts';
import type { Batch } from '../../../src/puller/work.ts';
import { source, subscription } from '../../support/coordinator-world.ts';
import {
  createHeldQueue,
  HELD_AT,
  type HeldQueueWorld,
  namedMessage,
} from '../../support/held-queue.ts';

const REASON = 'RejectedByHandler';
const UNREACHABLE = { renew: () => Promise.reject(new Error('the table is away')) };

describe('the parts of a held queue', () => {
  test('an offset that the broker had lost is young again when it is stored again', async () => {
    let stored = 0n;
    const { held, pass, now } = createHeldQueue({
      client: {
        queryOffset: async () => stored,
        commitOffset: async (_group, _queue, offset) => {
          stored = offset;
          return { resetPending: false };
        },
      },
    });
    held.messages.put([namedMessage('a', 0)], [], 1n, HELD_AT);
    for (const entry of [...held.messages.unfinished()]) {
      held.messages.take(entry);
      held.messages.settle(entry);
    }
    await held.offsets.commit();
    assert.deepEqual([stored, held.known.progressAt], [1n, HELD_AT]);
    pass(20_000);
    stored = 0n;
    held.offsets.connectionLost();
    await held.offsets.commit();
    assert.deepEqual([stored, held.known.progressAt], [1n, now()]);
  });

  for (const [what, uptime, kept] of [
    ['a broker that was started since has lost commits', '9 seconds', true],
    ['another client has stored a lower offset', '25 seconds', false],
    ['the start of the broker is not known', 'not known', false],
  ] as const)
    test(`${what}, and no connection is known to be lost`, async () => {
      let stored = 0n;
      const { held, pass } = createHeldQueue({
        client: {
          queryOffset: async () => stored,
          commitOffset: async (_group, _queue, offset) => {
            stored = offset;
            return { resetPending: false };
          },
          brokerInfo: async () =>
            new Map([['runtime', `[ 0 days, 0 hours, 0 minutes, ${uptime} ]`]]),
        },
      });
      held.messages.put([namedMessage('a', 0), namedMessage('b', 1)], [], 2n, HELD_AT);
      for (const entry of [...held.messages.unfinished()]) {
        held.messages.take(entry);
        held.messages.settle(entry);
      }
      await held.offsets.commit();
      assert.equal(stored, 2n);
      pass(20_000);
      stored = 1n;
      await held.offsets.check();
      await held.offsets.commit();
      assert.deepEqual([stored, held.messages.committable], kept ? [2n, 2n] : [1n, 1n]);
    });

  describe('the lease', () => {
    test('allows nothing in its last five seconds, and is lost when it cannot be renewed then', async () => {
      const { held, pass, logs } = createHeldQueue({ store: UNREACHABLE });
      assert.equal(await held.holdsLease(), true);
      pass(900_000 - 5_000);
      assert.deepEqual([held.lease.mayAct(), held.lifecycle.ending], [false, undefined]);
      assert.equal(await held.holdsLease(), false);
      assert.equal(held.lifecycle.ending, 'lease-lost');
      held.lease.lose('missing', true);
      assert.deepEqual(
        logs.flatMap(({ code = [] }) => code),
        ['ROCKETMQ_LEASE_LOST'],
      );
    });

    test('is renewed once by all who ask when it has ended, and drains then', async () => {
      let renewals = 0;
      const world: HeldQueueWorld = createHeldQueue({
        store: {
          renew: async ({ leaseUntil }) => {
            renewals++;
            return applied(world, { leaseUntil });
          },
        },
      });
      world.held.lease.extend(HELD_AT + 30_000);
      world.pass(40_000);
      assert.equal(world.held.lease.mayAct(), false);
      const { holdsLease } = world.held;
      assert.deepEqual(await Promise.all([holdsLease(), holdsLease()]), [true, true]);
      assert.deepEqual([renewals, world.held.lifecycle.ending], [1, 'stalled']);
    });

    test('is lost when another holder acquired the queue after its end', async () => {
      const { held, pass } = createHeldQueue({
        store: {
          renew: async () => ({ applied: false, reason: 'taken-over', current: undefined }),
        },
      });
      pass(900_000);
      assert.equal(await held.holdsLease(), false);
      assert.deepEqual(held.lifecycle.state, { phase: 'lost', takenOver: true });
    });

    test('is extended to what the table has, and no later', async () => {
      const world: HeldQueueWorld = createHeldQueue({
        store: {
          renew: async () => applied(world, { leaseUntil: HELD_AT + 20_000 }),
        },
      });
      assert.equal(await world.held.leaseKeeper.renew(), true);
      assert.equal(world.held.lease.current.leaseUntil, HELD_AT + 20_000);
    });

    test('is not lost by a renewal that is answered after its release', async () => {
      let answer: (answer: LeaseAnswer) => void = () => {};
      const released: number[] = [];
      const { held, now } = createHeldQueue({
        store: {
          renew: () =>
            new Promise((resolve) => {
              answer = resolve;
            }),
          release: async () => {
            released.push(now());
            return { applied: false, reason: 'missing', current: undefined };
          },
        },
      });
      const renewal = held.leaseKeeper.renew();
      await held.leaseKeeper.close();
      answer({ applied: false, reason: 'missing', current: undefined });
      assert.equal(await renewal, true);
      assert.deepEqual([released, held.lifecycle.isLost], [[HELD_AT], false]);
    });

    test('that ran out stays as it is while a handler has messages: it stands as a death', async () => {
      const world = createHeldQueue({
        store: { ...UNREACHABLE, release: () => assert.fail('released') },
      });
      takeBatch(world, ['a']);
      world.pass(900_000);
      assert.equal(await world.held.holdsLease(), false);
      await world.held.leaseKeeper.close();
    });
  });

  describe('the crash record', () => {
    const record: CrashRecord = { offset: 5n, count: 0, isolateUntil: 9n };

    test('isolates until every message that is delivered alone has its outcome', async () => {
      const crash = new CrashKeeper(record, 100, 7);
      const ends: (() => void)[] = [];
      const wait = (): Promise<void> => new Promise((resolve) => ends.push(resolve));
      const [first, second] = [crash.deliverAlone(wait), crash.deliverAlone(wait)];
      ends[0]?.();
      await first;
      assert.equal(crash.isIsolating, true);
      ends[1]?.();
      await second;
      assert.equal(crash.isIsolating, false);
    });

    test('is passed when its suspect has its end, and no other message', () => {
      const crash = new CrashKeeper(record, 100, 7);
      crash.suspect(6n);
      assert.equal(crash.isolation(7n), 'alone');
      assert.equal(crash.passSuspect(7n), false);
      assert.equal(crash.passSuspect(6n), true);
      assert.equal(crash.isolation(7n), 'batch');
    });

    test('ends beyond its isolation, but not while a message is delivered alone', async () => {
      const crash = new CrashKeeper(record, 100, 7);
      await crash.deliverAlone(async () => assert.equal(crash.current(9n), record));
      assert.equal(crash.current(8n), record);
      assert.equal(crash.current(9n), undefined);
      crash.forget({ ...record });
      assert.equal(crash.record, record);
      crash.forget(record);
      assert.equal(crash.record, undefined);
    });

    test('is left behind as long as there is reason to', () => {
      const crash = new CrashKeeper({ ...record, suspect: 5n }, 100, 7);
      const nothing = { waits: false, unreachable: false };
      assert.deepEqual(crash.left(8n, nothing), record);
      assert.equal(crash.left(9n, nothing), undefined);
      assert.equal(crash.left(9n, { ...nothing, unreachable: true }), undefined);
      assert.deepEqual(crash.left(9n, { ...nothing, waits: true }), record);
    });

    test('a suspect that was not delivered stays the suspect, with its deaths', () => {
      const nothing = { waits: false, unreachable: false };
      const suspected = { ...record, count: 2, suspect: 5n };
      const inTime = new CrashKeeper(suspected, 100, 7);
      assert.deepEqual(inTime.left(5n, nothing), suspected);
      inTime.suspect(5n);
      const announced = { ...suspected, suspectedBy: 7 };
      assert.deepEqual(inTime.left(5n, nothing), announced, 'its delivery did not end');
      assert.equal(inTime.survived(6n), false);
      assert.equal(inTime.survived(5n), true);
      assert.deepEqual(inTime.current(5n), { ...announced, suspectedBy: 0 });
      assert.deepEqual(inTime.left(5n, nothing), { ...record, count: 2 }, 'it was delivered again');
      const past = new CrashKeeper(suspected, 100, 7);
      assert.deepEqual(past.left(6n, nothing), { ...record, count: 2 }, 'it has its end');
    });

    test('is left behind where the queue could not be asked', () => {
      const nothing = { waits: false, unreachable: false };
      const repeated = new CrashKeeper({ offset: 5n, count: 1, isolateUntil: 5n }, 100, 7);
      assert.equal(repeated.left(5n, nothing), undefined);
      assert.equal(repeated.left(5n, { ...nothing, unreachable: true })?.count, 1);
    });
  });

  test('a holder that waited for its lease leaves a batch that failed to one with more time', async () => {
    const failed = { kind: 'failed', errorType: 'Error', errorMessage: 'away' } as const;
    const endOf = async (deps: { readonly invocationMs?: number }) => {
      const sent: bigint[] = [];
      const world = createHeldQueue({
        ...{ leftMs: 19_000, deps },
        client: {
          sendBack: async ({ commitLogOffset }) => void sent.push(commitLogOffset),
          queryOffset: async () => 0n,
        },
      });
      const batch = takeBatch(world, ['a', 'b']);
      world.pass(10_000);
      await world.held.settlement.conclude(batch, failed, 10_000);
      return { sent: sent.length, limit: world.held.batchLimits.maxMessagesAt(0n) };
    };
    assert.deepEqual(await endOf({ invocationMs: 60_000 }), { sent: 0, limit: 1 });
    assert.deepEqual(await endOf({ invocationMs: 19_000 }), { sent: 2, limit: undefined });
  });

  test('limits of batches are kept for messages without an end', () => {
    const limits = new KeptBatchLimits();
    limits.narrow(9n, 5);
    limits.narrow(4n, 2);
    assert.deepEqual(
      [3n, 9n, 10n].map((offset) => limits.maxMessagesAt(offset)),
      [2, 5, undefined],
    );
    assert.deepEqual(limits.from(5n), [{ until: 10n, maxMessages: 5 }]);
    limits.clear();
    assert.deepEqual(limits.from(0n), []);
  });

  test('attempts that failed during a write are unsaved after it', () => {
    const attempts = new CountedAttempts();
    attempts.failed();
    attempts.saving();
    assert.equal(attempts.isUnsaved, false);
    attempts.failed();
    assert.equal(attempts.isUnsaved, true);
    attempts.saving();
    attempts.notSaved();
    assert.equal(attempts.isUnsaved, true);
  });

  test('the hand-over is measured once, by the first message that was there before', () => {
    const observed: [string, number][] = [];
    const meter = {
      count: () => {},
      observe: (metric: string, value: number) => void observed.push([metric, value]),
    };
    const clock = { now: () => 5_000, sleep: async () => {} };
    const handOver = { heldUntil: 1_000, acquiredAt: 3_000 };
    const woken = new HandOverMeasure(handOver, clock, meter);
    woken.calling({ storeTimestamp: 4_000 });
    woken.calling({ storeTimestamp: 500 });
    const awake = new HandOverMeasure(handOver, clock, meter);
    awake.foundNothing();
    awake.calling({ storeTimestamp: 500 });
    assert.deepEqual(observed, [['WakeLatency', 1_000]]);
  });

  test('a queue that drains begins no batch of what was pulled, and all of what was popped', async () => {
    const { held } = createHeldQueue();
    const { lifecycle, wakeup } = held;
    const pulls = fetchByPull({ lifecycle }, async () => {});
    let messages = 1;
    const inHand = {
      get count() {
        return messages;
      },
    };
    const pops = fetchByPop({ lifecycle, messages: inHand, wakeup }, async () => {});
    await pops.run(1);
    assert.deepEqual([pulls.delivers, pops.delivers], [true, true]);
    lifecycle.stop('moved');
    assert.deepEqual([pulls.delivers, pops.delivers], [false, true]);
    messages = 0;
    assert.equal(pops.delivers, false);
    messages = 1;
    lifecycle.stop('deadline');
    assert.equal(pops.delivers, false);
  });

  test('a retry queue has the subscriptions of the whole group', () => {
    const config = source([subscription('orders'), subscription('refunds')]);
    const at = (topic: string) =>
      queueSubscriptions(config, { topic, brokerName: 'broker-a', queueId: 0 });
    const names = (topic: string) => at(topic).all.map((one) => one.topic);
    assert.deepEqual(names('refunds'), ['refunds']);
    assert.deepEqual(names('%RETRY%workers'), ['orders', 'refunds']);
    assert.equal(at('%RETRY%workers').ofQueue, undefined);
    assert.equal(at('orders').ofMessage(namedMessage('a', 0))?.topic, 'orders');
  });

  test('a reset forgets attempts, limits and messages, also those with a handler', () => {
    const world = createHeldQueue({ assignment: { attempts: new Map([[0n, 3]]) } });
    const batch = takeBatch(world, ['a', 'b']);
    const { held } = world;
    assert.equal(batch.deliveries[0]?.entry.localRetries, 3);
    held.batchLimits.narrow(1n, 1);
    const pull = held.lifecycle.signal('pull');
    held.offsets.rewind(0n);
    assert.deepEqual(
      [held.messages.count, held.attempts.attemptsAt(0n), held.batchLimits.from(0n), pull.aborted],
      [0, 0, [], true],
    );
    held.settlement.putBack(batch);
    assert.equal(held.messages.count, 0);
  });

  for (const [mode, order] of [
    ['unordered', undefined],
    ['ordered', { by: 'queue', suspendCurrentQueueTimeMillis: 10 }],
  ] as const)
    test(`${mode}: a message that its handler drops is one of the handled ones`, async () => {
      const world = createHeldQueue({ ...(order && { subscription: { order } }) });
      const batch = takeBatch(world, ['a', 'b']);
      await world.held.settlement.settle(batch, (position) =>
        position === 1 ? { kind: 'drop' } : undefined,
      );
      const { handled, dropped, sentBack } = world.held.report();
      assert.deepEqual({ handled, dropped, sentBack }, { handled: 2, dropped: 1, sentBack: 0 });
    });

  test('the end of a suspect is committed and stored before anything behind it is delivered', async () => {
    const calls: string[] = [];
    const world: HeldQueueWorld = createHeldQueue({
      assignment: { crash: { offset: 0n, suspect: 0n, count: 3, isolateUntil: 9n } },
      client: {
        sendBack: async () => void calls.push('sent back'),
        queryOffset: async () => 0n,
        commitOffset: async (_group, _queue, offset) => {
          calls.push(`committed ${offset}`);
          return { resetPending: false };
        },
      },
      store: {
        renew: async ({ crash }) => {
          calls.push(crash === null ? 'stored without a crash record' : 'stored with it');
          return applied(world);
        },
      },
    });
    const { held } = world;
    held.messages.put([namedMessage('a', 0), namedMessage('b', 1)], [], 2n, world.now());
    const { work } = held.nextBatch();
    assert(work?.kind === 'unhandled' && work.code === 'ROCKETMQ_KILLS_PULLER');
    await held.settlement.settleUnhandled(work);
    assert.deepEqual(calls, ['sent back', 'committed 1', 'stored without a crash record']);
    assert.equal(held.nextBatch().work?.kind, 'batch');
  });

  test('a message that cannot be read for its end has it all the same', async () => {
    const places: bigint[] = [];
    const { held, now } = createHeldQueue({
      client: { sendBack: async ({ commitLogOffset }) => void places.push(commitLogOffset) },
    });
    const message = namedMessage('a', 0);
    const unreadable = Object.defineProperty({ ...message, queueOffset: 0n }, 'topic', {
      get: () => {
        throw new Error('broken');
      },
    });
    held.messages.put([unreadable], [], 1n, now());
    const { work } = held.nextBatch();
    assert(work?.kind === 'unhandled' && work.condition === REASON);
    await held.settlement.settleUnhandled(work);
    assert.deepEqual([places, held.messages.committable], [[0n], 1n]);
  });
});

function takeBatch({ held, now }: HeldQueueWorld, names: readonly string[]): Batch {
  held.messages.put(
    names.map((name, offset) => namedMessage(name, offset)),
    [],
    BigInt(names.length),
    now(),
  );
  const { work } = held.nextBatch();
  assert(work?.kind === 'batch');
  return work;
}

function applied(
  { held }: HeldQueueWorld,
  lease: { readonly leaseUntil?: number } = {},
): Extract<LeaseAnswer, { applied: true }> {
  const { queue } = held;
  return {
    applied: true,
    assignment: {
      ...{ cluster: 'default', consumerGroup: 'workers', queue, slot: 0, generation: 0, fence: 1 },
      ...{ startOffset: 0n, lease: { ...held.lease.current, ...lease } },
    },
  };
}
