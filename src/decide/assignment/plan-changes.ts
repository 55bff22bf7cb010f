import type { Assignment, LeasePlace } from '../../model/assignment.ts';
import type { AssignedSlot } from '../../model/membership.ts';
import { compareQueues, type MessageQueue, queueKey } from '../../model/message-queue.ts';

/**
 * How long a queue has to be missing, in passes without exception, before it is retired: two passes of 20 s. A name server that was just
 * started, or that lost a broker's registration for a moment (brokers register every 30 s), must not make holders drain.
 */
export const ABSENT_BEFORE_RETIRE_MS = 40_000;

/**
 * How long a queue has to be missing together with its broker before it is retired. A broker that restarts, or that is
 * repaired, comes back with its queues; meanwhile their items stay as they are. A broker that was removed leaves in the end.
 */
export const AWAY_BEFORE_RETIRE_MS = 24 * 3_600_000;

/** What a pass has to write for one queue. `assignment` is the item as it was read: its generation guards the write. */
export type PlanChange =
  /** No item yet: decide the start offset and make it. */
  | { readonly kind: 'create'; readonly queue: MessageQueue; readonly slot: AssignedSlot }
  | { readonly kind: 'move'; readonly assignment: Assignment; readonly slot: AssignedSlot }
  /** First pass that does not find the queue. */
  | { readonly kind: 'miss'; readonly assignment: Assignment }
  /** It was missed, and is there again. */
  | { readonly kind: 'find'; readonly assignment: Assignment }
  | { readonly kind: 'retire'; readonly assignment: Assignment }
  /** It was retired, and is there again. */
  | { readonly kind: 'revive'; readonly assignment: Assignment; readonly slot: AssignedSlot }
  | { readonly kind: 'keep'; readonly assignment: Assignment };

export interface Wanted {
  readonly queue: MessageQueue;
  readonly slot: AssignedSlot;
}

/**
 * Wanted against stored, in queue order. A queue that was missed and is found again may also have to move: then it gets two changes,
 * to be carried out in their order.
 * @param undecided topics whose route or allocation failed in this pass: their items stay as they are
 * @param isAway is the broker missing as a whole? Then nothing is said of its queues
 */
export function planChanges(
  wanted: readonly Wanted[],
  stored: readonly Assignment[],
  undecided: ReadonlySet<string>,
  now: number,
  isAway: (brokerName: string) => boolean = () => false,
): PlanChange[] {
  const items = new Map(stored.map((assignment) => [queueKey(assignment.queue), assignment]));
  const wantedKeys = new Set(wanted.map(({ queue }) => queueKey(queue)));
  const present = wanted.flatMap(({ queue, slot }): PlanChange[] => {
    const assignment = items.get(queueKey(queue));
    if (assignment === undefined) return [{ kind: 'create', queue, slot }];
    if (assignment.retiredAt !== undefined) return [{ kind: 'revive', assignment, slot }];
    const found: PlanChange[] =
      assignment.absentSince === undefined ? [] : [{ kind: 'find', assignment }];
    if (assignment.slot !== slot) return [...found, { kind: 'move', assignment, slot }];
    return found.length > 0 ? found : [{ kind: 'keep', assignment }];
  });
  const absent = stored
    .filter(({ queue }) => !wantedKeys.has(queueKey(queue)))
    .map(
      (assignment): PlanChange => ({
        kind: absentKind(assignment, undecided, now, isAway(assignment.queue.brokerName)),
        assignment,
      }),
    );
  return [...present, ...absent].sort((a, b) => compareQueues(queueOf(a), queueOf(b)));
}

function absentKind(
  { queue, retiredAt, absentSince }: Assignment,
  undecided: ReadonlySet<string>,
  now: number,
  away: boolean,
) {
  if (retiredAt !== undefined || undecided.has(queue.topic)) return 'keep';
  if (absentSince === undefined) return 'miss';
  return now - absentSince >= (away ? AWAY_BEFORE_RETIRE_MS : ABSENT_BEFORE_RETIRE_MS)
    ? 'retire'
    : 'keep';
}

/** Has the queue been missing for so long that nobody waits for it, although its item stays? */
export function isLongAbsent(
  { absentSince }: Pick<Assignment<LeasePlace>, 'absentSince'>,
  now: number,
) {
  return absentSince !== undefined && now - absentSince >= ABSENT_BEFORE_RETIRE_MS;
}

export function queueOf(change: PlanChange): MessageQueue {
  return change.kind === 'create' ? change.queue : change.assignment.queue;
}
