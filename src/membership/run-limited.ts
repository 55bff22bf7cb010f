import { maxRunMs } from '../decide/budget/handler-run-time.ts';
import { fitsHandler } from '../decide/budget/time-budget.ts';
import { lookEveryMs, rulesOf } from '../decide/dispatch/rules-of.ts';
import { mayJoinSlot } from '../decide/dispatch/whole-slots.ts';
import { shareOf } from '../decide/slots/share-of.ts';
import { linkSignals } from '../model/linked-signal.ts';
import { queueKey } from '../model/message-queue.ts';
import { findSource, isEnabled, isLimited, type SourceConfig } from '../model/source.ts';
import { isTooLate, type PullerRequest } from '../ports/invoke.ts';
import type { MayReplace } from '../puller/hold-lease.ts';
import type { PullerDeps, PullerReport } from '../puller/puller-deps.ts';
import { DEFAULT_OPTIONS, runPuller } from '../puller/run-puller.ts';
import { createSlotShare } from '../puller/slot-share.ts';
import { notWorked } from '../puller/work-queue.ts';
import { isRefused } from './refused-request.ts';
import { Seat } from './seat.ts';

/**
 * A puller invocation. Where handler calls are limited over all queues (`maximumConcurrency`) it is its slot's only one while it sits on the slot's
 * seat, and calls handlers within the slot's share of the limit; its successor waits for the seat until the last call has ended.
 */
export async function runLimited(request: PullerRequest, given: PullerDeps): Promise<PullerReport> {
  const { cluster, consumerGroup, slot } = request;
  const source = findSource(given.service, request);
  if (source !== undefined && isRefused(source, request, given.logger))
    return { consumerGroup, queues: request.queues.map((queue) => notWorked(queue, 'refused')) };
  if (source === undefined || !isLimited(source) || isTooLate(request, given.clock.now()))
    return runPuller(request, given);
  const options = { ...DEFAULT_OPTIONS, ...given.options };
  await given.store.slots.create({ cluster, consumerGroup }, slot);
  const limitedMs = Math.max(
    ...source.subscriptions.flatMap(({ handler, maximumConcurrency }) =>
      maximumConcurrency === undefined ? [] : [maxRunMs(handler)],
    ),
  );
  const mayReplace = replacementOf(request, source, given);
  const seat = await Seat.take(given, options, source, slot, limitedMs, mayReplace);
  if (seat === undefined) {
    given.logger.info({ consumerGroup, slot }, 'the slot has an invocation already');
    return {
      consumerGroup,
      queues: request.queues.map((queue) => notWorked(queue, 'not-acquired')),
    };
  }
  const share = createSlotShare(limitsOf(source, slot));
  const drain = new AbortController();
  const ended = new AbortController();
  const keeping = keepSeat(seat, given, options.renewIntervalMs, ended.signal, (news) => {
    given.logger.warn({ consumerGroup, slot, news }, 'the slot is to be left: draining');
    // Calls under way were begun within our share; whoever comes next waits for them.
    if (news === 'lost') share.close();
    drain.abort();
  }).catch((error: unknown) => {
    // Awaited only at the end: without its seat the slot must not go on.
    given.logger.error(
      { consumerGroup, slot, err: error, code: 'ROCKETMQ_INTERNAL' },
      'slot lease not renewed any more: draining',
    );
    share.close();
    drain.abort();
  });
  const { signal, unlink } = linkSignals(drain.signal, given.signal);
  let othersRunUntil: number | undefined;
  try {
    othersRunUntil = await outlastPredecessor(seat, source, given, options.reserveMs, signal);
    if (othersRunUntil !== undefined) {
      const reason = signal.aborted ? 'signal' : 'too-little-time';
      return { consumerGroup, queues: request.queues.map((queue) => notWorked(queue, reason)) };
    }
    // The time that it waited for the seat does not make it late.
    const { notAfter: _started, ...inTime } = request;
    return await runPuller(inTime, { ...given, signal, share });
  } finally {
    unlink();
    ended.abort();
    await keeping;
    await seat.release(share.mayStillRun ? given.clock.now() + limitedMs : othersRunUntil);
  }
}

/** A slot's invocation is replaced for queues that are in this request, and that the table says are left over. */
function replacementOf(
  { cluster, consumerGroup, slot, queues }: PullerRequest,
  source: SourceConfig,
  { store, service }: Pick<PullerDeps, 'store' | 'service'>,
): MayReplace {
  const asked = new Set(queues.map(queueKey));
  const rules = rulesOf(source, lookEveryMs(service));
  return async ({ lease }, now) => {
    const items = await store.list({ cluster, consumerGroup });
    const deliverable = items.filter(
      ({ queue }) => asked.has(queueKey(queue)) && isEnabled(source, queue.topic),
    );
    return mayJoinSlot(deliverable, slot, lease?.acquiredAt ?? now, now, rules);
  };
}

function limitsOf({ subscriptions, pullers }: SourceConfig, slot: number): Map<string, number> {
  const slots = pullers === 'queue' ? 1 : pullers;
  return new Map(
    subscriptions.flatMap(({ topic, maximumConcurrency, limitedWith }) =>
      maximumConcurrency === undefined || limitedWith !== undefined
        ? []
        : [[topic, shareOf(maximumConcurrency, slots, slot)] as const],
    ),
  );
}

/**
 * Handlers that a holder had called who died, or who could not wait for them, may still be at work.
 * @returns until when, epoch ms, where this invocation has to go before, or has no time for a handler afterwards: the next one waits for the rest
 */
async function outlastPredecessor(
  seat: Seat,
  { subscriptions }: SourceConfig,
  { clock, logger, remainingMs }: PullerDeps,
  reserveMs: number,
  signal: AbortSignal,
): Promise<number | undefined> {
  const until = seat.handlersRunUntil;
  if (until === undefined || until <= clock.now()) return undefined;
  const waitMs = until - clock.now();
  logger.warn(
    { waitMs },
    "the slot's last invocation died, or could not wait for its handlers: waiting until they cannot run any more",
  );
  const mostMs = remainingMs() - reserveMs;
  await clock.sleep(Math.max(0, Math.min(waitMs, mostMs)), signal).catch(() => {});
  return signal.aborted ||
    mostMs < waitMs ||
    !fitsHandler(remainingMs(), maxTimeoutMs(subscriptions), reserveMs)
    ? until
    : undefined;
}

function maxTimeoutMs(subscriptions: SourceConfig['subscriptions']): number {
  return Math.max(0, ...subscriptions.map(({ handler }) => handler.timeout)) * 1000;
}

/** Renews the seat until the invocation has ended, and tells once when it is to be left. */
async function keepSeat(
  seat: Seat,
  { clock }: PullerDeps,
  intervalMs: number,
  ended: AbortSignal,
  onLeave: (news: 'successor' | 'paused' | 'lost') => void,
): Promise<void> {
  while (!ended.aborted) {
    await clock.sleep(intervalMs, ended).catch(() => {});
    if (ended.aborted) return;
    const news = await seat.renew();
    if (news !== 'kept') onLeave(news);
    if (news === 'lost') return;
  }
}
