import {
  INVOCATION_VALID_MS,
  type Invoked,
  type QueueFacts,
  standing,
  whichToInvoke,
} from '../decide/dispatch/which-to-invoke.ts';
import { wholeSlots } from '../decide/dispatch/whole-slots.ts';
import { GroupNotFoundError, PermissionError } from '../errors.ts';
import { storedOffset } from '../flow/stored-offset.ts';
import { type Assignment, placeKey, type SlotPlace } from '../model/assignment.ts';
import { isPopUnit, type MessageQueue, queueKey } from '../model/message-queue.ts';
import { isLimited } from '../model/source.ts';
import type { Subscription } from '../model/subscription.ts';
import type { PullerRequest } from '../ports/invoke.ts';
import type { GroupCheck } from './check-group.ts';
import type { GroupRun } from './group-run.ts';
import { isReplaced } from './replaced-queue.ts';
import { hasWorkAt, storedAt } from './stored-at.ts';
import type { IdleWatch } from './watch-idle-queues.ts';

export interface DispatchOptions {
  readonly check: GroupCheck;
  readonly watch: IdleWatch;
  /** Ask the broker about watched queues too, as each full pass does. */
  readonly askAll: boolean;
}

const NOTHING: ReadonlyMap<string, Subscription> = new Map();

/**
 * Invokes a puller for every queue that needs one, and watches the idle ones.
 * @returns whether every queue rests or is watched, so that nothing can change without the watch telling
 */
export async function invokePullers(
  run: GroupRun,
  assignments: readonly Assignment[],
  options: DispatchOptions,
): Promise<boolean> {
  const { check, watch } = options;
  const subscriptions = check.refused ? NOTHING : check.subscriptions;
  const now = run.clock.now();
  const deliverable = assignments.filter(({ queue }) => subscriptions.has(queue.topic));
  const facts = await readFacts(run, deliverable, options, now);
  watch.found.clear();
  const chosen = whichToInvoke(deliverable, facts, run.invoked, run.source.pullers, now, run.rules);
  const { requests, idle } = isLimited(run.source)
    ? wholeSlots(chosen, deliverable, run.invoked, now, run.rules)
    : chosen;
  watch.watchOnly(
    idle.flatMap(({ queue }) => {
      const offset = facts.get(queueKey(queue))?.committed;
      const subscription = subscriptions.get(queue.topic);
      return offset === undefined || subscription === undefined
        ? []
        : [{ queue, offset, subscription }];
    }),
  );
  const fences = new Map(deliverable.map(({ queue, fence }) => [queueKey(queue), fence]));
  const seen = (key: string) => ({
    fence: fences.get(key) ?? 0,
    committed: facts.get(key)?.committed,
  });
  await Promise.all(
    requests.map(({ slot, queues }) =>
      invoke(
        run,
        { slot, queues },
        queues.map(queueKey).map((key) => [key, seen(key)]),
      ),
    ),
  );
  const quiet =
    idle.length +
    deliverable.filter((assignment) => standing(assignment, now) === 'resting').length;
  return quiet === deliverable.length;
}

/** An invocation that holds the slot, as its member of the group. */
export async function invokeMember(
  run: GroupRun,
  { queue: place, fence }: Assignment<SlotPlace>,
): Promise<void> {
  const invoked = [placeKey(place), { fence, committed: undefined }] as const;
  await invoke(run, { slot: place.slot, queues: [], asMember: true }, [invoked]);
}

/** One puller invocation, when its turn has come; what it was for is remembered for this run. */
async function invoke(
  run: GroupRun,
  request: Pick<PullerRequest, 'slot' | 'queues' | 'asMember'>,
  invoked: readonly (readonly [string, Omit<Invoked, 'at'>])[],
): Promise<void> {
  await run.pace.invocation(() => invokeNow(run, request, invoked));
}

