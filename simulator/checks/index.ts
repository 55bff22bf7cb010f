import { absentEvents } from './absent-events.ts';
import { calls } from './calls.ts';
import type { CheckDefinition } from './check.ts';
import { committedBelowUnfinished } from './committed-below-unfinished.ts';
import { concurrency } from './concurrency.ts';
import { drained } from './drained.ts';
import { filtered } from './filtered.ts';
import { leaseEnd } from './lease-end.ts';
import { leftBehind } from './left-behind.ts';
import { loopsGoOn } from './loops-go-on.ts';
import { memory } from './memory.ts';
import { nothingAfterSkip } from './nothing-after-skip.ts';
import { nothingLost } from './nothing-lost.ts';
import { oneHolder } from './one-holder.ts';
import { oneMember } from './one-member.ts';
import { operatorsOffset } from './operators-offset.ts';
import { order } from './order.ts';
import { pauseIsKept } from './pause-is-kept.ts';
import { popped } from './popped.ts';
import { prompt } from './prompt.ts';
import { recordAge } from './record-age.ts';
import { repeats } from './repeats.ts';
import { retryLimit } from './retry-limit.ts';
import { sendsPerFailure } from './sends-per-failure.ts';

/** Every invariant, checked in every run. */
export const CHECKS: readonly CheckDefinition[] = [
  nothingLost,
  committedBelowUnfinished,
  popped,
  oneHolder,
  oneMember,
  leaseEnd,
  retryLimit,
  sendsPerFailure,
  recordAge,
  filtered,
  order,
  nothingAfterSkip,
  operatorsOffset,
  pauseIsKept,
  prompt,
  absentEvents,
  concurrency,
  calls,
  memory,
  loopsGoOn,
  repeats,
  drained,
  leftBehind,
];
