import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import {
  leaseUntil,
  mayAct,
  RENEW_INTERVAL_MS,
  renewalDue,
  SAFETY_MARGIN_MS,
} from '../../src/decide/lease/lease.ts';
import type { Lease } from '../../src/model/assignment.ts';
import { FOREIGN_SLOT } from '../../src/model/membership.ts';
import type { LeaseAnswer } from '../../src/ports/assignment-store.ts';
import { createAssignmentStore } from '../../src/store/assignment-store.ts';
import { TENANT } from './databases.ts';

/** Any two clocks differ by less than twice this; with a commit that is under way for up to 3 s that stays below the safety margin. */
export const MAX_SKEW_MS = 999;
export const MAX_COMMIT_MS = 3_000;
const INVOCATION_MS = 120_000;

type Fault = 'none' | 'repeat' | 'give-up';

export interface Turn {
  readonly actor: number;
  readonly action: number;
  /** How long a commit is under way. */
  readonly latency: number;
  readonly fault: Fault;
}

/** What a puller believes. Its process may be frozen for as long as it does not get a turn: nothing wakes it, and its beliefs stay. */
interface Puller {
  holder: string;
  readonly skew: number;
  lease: Lease | undefined;
  renewedAt: number;
  /** Acquired with an unknown outcome, or lost count: waits until its lease must be over, as a crashed one. */
  committed: bigint;
}

interface CommitUnderWay {
  readonly by: Puller;
  readonly holder: string;
  readonly fence: number;
  readonly offset: bigint;
  readonly landsAt: number;
}

const GROUP = { cluster: 'model' };
const QUEUE = { topic: 'orders', brokerName: 'broker-a', queueId: 0 };
const SLOTS = 2;
const PULLERS = 4;

/**
 * One queue, four pullers, two coordinators and a broker that takes any commit. Time is virtual; the table and its races are real.
 * The broker is where the rules are checked: it knows every acquisition, and so who may not commit any more.
 */
