import type { Assignment } from '../../model/assignment.ts';
import { isLive } from '../lease/lease.ts';

/**
 * - consuming: a puller holds it;
 * - moving: it is held for another slot than its own, or somebody waits to take it over;
 * - waiting: messages are there, and nobody holds it;
 * - idle: nothing is there, and the coordinator watches it;
 * - paused, disabled, retired: it is for nobody now.
 */
export type QueueState =
  | 'consuming'
  | 'moving'
  | 'waiting'
  | 'idle'
  | 'paused'
  | 'disabled'
  | 'retired';

/** What a queue is doing, in one word. `lag` undefined: it could not be asked. */
export function queueState(
  assignment: Assignment,
  enabled: boolean,
  lag: bigint | undefined,
  now: number,
): QueueState {
  const { retiredAt, pausedUntil, lease, slot, successor } = assignment;
  if (retiredAt !== undefined) return 'retired';
  if (isLive(lease, now)) {
    const isMoving = lease.slot !== slot || (successor !== undefined && successor.until >= now);
    return isMoving ? 'moving' : 'consuming';
  }
  if (pausedUntil !== undefined && pausedUntil >= now) return 'paused';
  if (!enabled) return 'disabled';
  return lag !== undefined && lag > 0n ? 'waiting' : 'idle';
}