async function invokeNow(
  run: GroupRun,
  request: Pick<PullerRequest, 'slot' | 'queues' | 'asMember'>,
  invoked: readonly (readonly [string, Omit<Invoked, 'at'>])[],
): Promise<void> {
  // Left to the next run, which the waiting would overlap.
  if (run.signal.aborted) return;
  const at = run.clock.now();
  try {
    await run.invoker.invoke({ ...run.group, ...request, notAfter: at + INVOCATION_VALID_MS });
    run.counts.invocations++;
    for (const [key, what] of invoked) run.invoked.set(key, { at, ...what });
    run.logger.info({ slot: request.slot, queues: invoked.map(([key]) => key) }, 'puller invoked');
  } catch (error) {
    run.problems.add(error);
  }
}

/** Committed and maximum offsets of the free queues, by queue key. A broker that cannot be asked leaves its queues out. */
async function readFacts(
  run: GroupRun,
  assignments: readonly Assignment[],
  { watch, askAll }: DispatchOptions,
  now: number,
): Promise<Map<string, QueueFacts>> {
  const free = assignments.filter((assignment) => standing(assignment, now) === 'free');
  const facts = await Promise.all(
    free.map(async (assignment): Promise<[string, QueueFacts][]> => {
      const { queue } = assignment;
      const key = queueKey(queue);
      // How many messages there are, and since when, the watch does not know.
      const foundAt = run.rules.activation === undefined ? watch.found.get(key) : undefined;
      if (foundAt !== undefined) return [[key, { committed: foundAt, max: foundAt + 1n }]];
      const watchedAt = askAll ? undefined : watch.watchedAt(key);
      if (watchedAt !== undefined) return [[key, { committed: watchedAt, max: watchedAt }]];
      const fact = await askBroker(run, assignment);
      return fact === undefined ? [] : [[key, fact]];
    }),
  );
  return new Map(facts.flat());
}

async function askBroker(run: GroupRun, assignment: Assignment): Promise<QueueFacts | undefined> {
  const { queue, committedOffset } = assignment;
  const { rocketmq, signal, problems } = run;
  try {
    if (isPopUnit(queue)) return await askForMessages(run, queue);
    const [committed, told] = await Promise.all([
      storedOffset(rocketmq, run.source, queue, committedOffset, { signal }),
      rocketmq.maxOffset(queue, { signal }).catch((error: unknown) => {
        if (error instanceof PermissionError) return undefined;
        throw error;
      }),
    ]);
    const max = told ?? (await endByLooking(run, queue, committed));
    if (told !== undefined && committed === told && (await isReplaced(run, assignment, told)))
      return { committed: undefined, max };
    return { committed, max, ...(await waitingSince(run, queue, committed, max)) };
  } catch (error) {
    if (signal.aborted) throw error;
    problems.add(error, { topic: queue.topic, brokerName: queue.brokerName });
    return undefined;
  }
}

/** The end of a queue that may not be asked for, where no watch finds out, or where its finding does not decide: one message, or none. */
async function endByLooking(
  run: GroupRun,
  queue: MessageQueue,
  committed: bigint | undefined,
): Promise<bigint | undefined> {
  if (committed === undefined || (run.watches && run.rules.activation === undefined))
    return undefined;
  return (await hasWorkAt(run, queue, committed)) ? committed + 1n : committed;
}

/** Only where it counts for the decision. */
async function waitingSince(
  run: GroupRun,
  queue: MessageQueue,
  committed: bigint | undefined,
  max: bigint | undefined,
): Promise<Pick<QueueFacts, 'waitingSince'>> {
  const { activation } = run.rules;
  if (activation === undefined || committed === undefined || max === undefined || max <= committed)
    return {};
  return max - committed > activation.lagThreshold
    ? {}
    : { waitingSince: await storedAt(run, queue, committed) };
}

/** Offsets say nothing of popped messages: the broker is asked whether it has some to give. */
async function askForMessages(
  { rocketmq, group, signal }: GroupRun,
  { topic, brokerName }: MessageQueue,
): Promise<QueueFacts> {
  try {
    const waiting = await rocketmq.hasMessages(
      { consumerGroup: group.consumerGroup, topic, brokerName, pollMs: 0 },
      { signal },
    );
    return { committed: 0n, max: waiting ? 1n : 0n };
  } catch (error) {
    // The first pop makes the group, where the broker may make groups.
    if (error instanceof GroupNotFoundError) return { committed: undefined, max: undefined };
    throw error;
  }
}
