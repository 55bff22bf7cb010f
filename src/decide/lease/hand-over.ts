import type { Assignment, Lease } from '../../model/assignment.ts';
import type { SourceConfig } from '../../model/source.ts';

/** From one holder of a queue to the next. Epoch ms. */
export interface HandOver {
  /** When the lease before ended. */
  readonly heldUntil: number;
  readonly acquiredAt: number;
}

/**
 * The hand-over of which something can be told. Undefined: nobody held the queue before (what is in it may be older than the group), it was paused
 * since, or its offset was moved back since, so that its first message waited for nobody. Nor of a group that is shared (`coexist`): between two
 * of our holders its other members may have worked the queue.
 * @param start where the new holder begins
 */
export function handOverOf(
  { coexist }: Pick<SourceConfig, 'coexist'>,
  { heldUntil, committedOffset }: Assignment,
  { acquiredAt }: Lease,
  start: bigint,
): HandOver | undefined {
  if (
    coexist === true ||
    heldUntil === undefined ||
    committedOffset === undefined ||
    start < committedOffset
  )
    return undefined;
  return { heldUntil, acquiredAt };
}

/** Why messages waited for a new holder, and for how long: milliseconds, never negative, whatever the clocks of broker and hosts say. */
export interface Waited {
  readonly metric: 'WakeLatency' | 'SuccessionGap';
  readonly ms: number;
}

/**
 * What the first message tells that a new holder gives to a handler. Stored while the queue was held: it was left over, and nobody worked the queue
 * between the two holders. Stored later: the queue slept, and the message woke it.
 * @param storedAt by the broker's clock, epoch ms
 * @param calledAt when its handler is called, epoch ms
 */
export function waitedFor(
  { heldUntil, acquiredAt }: HandOver,
  storedAt: number,
  calledAt: number,
): Waited {
  return storedAt < heldUntil
    ? { metric: 'SuccessionGap', ms: Math.max(0, acquiredAt - heldUntil) }
    : { metric: 'WakeLatency', ms: Math.max(0, calledAt - storedAt) };
}
