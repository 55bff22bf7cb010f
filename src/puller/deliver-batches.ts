import type { ProcessQueue } from '../decide/process-queue/process-queue.ts';
import type { Clock } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';
import type { LifecycleKeeper } from '../queue/lifecycle-keeper.ts';
import { stopPolicy } from '../queue/stop-reasons.ts';
import type { Wakeup } from '../queue/wakeup.ts';
import type { DeliveryResult } from './call-handler.ts';
import type { CallRights } from './call-rights.ts';
import type { Commits } from './commit-offset.ts';
import { waitsSince } from './confirm-delivery.ts';
import type { CrashKeeper } from './crash-keeper.ts';
import type { Fetching } from './fetching.ts';
import type { LeaseKeeper } from './lease-keeper.ts';
import type { Chosen } from './next-batch.ts';
import type { QueueCounts } from './queue-counts.ts';
import type { QueueSubscriptions } from './queue-subscriptions.ts';
import type { Settlement } from './settlement.ts';
import type { Batch, NextWork } from './work.ts';

/** How often a deliverer looks for messages that wait for their next try. */
const LOOK_MS = 500;

interface DeliverParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly messages: Pick<ProcessQueue, 'peek' | 'waiting' | 'nextDue' | 'giveBack' | 'expects'>;
  readonly subscriptions: Pick<QueueSubscriptions, 'ofMessage'>;
  readonly wakeup: Wakeup;
  readonly lifecycle: Pick<LifecycleKeeper, 'ending'>;
  readonly crash: Pick<CrashKeeper, 'deliverAlone' | 'survived'>;
  readonly commits: Pick<Commits, 'commit'>;
  readonly leaseKeeper: Pick<LeaseKeeper, 'renew'>;
  readonly rights: Pick<CallRights, 'alone'>;
  readonly fetching: Pick<Fetching, 'delivers'>;
  readonly counts: Pick<QueueCounts, 'repeated'>;
  /** Does this holder have its lease, or gets it back? */
  readonly holdsLease: () => Promise<boolean>;
  /** May a batch go to its handler right now? */
  readonly mayDeliver: () => boolean;
  /** Takes what is delivered next. */
  readonly nextBatch: () => Chosen;
  /** Until when the next batch waits to become full, epoch ms; undefined: it does not. */
  readonly windowEnd: () => number | undefined;
  readonly callHandler: (
    batch: Batch,
    flush: boolean,
    waitsFrom: number | undefined,
  ) => Promise<DeliveryResult>;
  readonly settlement: Settlement;
}

/** One of the queue's parallel deliverers: takes a batch, calls the handler, settles, until the queue's work ends. Mirrors ConsumeMessageConcurrentlyService. */
export async function deliverBatches(parts: DeliverParts): Promise<void> {
  const { fetching, settlement, wakeup } = parts;
  while (fetching.delivers) {
    const chosen = parts.mayDeliver() ? parts.nextBatch() : NOTHING;
    const { work } = chosen;
    if (work === undefined && !removesAny(chosen)) {
      // Wakes nobody: idle deliverers would wake each other without end.
      await wakeup.wait(lookAgainMs(parts));
      continue;
    }
    await Promise.all([settleRemoved(settlement, chosen), work && carryOut(parts, work)]);
    wakeup.all();
  }
  await deliverWhatWaits(parts);
}

const NOTHING: Chosen = { work: undefined, filteredOut: [], setAside: [] };

function removesAny({ filteredOut, setAside }: Chosen): boolean {
  return filteredOut.length > 0 || setAside.length > 0;
}

/** What leaves the queue without a handler. */
async function settleRemoved(
  settlement: Settlement,
  { filteredOut, setAside }: Chosen,
): Promise<void> {
  await Promise.all([
    filteredOut.length > 0 && settlement.settleFilteredOut(filteredOut),
    setAside.length > 0 && settlement.setAside(setAside),
  ]);
}

/** @param flush see deliver */
async function carryOut(parts: DeliverParts, work: NextWork, flush = false): Promise<void> {
  if (work.kind === 'unhandled') await parts.settlement.settleUnhandled(work);
  else await deliver(parts, work, flush).finally(() => work.memory.release());
}

