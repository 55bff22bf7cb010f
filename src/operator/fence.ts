import { mayBeHeld } from '../decide/lease/lease.ts';
import { pauseOf } from '../decide/state/operator-pause.ts';
import { inWindow } from '../flow/in-window.ts';
import type { Assignment, OperatorPause } from '../model/assignment.ts';
import { type MessageQueue, queueKey } from '../model/message-queue.ts';
import type { SourceConfig } from '../model/source.ts';
import type { OperatorDeps } from './operator-deps.ts';
import { assignmentsOf, groupKey } from './scope.ts';

/** A fence that its maker did not take away ends by itself. */
const FENCE_MS = 120_000;
/** How long one request waits for holders; who is not through by then is waited for by the next request. */
const WAIT_MS = 20_000;
const LOOK_MS = 250;
const RESERVE_MS = 10_000;

/**
 * Works on queues while nobody consumes them, so that no holder's commit comes over the operator's: they are paused, holders drain and release, the
 * work is done, and they go on. Queues that are still held when the request has to end are left out: the next request waits on.
 * @returns results of the queues that were free, and the queues that are held still
 */
export async function fenced<Result>(
  deps: OperatorDeps,
  source: SourceConfig,
  queues: readonly MessageQueue[],
  why: string,
  work: (queue: MessageQueue, assignment: Assignment | undefined) => Promise<Result>,
): Promise<{ readonly done: Result[]; readonly held: MessageQueue[] }> {
  const { store, clock } = deps;
  const wanted = new Set(queues.map(queueKey));
  const read = async (): Promise<Map<string, Assignment>> =>
    new Map(
      (await assignmentsOf(deps, source))
        .filter(({ queue }) => wanted.has(queueKey(queue)))
        .map((each) => [queueKey(each.queue), each]),
    );
  const group = groupKey(source);
  const now = clock.now();
  const fence: OperatorPause = { since: now, until: now + FENCE_MS, reason: why };
  const before = await read();
  const unfenced = [...before.values()].filter(
    ({ operatorPause }) => operatorPause === undefined || operatorPause.until < fence.until,
  );
  await inWindow(unfenced, async ({ queue }) => store?.setOperatorPause(group, queue, fence));
  const giveUpAt = now + Math.min(WAIT_MS, deps.remainingMs() - RESERVE_MS);
  let items = await read();
  const isHeld = (queue: MessageQueue): boolean =>
    mayBeHeld(items.get(queueKey(queue))?.lease, clock.now());
  while (queues.some(isHeld) && clock.now() < giveUpAt) {
    await clock.sleep(LOOK_MS);
    items = await read();
  }
  const held = queues.filter(isHeld);
  const free = queues.filter((queue) => !held.includes(queue));
  try {
    return { done: await inWindow(free, (queue) => work(queue, items.get(queueKey(queue)))), held };
  } finally {
    if (store !== undefined) {
      // What operators want now: they may have paused the group meanwhile, or have resumed it.
      const standing = await store.standingPauses(group);
      const ends = clock.now();
      const worked = new Set(free.map(queueKey));
      await inWindow(
        unfenced.filter(({ queue }) => worked.has(queueKey(queue))),
        ({ queue, operatorPause: old }) => {
          const wasTheirs = old !== undefined && old.until > ends && old.reason !== why;
          const pause = pauseOf(queue, standing, ends) ?? (wasTheirs ? old : undefined);
          return store.setOperatorPause(group, queue, pause, fence);
        },
      );
    }
  }
}
