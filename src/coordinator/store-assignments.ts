import {
  isLongAbsent,
  type PlanChange,
  planChanges,
  queueOf,
} from '../decide/assignment/plan-changes.ts';
import { type StartPosition, startPosition } from '../decide/assignment/start-position.ts';
import { PermissionError } from '../errors.ts';
import type { Assignment, LifeMark } from '../model/assignment.ts';
import { isPopUnit, type MessageQueue, queueKey } from '../model/message-queue.ts';
import { isEnabled } from '../model/source.ts';
import type { Plan } from '../ports/assignment-store.ts';
import type { Allocation } from './allocate-queues.ts';
import type { GroupRun } from './group-run.ts';
import type { Routes } from './read-routes.ts';
import { storedAt } from './stored-at.ts';

/**
 * Writes what differs between the allocation and the stored items, then the plan. Every write stands for itself and repeats itself harmlessly:
 * a coordinator that dies anywhere in here, or meets another, leaves a state from which the next pass goes on.
 * @returns the items as they are now
 */
export async function storeAssignments(
  run: GroupRun,
  routes: Routes,
  allocation: Allocation,
  stored: readonly Assignment[],
): Promise<readonly Assignment[]> {
  const plan = await run.store.readPlan(run.group);
  const met = new Set(plan?.metTopics);
  const now = run.clock.now();
  const changes = planChanges(
    allocation.wanted,
    stored,
    allocation.undecided,
    now,
    await awayBrokers(run, routes, stored, now),
  ).filter(
    // A topic is met when its subscription is enabled first, not when it is deployed.
    (change) =>
      change.kind !== 'keep' &&
      (change.kind !== 'create' || isEnabled(run.source, change.queue.topic)),
  );
  const byQueue = Map.groupBy(changes, (change) => queueKey(queueOf(change)));
  await Promise.all(Array.from(byQueue.values(), (ofQueue) => carryOut(run, ofQueue, met)));
  const current = changes.length > 0 ? await run.store.list(run.group) : stored;
  await storePlan(run, routes, allocation, plan, current);
  return current;
}

/**
 * Which brokers are away. Those that the routes name are there; of the others the name servers are asked, but only when
 * a queue is to be retired otherwise. Where they do not answer, nothing is retired.
 */
async function awayBrokers(
  run: GroupRun,
  { brokerNames }: Routes,
  stored: readonly Assignment[],
  now: number,
): Promise<(brokerName: string) => boolean> {
  const there = new Set(brokerNames);
  const doubtful = stored.some(
    (item) =>
      item.retiredAt === undefined && isLongAbsent(item, now) && !there.has(item.queue.brokerName),
  );
  if (doubtful)
    try {
      for (const name of await run.rocketmq.brokerNames({ signal: run.signal })) there.add(name);
    } catch (error) {
      if (run.signal.aborted) throw error;
      run.problems.add(error);
    }
  return (name) => !there.has(name);
}

/** The changes of one queue, in their order. One that fails leaves its queue to the next pass. */
async function carryOut(
  run: GroupRun,
  changes: readonly PlanChange[],
  met: ReadonlySet<string>,
): Promise<void> {
  for (const change of changes) {
    const { topic, brokerName } = queueOf(change);
    try {
      await write(run, change, met);
    } catch (error) {
      run.problems.add(error, { topic, brokerName });
      return;
    }
  }
}

async function write(run: GroupRun, change: PlanChange, met: ReadonlySet<string>): Promise<void> {
  const { group, store, counts, clock } = run;
  const queue = queueOf(change);
  switch (change.kind) {
    case 'create': {
      const position = startPosition(run.subscriptionOf(queue.topic), met.has(queue.topic));
      const startOffset = await findOffset(run, queue, position);
      const mark = position.at === 'min' ? undefined : await markBefore(run, queue, startOffset);
      if (await store.create(group, queue, change.slot, startOffset, mark)) counts.created++;
      return;
    }
    case 'revive': {
      if (await store.revive(group, queue, change.slot, change.assignment.generation))
        counts.revived++;
      return;
    }
    case 'move':
      if (await store.move(group, queue, change.slot, change.assignment.generation)) counts.moved++;
      return;
    case 'miss':
      await store.setAbsent(group, queue, clock.now(), change.assignment.generation);
      return;
    case 'find':
      await store.setAbsent(group, queue, undefined, change.assignment.generation);
      return;
    case 'retire':
      if (await store.setRetired(group, queue, clock.now(), change.assignment.generation)) {
        counts.retired++;
        run.logger.warn(
          { queue: queueKey(queue) },
          'the queue left the route and is retired; its offset stays at the broker',
        );
      }
      return;
    case 'keep':
      return;
  }
}

/** The message before a start offset recognises the queue's life until a holder was given one. */
async function markBefore(
  run: GroupRun,
  queue: MessageQueue,
  startOffset: bigint,
): Promise<LifeMark | undefined> {
  if (isPopUnit(queue) || startOffset === 0n) return undefined;
  const offset = startOffset - 1n;
  const at = await storedAt(run, queue, offset);
  return at === undefined ? undefined : { offset, storedAt: at };
}

async function findOffset(
  { rocketmq, signal, problems }: GroupRun,
  queue: MessageQueue,
  position: StartPosition,
): Promise<bigint> {
  // The broker decides at the first pop, told by its initMode.
  if (isPopUnit(queue)) return 0n;
  switch (position.at) {
    case 'max':
      return rocketmq.maxOffset(queue, { signal });
    case 'timestamp':
      return rocketmq.searchOffset(queue, position.timestamp, { signal });
    case 'min':
      try {
        return await rocketmq.minOffset(queue, { signal });
      } catch (error) {
        if (!(error instanceof PermissionError)) throw error;
        // Without the Get right: 0 as Java does, the broker answers the first pull with its minimum.
        problems.add(error, { topic: queue.topic, brokerName: queue.brokerName });
        return 0n;
      }
  }
}

/** How old `lastPassAt` may get: it is for people, and costs a write. */
const PLAN_STAMP_MS = 60_000;

async function storePlan(
  run: GroupRun,
  routes: Routes,
  { slots }: Allocation,
  plan: Plan | undefined,
  items: readonly Assignment[],
): Promise<void> {
  const now = run.clock.now();
  const metTopics = [...new Set([...(plan?.metTopics ?? []), ...topicsMet(routes, items)])].sort();
  const next = { strategy: run.source.strategy.name, slots, topologyHash: routes.hash };
  const changed =
    plan === undefined ||
    plan.strategy !== next.strategy ||
    plan.slots !== next.slots ||
    plan.topologyHash !== next.topologyHash;
  if (
    !changed &&
    metTopics.length === plan.metTopics.length &&
    now - plan.lastPassAt < PLAN_STAMP_MS
  )
    return;
  const version = (plan?.version ?? 0) + (changed ? 1 : 0);
  await run.store.writePlan(
    run.group,
    { ...next, version, metTopics, lastPassAt: now },
    plan?.version,
  );
}

/** Topics of which every queue has an item, and so a start offset: from now on, more queues are later queues. */
function topicsMet(routes: Routes, items: readonly Assignment[]): string[] {
  const stored = new Set(items.map(({ queue }) => queueKey(queue)));
  return [...routes.queues].flatMap(([topic, queues]) =>
    queues.length > 0 && queues.every((queue) => stored.has(queueKey(queue))) ? [topic] : [],
  );
}