/** The last batch of a queue that is on its way out: whoever comes next would make its messages wait a second window. */
async function deliverWhatWaits(parts: DeliverParts): Promise<void> {
  const { lifecycle, messages, settlement } = parts;
  const { ending } = lifecycle;
  if (ending === undefined || !stopPolicy(ending).flushWindow || !parts.mayDeliver()) return;
  if (!waitsForWindow(parts)) return;
  let chosen = parts.nextBatch();
  while (removesAny(chosen)) {
    await settleRemoved(settlement, chosen);
    if (chosen.work !== undefined) break;
    chosen = parts.nextBatch();
  }
  const { work } = chosen;
  if (work?.kind === 'batch') await carryOut(parts, work, true);
  else if (work !== undefined) messages.giveBack(work.entry, 0, false);
}

/** Does one batch wait for its window? More than one batch did not wait for it. */
function waitsForWindow({
  clock,
  messages,
  subscriptions,
}: Pick<DeliverParts, 'clock' | 'messages' | 'subscriptions'>): boolean {
  const entry = messages.peek(clock.now());
  if (entry?.message === undefined) return false;
  const subscription = subscriptions.ofMessage(entry.message);
  if (subscription?.maximumBatchingWindow === undefined) return false;
  return messages.waiting(clock.now()).count < subscription.batchSize;
}

/** Until then nothing changes by itself: the next message that waits for its time is due, or it is time to look for others. */
function lookAgainMs(parts: DeliverParts): number {
  const { messages, clock } = parts;
  const now = clock.now();
  const lookAt = now + LOOK_MS;
  return Math.min(lookAt, messages.nextDue(now) ?? lookAt, parts.windowEnd() ?? lookAt) - now;
}

/**
 * @param flush the queue is on its way out, and this batch still goes to its handler
 * @param waitsFrom since when the messages wait for more than their turn, epoch ms; undefined: they do not
 */
async function deliver(
  parts: DeliverParts,
  batch: Batch,
  flush = false,
  waitsFrom = waitsSince(batch),
): Promise<void> {
  if (batch.alone) await deliverAlone(parts, batch, flush, waitsFrom);
  else await deliverNow(parts, batch, flush, waitsFrom);
}

/**
 * Nothing else is delivered meanwhile that could end the process (decide/crash), also not before the
 * table and the broker have what came of it: the death of the next message would count for this one.
 */
async function deliverAlone(
  parts: DeliverParts,
  batch: Batch,
  flush: boolean,
  waitsFrom = parts.clock.now(),
): Promise<void> {
  const { clock, commits, crash, leaseKeeper, rights, settlement } = parts;
  const release = await rights.alone(batch.subscription);
  if (release === undefined) return settlement.putBack(batch, clock.now() + LOOK_MS);
  try {
    const isAnswered = await crash.deliverAlone(() => deliverNow(parts, batch, flush, waitsFrom));
    const [first] = batch.deliveries;
    if (!isAnswered || first === undefined || !crash.survived(first.entry.offset)) return;
    await commits.commit();
    await leaseKeeper.renew();
  } finally {
    release();
  }
}

/** @returns whether there was a verdict */
async function deliverNow(
  parts: DeliverParts,
  batch: Batch,
  flush: boolean,
  waitsFrom: number | undefined,
): Promise<boolean> {
  const { clock, counts, logger, settlement } = parts;
  const startedAt = clock.now();
  const result = await parts.callHandler(batch, flush, waitsFrom);
  if (result.kind === 'settled') return true;
  if (result.kind === 'no-verdict') {
    settlement.putBack(batch, result.notBefore);
    return false;
  }
  if (result.kind === 'set-aside') {
    await settlement.setAside(batch.deliveries.map(({ entry }) => entry));
    return true;
  }
  const { outcome, tookMs } = result;
  logger.debug(
    {
      batchId: batch.batchId,
      outcome: outcome.kind,
      messages: batch.deliveries.length,
      ms: clock.now() - startedAt,
    },
    'the handler was called',
  );
  // Another holder may have taken over while the handler ran. It delivers again, and nothing of this counts.
  if (!(await parts.holdsLease())) {
    counts.repeated(batch.deliveries.length);
    return true;
  }
  const nextParts = await settlement.conclude(batch, outcome, tookMs);
  // A part waits while the handler has the one before it.
  const concludedAt = clock.now();
  for (const part of nextParts) await deliverPart(parts, part, concludedAt);
  return true;
}

async function deliverPart(parts: DeliverParts, part: Batch, waitsFrom: number): Promise<void> {
  const { fetching, messages, settlement } = parts;
  // The queue is on its way out, or its messages were dropped for another offset.
  if (fetching.delivers && part.deliveries.every(({ entry }) => messages.expects(entry)))
    await deliver(parts, part, false, waitsFrom);
  else settlement.putBack(part);
}