export async function createLeaseWorld(
  client: DynamoDBClient,
  table: string,
  name: string,
  skews: readonly number[],
) {
  const group = { ...GROUP, consumerGroup: name };
  const faults = faultsOf(client);
  const store = createAssignmentStore(client, table, { keys: TENANT, newToken: randomUUID });
  let time = 1_800_000_000_000;
  let offset = 0n;
  let highestFence = 0;
  let lastRelease: 'sure' | 'unsure' | 'none' = 'sure';
  let unsureAcquisitions = 0;
  let incarnations = 0;
  const underWay: CommitUnderWay[] = [];
  const seen = { acquisitions: 0, takeOvers: 0, successions: 0, commits: 0, lost: 0, giveUps: 0 };
  const newHolder = () => `puller-${++incarnations}`;
  const pullers = Array.from(
    { length: PULLERS },
    (_, i): Puller => ({
      holder: newHolder(),
      skew: skews[i] ?? 0,
      lease: undefined,
      renewedAt: 0,
      committed: 0n,
    }),
  );
  assert.equal(await store.create(group, QUEUE, 0, 0n), true);

  const local = (puller: Puller) => time + puller.skew;

  function land(commit: CommitUnderWay): void {
    assert.equal(
      commit.fence,
      highestFence,
      `${commit.holder} committed with fence ${commit.fence} after fence ${highestFence} was given`,
    );
    assert.ok(
      commit.offset > offset,
      `the committed offset went back from ${offset} to ${commit.offset}`,
    );
    offset = commit.offset;
    seen.commits++;
  }

  function checkActing(): void {
    const acting = pullers.filter(
      (puller) => puller.lease !== undefined && mayAct(puller.lease, local(puller)),
    );
    assert.ok(
      acting.length <= 1,
      `${acting.map(({ holder }) => holder).join(' and ')} may act at once`,
    );
  }

  const hasUnderWay = (puller: Puller) => underWay.some(({ by }) => by === puller);

  /** The store call of a puller. An error leaves the outcome unknown. */
  async function asked(call: () => Promise<LeaseAnswer>): Promise<LeaseAnswer | undefined> {
    try {
      return await call();
    } catch (error) {
      assert.equal((error as Error).name, 'LostForGood');
      seen.giveUps++;
      return undefined;
    }
  }

  async function acquire(puller: Puller, slot: number): Promise<void> {
    const now = local(puller);
    const endsAt = now + INVOCATION_MS;
    const request = { ...group, queue: QUEUE, slot, holder: puller.holder, now };
    const answer = await asked(() =>
      store.acquire({ ...request, leaseUntil: leaseUntil(now, endsAt), endsAt }),
    );
    if (answer === undefined) {
      // It may hold without knowing: its name is given up, as a puller that failed does.
      lastRelease = 'unsure';
      unsureAcquisitions++;
      puller.holder = newHolder();
    } else if (answer.applied) {
      const { lease, crash } = answer.assignment;
      assert.ok(lease !== undefined && lease.holder === puller.holder && lease.slot === slot);
      assert.ok(lease.fence > highestFence, `fence ${lease.fence} was given after ${highestFence}`);
      if (lastRelease === 'sure')
        assert.equal(crash, undefined, 'a crash was counted after a release');
      if (lastRelease === 'none')
        assert.ok(
          crash !== undefined && crash.count > 0,
          'a holder vanished, and nobody counted it',
        );
      if (crash !== undefined) seen.takeOvers++;
      highestFence = lease.fence;
      lastRelease = 'none';
      Object.assign(puller, { lease, renewedAt: now, committed: offset });
      seen.acquisitions++;
    } else if (answer.reason === 'held' || answer.reason === 'successor-waits') {
      const wish = await asked(() => store.announceSuccessor({ ...request, until: now + 15_000 }));
      if (wish?.applied) seen.successions++;
    }
  }

  async function renew(puller: Puller, lease: Lease): Promise<void> {
    const now = local(puller);
    const until = leaseUntil(now, lease.endsAt);
    const answer = await asked(() =>
      store.renew({
        ...group,
        queue: QUEUE,
        ...fenced(lease),
        leaseUntil: until,
        committedOffset: puller.committed,
      }),
    );
    // Without an answer the old end counts: the new one may or may not stand.
    if (answer === undefined) return;
    if (!answer.applied) return lose(puller, lease, answer);
    puller.lease = { ...lease, leaseUntil: until };
    puller.renewedAt = now;
    const { slot, successor, pausedUntil = 0, retiredAt } = answer.assignment;
    const drain =
      slot !== lease.slot ||
      retiredAt !== undefined ||
      pausedUntil >= now ||
      (successor !== undefined && successor.until >= now);
    if (drain && !hasUnderWay(puller)) await release(puller, puller.lease);
  }

  async function release(puller: Puller, lease: Lease): Promise<void> {
    puller.lease = undefined;
    lastRelease = 'unsure';
    const before = unsureAcquisitions;
    const answer = await asked(() =>
      store.release({
        ...group,
        queue: QUEUE,
        ...fenced(lease),
        committedOffset: puller.committed,
      }),
    );
    // An acquisition without an answer may have come behind it in the table, and before it here.
    const isLast = highestFence === lease.fence && unsureAcquisitions === before;
    if (answer?.applied && isLast) lastRelease = 'sure';
  }

  function lose(puller: Puller, lease: Lease, answer: LeaseAnswer): void {
    assert.ok(!answer.applied && answer.reason === 'taken-over');
    assert.ok((answer.current?.fence ?? 0) > lease.fence, 'a lease was lost to nobody');
    seen.lost++;
    puller.lease = undefined;
  }

  async function pullerTurn(puller: Puller, { action, latency }: Turn): Promise<void> {
    const { lease } = puller;
    const now = local(puller);
    if (lease === undefined) return acquire(puller, action % SLOTS);
    if (action < 5) return crash(puller);
    if (now >= lease.endsAt) return crash(puller);
    if (action < 15 && !hasUnderWay(puller)) return release(puller, lease);
    if (renewalDue(puller.renewedAt, now, RENEW_INTERVAL_MS) || action < 30)
      return renew(puller, lease);
    if (!mayAct(lease, now)) return;
    puller.committed += 1n;
    // One connection: commits do not overtake each other.
    const before = underWay.filter(({ by }) => by === puller).map(({ landsAt }) => landsAt);
    const landsAt = Math.max(time + Math.min(latency, MAX_COMMIT_MS), ...before);
    underWay.push({
      by: puller,
      holder: lease.holder,
      fence: lease.fence,
      offset: puller.committed,
      landsAt,
    });
  }

  /** Everything it knew is gone; what it had sent may still arrive. */
  function crash(puller: Puller): void {
    Object.assign(puller, { holder: newHolder(), lease: undefined });
  }

  async function coordinatorTurn(skew: number, { action }: Turn): Promise<void> {
    const now = time + skew;
    const [item] = await store.list(group);
    assert.ok(item !== undefined && item.slot !== FOREIGN_SLOT);
    const { generation, absentSince, retiredAt } = item;
    if (retiredAt !== undefined) await store.revive(group, QUEUE, action % SLOTS, generation);
    else if (action < 40) await store.move(group, QUEUE, (item.slot + 1) % SLOTS, generation);
    else if (action < 55) await store.setPaused(group, QUEUE, now + 20_000);
    else if (action < 65)
      await store.setAbsent(group, QUEUE, absentSince === undefined ? now : undefined, generation);
    else if (action < 75) await store.setRetired(group, QUEUE, now, generation);
  }

  return {
    seen,
    /** Time passes: commits land on their way, each in its moment. */
    pass(ms: number): void {
      const until = time + ms;
      for (;;) {
        const next = underWay
          .filter(({ landsAt }) => landsAt <= until)
          .sort((a, b) => a.landsAt - b.landsAt)[0];
        if (next === undefined) break;
        underWay.splice(underWay.indexOf(next), 1);
        time = Math.max(time, next.landsAt);
        checkActing();
        land(next);
      }
      time = until;
      checkActing();
    },
    /** The actors' turns, at once. */
    async take(turns: readonly Turn[]): Promise<void> {
      await Promise.all(
        turns.map((turn) =>
          faults.run(turn.fault, async () => {
            const puller = pullers[turn.actor];
            if (puller !== undefined) return pullerTurn(puller, turn);
            await coordinatorTurn(skews[turn.actor] ?? 0, turn).catch((error: unknown) =>
              assert.equal((error as Error).name, 'LostForGood'),
            );
          }),
        ),
      );
      checkActing();
    },
    /** When the faults are over and all wishes, pauses and leases have ended by themselves, the queue can be taken. */
    async endsWell(): Promise<void> {
      this.pass(MAX_COMMIT_MS);
      time += INVOCATION_MS + SAFETY_MARGIN_MS;
      const [item] = await store.list(group);
      assert.ok(item !== undefined && item.slot !== FOREIGN_SLOT);
      if (item.retiredAt !== undefined)
        assert.equal(await store.revive(group, QUEUE, item.slot, item.generation), true);
      const last: Puller = {
        holder: 'last',
        skew: 0,
        lease: undefined,
        renewedAt: 0,
        committed: 0n,
      };
      await acquire(last, item.slot);
      assert.ok(last.lease !== undefined, 'nobody can take the queue any more');
    },
  };
}

