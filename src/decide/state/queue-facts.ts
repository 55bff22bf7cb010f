import type { Assignment } from '../../model/assignment.ts';
import { FOREIGN_SLOT } from '../../model/membership.ts';
import { isEnabled, type SourceConfig } from '../../model/source.ts';
import { isLive } from '../lease/lease.ts';
import { type QueueState, queueState } from './queue-state.ts';

/** What the table says about a queue now. Times are epoch ms. */
export interface QueueFacts {
  readonly state: QueueState;
  /** Absent: another member of the group has it. */
  readonly slot?: number;
  /** The invocation that holds it, and until when. */
  readonly holder?: string;
  readonly leaseUntil?: number;
}

/** @param lag undefined: it could not be asked */
export function queueFacts(
  source: SourceConfig,
  assignment: Assignment,
  lag: bigint | undefined,
  now: number,
): QueueFacts {
  const { lease, slot, queue } = assignment;
  return {
    state: queueState(assignment, isEnabled(source, queue.topic), lag, now),
    ...(slot === FOREIGN_SLOT ? {} : { slot }),
    ...(isLive(lease, now) ? { holder: lease.holder, leaseUntil: lease.leaseUntil } : {}),
  };
}
