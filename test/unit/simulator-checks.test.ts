import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CheckedWorld } from '../../simulator/checks/check.ts';
import { oneMember } from '../../simulator/checks/one-member.ts';
import { repeats } from '../../simulator/checks/repeats.ts';
import { createHost, type Host, type Scheduler } from '../../simulator/kernel/scheduler.ts';
import { planOf } from '../../simulator/scenarios.ts';
import type { Delivery, WorldEvent } from '../../simulator/world/events.ts';
import { Ledger } from '../../simulator/world/ledger.ts';
import { storedPlace } from '../../src/store/places.ts';
import type { StoredMessage } from '../../src/testing/broker/message-store.ts';

const QUEUE = 'orders/broker-a/0';

/** What the check `repeats` finds in a queue whose messages all have one key. */
class RepeatsOfAQueue {
  readonly #plan = planOf('sent-twice', 1);
  readonly #ledger = new Ledger(() => 'key', false, new Set());
  readonly #clock = { now: 0 };
  readonly #check;

  constructor({ disturbances = [], delays = [] }: Partial<CheckedWorld> = {}) {
    const { source } = this.#plan;
    this.#check = repeats.create({
      plan: this.#plan,
      ledger: this.#ledger,
      scheduler: this.#clock as unknown as Scheduler,
      faultTimes: [],
      disturbances,
      delays,
      sourceOf: () => source,
      pending: () => [],
    } satisfies CheckedWorld);
    for (const number of [0, 1])
      this.#ledger.stored('broker-a', {
        topic: 'orders',
        queueId: 0,
        queueOffset: number,
        physicalOffset: number,
        reconsumeTimes: 0,
        storeTimestamp: this.#clock.now,
        body: Buffer.from(JSON.stringify({ n: number, k: 'k0' })),
      } as StoredMessage);
  }

  wait(ms: number): void {
    this.#clock.now += ms;
  }

  /** The messages, by offset, in one call of 100 ms, each with its outcome. */
  deliver(puller: Host, outcomes: Readonly<Record<number, Delivery['outcome']>>) {
    const deliveries = Object.entries(outcomes).map(([offset, outcome]): Delivery => {
      const position = this.#ledger.positions.get(`${QUEUE}/${offset}`);
      assert(position);
      const startedAt = this.#clock.now;
      return {
        ...{ position, puller, startedAt, told: 0, endedAt: undefined, outcome },
        ...{ failedWithCall: false, isBehindFailure: false },
      };
    });
    this.#ledger.started(deliveries);
    const found = this.#check.on?.({ kind: 'delivery-started', deliveries });
    this.#clock.now += 100;
    this.#ledger.ended(deliveries, this.#clock.now);
    this.#check.on?.({ kind: 'delivery-ended', deliveries });
    return found;
  }
}

describe('the check repeats', () => {
  const [first, second] = [createHost('puller-1'), createHost('puller-2')];

  it('finds a message that was handled and is delivered again', () => {
    const queue = new RepeatsOfAQueue();
    assert.equal(queue.deliver(first, { 0: 'ok', 1: 'ok' }), undefined);
    assert.match(queue.deliver(first, { 1: 'ok' }) ?? '', /handled 0 ms ago by puller-1/);
  });

  it('accepts a message that came behind a failure of its group, though an earlier holder handled it', () => {
    const queue = new RepeatsOfAQueue();
    queue.deliver(first, { 0: 'dropped' });
    queue.deliver(first, { 1: 'ok' });
    // The first holder dies before its commit.
    assert.notEqual(queue.deliver(second, { 0: 'dropped', 1: 'ok' }), undefined);
    assert.equal(queue.deliver(second, { 1: 'ok' }), undefined);
    assert.match(queue.deliver(second, { 1: 'ok' }) ?? '', /handled 0 ms ago by puller-2/);
  });

  for (const [what, delays, isFound] of [
    ['more than a second', [], true],
    ['more than a second, part of which its answer was on the way', [[90, 400]], false],
    [
      'more than a second, and delays that do not make up for it',
      [
        [90, 150],
        [100, 190],
      ],
      true,
    ],
    ['more than a second, and another process was delayed', [[90, 400, second]], true],
  ] as const)
    it(`${isFound ? 'finds' : 'accepts'} a repeat after a death, where the commit had ${what}`, () => {
      const queue = new RepeatsOfAQueue({
        disturbances: [{ of: { kind: 'process', host: first }, from: 1_250, until: 1_250 }],
        delays: delays.map(([from, until, host = first]) => ({ host, from, until })),
      });
      queue.deliver(first, { 0: 'ok' });
      queue.wait(30_000);
      assert.equal(queue.deliver(second, { 0: 'ok' }) !== undefined, isFound);
    });
});

describe('the check one-member', () => {
  const slot = `${storedPlace({ slot: 0 }).topic}//0`;
  const [java, ours] = [createHost('java-1'), createHost('puller-2')];

  /** What it finds when Java's member, and 5 s later ours, delivers from the queue. */
  function found(events: readonly (readonly [at: number, event: WorldEvent])[]) {
    const clock = { now: 0 };
    const check = oneMember.create({
      faultTimes: [],
      scheduler: clock as unknown as Scheduler,
    } as Partial<CheckedWorld> as CheckedWorld);
    const delivered = (puller: Host): WorldEvent => ({
      kind: 'delivery-started',
      deliveries: [{ puller, position: { queue: QUEUE } } as Delivery],
    });
    const all = [...events, [200_000, delivered(java)], [205_000, delivered(ours)]] as const;
    return all.map(([at, event]) => {
      clock.now = at;
      return check.on?.(event);
    });
  }

  const acquired = (holder: string): WorldEvent => ({
    ...{ kind: 'acquired', queue: slot, holder, fence: 1 },
  });
  const ended = (name: string): WorldEvent => ({
    ...{ kind: 'ended', host: createHost(name), how: 'returned', leftovers: undefined },
  });

  const held = [100_000, 120_000, 140_000, 160_000, 180_000].map(
    (at) => [at, acquired('puller-1')] as const,
  );

  it('finds two members, also after one took over the slot of another', () => {
    const events = found([...held, [191_000, acquired('puller-2')], [192_000, ended('puller-1')]]);
    assert.match(events.at(-1) ?? '', /puller-2 delivers messages .* 5000 ms ago another member/);
  });

  it('accepts what follows when a member went before the next one had its slot', () => {
    const events = found([...held, [191_000, ended('puller-1')], [196_000, acquired('puller-2')]]);
    assert.equal(events.at(-1), undefined);
  });
});