function fenced({ holder, fence }: Lease): { holder: string; fence: number } {
  return { holder, fence };
}

const installed = new WeakMap<DynamoDBClient, AsyncLocalStorage<{ fault: Fault }>>();

/**
 * Makes writes that are carried out and not answered: `repeat` looks like a broken connection, which the SDK repeats by itself; `give-up` is an
 * error that it does not repeat, as after its last attempt.
 */
function faultsOf(client: DynamoDBClient): {
  run<T>(fault: Fault, work: () => Promise<T>): Promise<T>;
} {
  const known = installed.get(client);
  const current = known ?? new AsyncLocalStorage<{ fault: Fault }>();
  if (known === undefined) {
    installed.set(client, current);
    client.middlewareStack.add(
      (next, context) => async (args) => {
        const answer = await next(args);
        const turn = current.getStore();
        if (
          turn === undefined ||
          turn.fault === 'none' ||
          !String(context.commandName).startsWith('UpdateItem')
        )
          return answer;
        const name = turn.fault === 'repeat' ? 'TimeoutError' : 'LostForGood';
        turn.fault = 'none';
        throw Object.assign(new Error('the answer was lost'), { name });
      },
      { step: 'finalizeRequest', priority: 'low', name: 'loseAnswers' },
    );
  }
  return { run: (fault, work) => current.run({ fault }, work) };
}
