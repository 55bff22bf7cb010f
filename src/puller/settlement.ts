import { type Unhandled, undecodableEnd } from '../decide/batch/why-unhandled.ts';
import { workTime } from '../decide/budget/time-budget.ts';
import { blocksForLong } from '../decide/order/ends-in-order.ts';
import type { ProcessQueue, QueueEntry } from '../decide/process-queue/process-queue.ts';
import type { MessageEnd, MessageVerdict } from '../decide/settle/message-end.ts';
import type { SettlementRules, WholeEnd, WholeFailure } from '../decide/settle/settlement-rules.ts';
import type { CallOutcome } from '../delivery/read-outcome.ts';
import { describeThrown } from '../delivery/thrown.ts';
import { inWindow } from '../flow/in-window.ts';
import type { SubscriptionConfig } from '../model/source.ts';
import type { AbsentHandlers } from './absent-handlers.ts';
import { type BatchParts, partOf } from './build-batch.ts';
import type { Commits } from './commit-offset.ts';
import { giveBackFailed, type LocalAttempts } from './counted-attempts.ts';
import type { CrashKeeper } from './crash-keeper.ts';
import { type DeadLetterParts, endForGood } from './dead-letter.ts';
import type { Content } from './end-carrier.ts';
import type { FailedSends } from './failed-sends.ts';
import { failuresBefore } from './failures-before.ts';
import type { HeldLease } from './held-lease.ts';
import type { BatchLimits } from './kept-batch-limits.ts';
import type { LeaseKeeper } from './lease-keeper.ts';
import { maxReconsumeTimes } from './max-reconsume-times.ts';
import type { PullerDeps, PullerOptions } from './puller-deps.ts';
import { setAside } from './set-aside.ts';
import { Split } from './split.ts';
import { asUndecodable, unprocessable } from './unprocessable.ts';
import type { Batch, Delivery } from './work.ts';

/** Sends to the broker in parallel per batch. */
const SEND_BACK_WINDOW = 16;

/** What differs from mode to mode, see settlement-of. */
export interface SettlementMode {
  readonly rules: SettlementRules;
  /** How a message that failed and counts as done is logged. */
  readonly drop: {
    readonly level: 'warn' | 'error';
    readonly code: string;
    readonly message: string;
  };
  /** Other messages wait for the one that failed: its suspension counts, and its end is logged. */
  readonly isOrdered: boolean;
}

export interface SettlementParts
  extends DeadLetterParts,
    BatchParts,
    Pick<PullerDeps, 'remainingMs' | 'invocationMs'> {
  readonly options: Pick<PullerOptions, 'reserveMs'>;
  readonly messages: ProcessQueue;
  readonly attempts: LocalAttempts;
  readonly batchLimits: BatchLimits;
  readonly failedSends: FailedSends;
  readonly absent: Pick<AbsentHandlers, 'whyAbsent'>;
  readonly crash: CrashKeeper;
  readonly commits: Pick<Commits, 'commitFinally'>;
  readonly lease: HeldLease;
  readonly leaseKeeper: Pick<LeaseKeeper, 'renew'>;
  readonly lifecycle: DeadLetterParts['lifecycle'] & { stop(reason: 'deadline'): void };
}

/** A handler, or Lambda about its event, has spoken. */
type Outcome = Extract<CallOutcome, { kind: 'answered' | 'failed' | 'too-large' }>;

/** A message that failed, and what becomes of it. */
interface Failed {
  readonly delivery: Delivery;
  readonly end: Extract<MessageEnd, { kind: 'redeliver' | 'dead-letter' }>;
  readonly maxFailures: number;
}

/** Gives messages their ends, after the rules of the source's mode. */
export class Settlement {
  readonly #mode: SettlementMode;
  readonly #parts: SettlementParts;

  constructor(mode: SettlementMode, parts: SettlementParts) {
    this.#mode = mode;
    this.#parts = parts;
  }

  /**
   * Settles a batch by the outcome of its handler call.
   * @param tookMs the call; default: the whole timeout
   * @returns its parts, when they are to be delivered at once
   */
  async conclude(
    batch: Batch,
    outcome: Outcome,
    tookMs = batch.subscription.handler.timeout * 1000,
  ): Promise<readonly Batch[]> {
    const failure = wholeFailureOf(outcome);
    const errorType = outcome.kind === 'failed' ? outcome.errorType : undefined;
    const isAlike = errorType !== undefined && batch.split?.of.isAlike(errorType) === true;
    if (!failedByName(outcome, batch)) batch.split?.of.note(errorType);
    if (failure !== undefined)
      return this.#concludeWhole(batch, failure, outcome, {
        tookMs,
        isolates:
          this.#endsByFailure(batch) ||
          !((isAlike && batch.split?.isLast === true) || meansEach(errorType)),
      });
    const { verdict, suspension } = outcome as Extract<Outcome, { kind: 'answered' }>;
    if (verdict.kind !== 'read') return [];
    const { logger, counts } = this.#parts;
    if (this.#mode.isOrdered && suspension === 'invalid')
      logger.warn(
        { batchId: batch.batchId, code: 'ROCKETMQ_INVALID_ANSWER' },
        'suspendCurrentQueueTimeMillis of the answer is not a whole number: the configured one counts',
      );
    counts.count('FailedInvokeEventCount', verdict.failures.size);
    if (verdict.wrongWish !== undefined)
      logger.warn(
        { batchId: batch.batchId, code: 'ROCKETMQ_INVALID_WISH', reason: verdict.wrongWish },
        'what the answer wishes for a message cannot be followed: it fails by default',
      );
    const { othersDone } = verdict;
    const suspendMs = typeof suspension === 'number' ? suspension : undefined;
    const verdictOf = (position: number) => verdict.failures.get(position);
    await this.settle(batch, verdictOf, { othersDone, suspendMs });
    return [];
  }

  /**
   * Gives every message of a batch its end. What could not be sent back stays unfinished and is tried again here, up to its limit.
   * @param verdictOf a position in the batch: undefined = done
   * @param said `suspendMs` of the answer, without it that of the event's options; `othersDone`: messages that are not named are done
   */
  async settle(
    batch: Batch,
    verdictOf: (position: number) => MessageVerdict,
    {
      othersDone = true,
      suspendMs = batch.subscription.order?.suspendCurrentQueueTimeMillis ?? 0,
    }: { readonly othersDone?: boolean; readonly suspendMs?: number | undefined } = {},
  ): Promise<void> {
    const { source, counts, carrier, random } = this.#parts;
    const { deliveries, subscription } = batch;
    const settled = deliveries.map(({ entry, message }) => ({
      lane: entry.lane,
      failures: failuresBefore(message, source, entry.localRetries),
      maxFailures: maxReconsumeTimes(subscription, message),
    }));
    const options = { retryDelay: subscription.retryDelay, suspendMs, othersDone, random };
    const done: QueueEntry[] = [];
    const failed: Failed[] = [];
    for (const [position, end] of this.#mode.rules.endsOf(settled, verdictOf, options).entries()) {
      const delivery = deliveries[position] as Delivery;
      if (end.kind === 'redeliver' || end.kind === 'dead-letter')
        failed.push({ delivery, end, maxFailures: settled[position]?.maxFailures ?? 0 });
      else if (this.#isDone(batch, position, end)) done.push(delivery.entry);
    }
    const handled = await carrier.finish(done);
    if (handled > 0) counts.handled(handled);
    await inWindow(failed, (one) => this.#endFailed(one), SEND_BACK_WINDOW);
  }

  /** The end of a message that no handler gets. */
  async settleUnhandled(work: Unhandled & { readonly entry: QueueEntry }): Promise<void> {
    const { logger } = this.#parts;
    const { entry, code, how, reason } = work;
    const offset = String(entry.offset);
    logger.error({ code, offset, how }, reason);
    try {
      await this.#endUnhandled(work, entry);
    } catch (error) {
      logger.error(
        { ...describeThrown(error), code: unprocessable(error).code, offset },
        'message cannot be read for its end, only its place is used',
      );
      await this.#endUnhandled(work, asUndecodable(entry, error));
    }
    await this.#passSuspect(entry);
  }

  /** What no pattern of its subscription wants is done without its handler. */
  async settleFilteredOut(entries: readonly QueueEntry[]): Promise<void> {
    this.#parts.counts.count('FilteredOutEventCount', entries.length);
    await this.#parts.carrier.finish(entries);
  }

  /**
   * Messages of a retry queue whose handlers cannot be called now go to the end of the retry topic, uncounted. What
   * cannot be stored there waits here. A throw meanwhile is the message's own.
   */
  async setAside(entries: readonly QueueEntry[]): Promise<void> {
    const stored = new Map<SubscriptionConfig, number>();
    await inWindow(
      entries,
      async (entry) => {
        const subscription = this.#parts.subscriptions.ofMessage(entry.message);
        let end: Unhandled | undefined;
        try {
          const outcome = await setAside(this.#parts, entry);
          if (outcome === 'stored' && subscription !== undefined)
            stored.set(subscription, 1 + (stored.get(subscription) ?? 0));
          if (outcome === 'undecodable') end = undecodableEnd('the body cannot be decompressed');
        } catch (error) {
          end = unprocessable(error);
        }
        if (end !== undefined && this.#parts.messages.expects(entry))
          await this.settleUnhandled({ ...end, entry });
        else await this.#passSuspect(entry);
      },
      SEND_BACK_WINDOW,
    );
    for (const [subscription, messages] of stored) this.#noteSetAside(subscription, messages);
  }

  /** Puts the batch back unfinished. After a lost lease it stays as it is, see `LeaseKeeper.close`. */
  putBack({ deliveries }: Pick<Batch, 'deliveries'>, notBefore = 0): void {
    const { lifecycle, messages } = this.#parts;
    if (lifecycle.isLost) return;
    for (const { entry } of deliveries) messages.giveBack(entry, notBefore, false);
  }

  /** Nothing is delivered any more: commits what was settled, or gives back what no handler got. */
  async close(): Promise<void> {
    await this.#parts.carrier.close();
  }

  /** Is the message done? Otherwise it was put back. */
  #isDone(
    { batchId, deliveries, items, subscription }: Batch,
    position: number,
    end: Exclude<MessageEnd, Failed['end']>,
  ): boolean {
    const { entry } = deliveries[position] as Delivery;
    switch (end.kind) {
      case 'done':
        return true;
      case 'drop':
        this.#noteDropped(batchId, entry, items[position]?.messageId);
        return true;
      case 'untouched':
        this.#parts.messages.giveBack(entry, 0, false);
        return false;
      case 'suspend':
        this.#suspend(batchId, entry, end, subscription.maximumRetryAttempts);
        return false;
    }
  }

  /** Which message it was, smaller batches show. */
  async #concludeWhole(
    batch: Batch,
    failure: WholeFailure,
    outcome: Outcome,
    { tookMs, isolates }: { readonly tookMs: number; readonly isolates: boolean },
  ): Promise<readonly Batch[]> {
    const { batchLimits, lifecycle, counts } = this.#parts;
    const { deliveries, subscription } = batch;
    counts.callFailed(deliveries.length);
    if (failure === 'invalid-answer') counts.count('InvalidResponseCount');
    const end = this.#mode.rules.afterWholeFailure(failure, {
      count: deliveries.length,
      bisects: isolates && subscription.bisectBatchOnFunctionError !== false,
      ...this.#calls(batch, tookMs),
    });
    this.#reportWhole(batch, failure, outcome, end);
    const last = deliveries.at(-1);
    if ('maxMessages' in end && end.maxMessages !== undefined && last !== undefined)
      batchLimits.narrow(last.entry.offset, end.maxMessages);
    switch (end.kind) {
      case 'each-failed':
        await this.settle(batch, () => 'default');
        return [];
      case 'undeliverable':
        for (const { entry } of deliveries) await this.settleUnhandled({ ...UNDELIVERABLE, entry });
        return [];
      case 'leave':
        lifecycle.stop('deadline');
        this.putBack(batch);
        return [];
      case 'put-back':
        this.putBack(batch);
        return [];
      case 'parts': {
        const errorType = outcome.kind === 'failed' ? outcome.errorType : failure;
        const inHalves = end.first === Math.ceil(deliveries.length / 2);
        const of = new Split(errorType, inHalves, batch.split?.of);
        return [
          partOf(this.#parts, batch, [0, end.first], { of, isLast: false }),
          partOf(this.#parts, batch, [end.first, deliveries.length], { of, isLast: true }),
        ];
      }
    }
  }

  /** One more failure is the end of a message of the batch: it has to be its own. */
  #endsByFailure({ deliveries, subscription }: Batch): boolean {
    const { source } = this.#parts;
    if (source.messageModel === 'BROADCASTING') return true;
    if (subscription.order !== undefined) return false;
    return deliveries.some(
      ({ entry, message }) =>
        failuresBefore(message, source, entry.localRetries) >=
        maxReconsumeTimes(subscription, message),
    );
  }

  #reportWhole(
    { batchId, deliveries }: Batch,
    failure: WholeFailure,
    outcome: Outcome,
    { kind }: WholeEnd,
  ): void {
    const { code, message } = WHOLE_FAILURES[failure];
    this.#parts.logger.warn(
      { batchId, code, messages: deliveries.length, ...reasonOf(outcome) },
      `${message}, ${WHOLE_ENDS[kind]}`,
    );
  }

  /** Calls of the batch's handler that fit into the invocation: each takes as long as this one, and begins with its whole timeout left. */
  #calls(
    { subscription }: Batch,
    tookMs: number,
  ): { readonly callsLeft: number; readonly callsInAll: number } {
    const { options, lease, remainingMs } = this.#parts;
    const { endsAt, acquiredAt } = lease.current;
    // A holder that waited for its lease had less time than the next one may have.
    const { invocationMs = endsAt - acquiredAt } = this.#parts;
    const timeoutMs = subscription.handler.timeout * 1000;
    const within = (ms: number): number => {
      const spareMs = workTime(ms, options.reserveMs) - timeoutMs;
      return spareMs < 0 ? 0 : 1 + Math.floor(spareMs / Math.min(timeoutMs, Math.max(1, tookMs)));
    };
    return { callsLeft: within(remainingMs()), callsInAll: within(invocationMs) };
  }

  #noteSetAside(subscription: SubscriptionConfig, messages: number): void {
    const { absent, clock, logger } = this.#parts;
    const reason = absent.whyAbsent(subscription, clock.now());
    logger[reason === 'disabled' ? 'info' : 'warn'](
      { code: 'ROCKETMQ_SET_ASIDE', topic: subscription.topic, messages, reason },
      'messages moved to the end of the retry topic, no failure is counted',
    );
  }

  #noteDropped(batchId: string, { offset }: QueueEntry, messageId: string | undefined): void {
    const { level, code, message } = this.#mode.drop;
    this.#parts.counts.dropped();
    this.#parts.logger[level]({ batchId, offset: String(offset), msgId: messageId, code }, message);
  }

  /** Delivered again in its place. */
  #suspend(
    batchId: string,
    entry: QueueEntry,
    { failures, suspendMs }: Extract<MessageEnd, { kind: 'suspend' }>,
    maximumRetryAttempts: number,
  ): void {
    const { logger, clock, counts } = this.#parts;
    const { offset, lane } = entry;
    const fields = { batchId, offset: String(offset), lane, failures, suspendMs };
    if (blocksForLong(failures))
      logger.error(
        { ...fields, code: 'ROCKETMQ_ORDER_BLOCKED', maximumRetryAttempts },
        'message failed repeatedly and blocks its order, fix its handler or set maximumRetryAttempts',
      );
    else
      logger.warn(
        { ...fields, code: 'ROCKETMQ_ORDER_SUSPENDED' },
        'message failed, its order waits until it is delivered again',
      );
    if (giveBackFailed(this.#parts, entry, clock.now() + suspendMs))
      counts.count('RetriedEventCount');
  }

  /** A throw meanwhile is the message's own: it cannot be processed. */
  async #endFailed({ delivery, end, maxFailures }: Failed): Promise<void> {
    const { carrier, messages, logger } = this.#parts;
    const { entry } = delivery;
    try {
      if (end.kind === 'redeliver') await carrier.redeliver(delivery, end.redelivery, maxFailures);
      else await this.#endForGood(entry, end);
    } catch (error) {
      const work = { ...unprocessable(error), entry };
      if (messages.expects(entry)) await this.settleUnhandled(work);
      else logger.error({ code: work.code, offset: String(entry.offset) }, work.reason);
    }
  }

  /** Its lane waits for it: a message counts as with its handler until its end is stored. */
  async #endForGood(
    entry: QueueEntry,
    { condition }: Extract<MessageEnd, { kind: 'dead-letter' }>,
  ): Promise<void> {
    await endForGood(this.#parts, entry, condition);
    if (this.#mode.isOrdered && entry.state === 'done')
      this.#parts.logger.error(
        { code: 'ROCKETMQ_DEAD_LETTERED', offset: String(entry.offset), lane: entry.lane },
        'message dead-lettered, its order goes on',
      );
  }

  /** Before the first message behind the suspect: should it kill its puller too, the next one must not begin at the suspect again. */
  async #passSuspect(entry: QueueEntry): Promise<void> {
    const { crash, commits, leaseKeeper } = this.#parts;
    if (entry.state !== 'done' || !crash.passSuspect(entry.offset)) return;
    await commits.commitFinally();
    await leaseKeeper.renew();
  }

  /** @param content of the entry, or what of it can be read */
  async #endUnhandled(
    { entry, how, condition }: Unhandled & { readonly entry: QueueEntry },
    content: Content,
  ): Promise<void> {
    const { carrier, counts, subscriptions, source } = this.#parts;
    const { message, localRetries } = content;
    const subscription = subscriptions.ofMessage(message);
    const limits = {
      failures:
        message === undefined ? localRetries : failuresBefore(message, source, localRetries),
      maxFailures: subscription === undefined ? 0 : maxReconsumeTimes(subscription, message),
    };
    const end = this.#mode.rules.endOfUnhandled(how, limits, condition);
    if (end.kind === 'dead-letter') await endForGood(this.#parts, entry, end.condition, content);
    else if (end.kind === 'redeliver') await carrier.redeliverUnhandled(entry, content, limits);
    else if ((await carrier.finish([entry])) > 0) counts.dropped();
  }
}

const UNDELIVERABLE: Unhandled = {
  kind: 'unhandled',
  how: 'for-good',
  condition: 'MaximumPayloadSizeExceeded',
  code: 'ROCKETMQ_EVENT_TOO_LARGE',
  reason: 'the event of a single message is larger than Lambda takes: set s3PointerThreshold',
};

const WHOLE_FAILURES: Readonly<
  Record<WholeFailure, { readonly code: string; readonly message: string }>
> = {
  failed: { code: 'ROCKETMQ_HANDLER_FAILED', message: 'handler failed' },
  'invalid-answer': { code: 'ROCKETMQ_INVALID_ANSWER', message: 'handler response not valid' },
  'too-large': { code: 'ROCKETMQ_EVENT_TOO_LARGE', message: 'event refused by Lambda' },
};

const WHOLE_ENDS: Readonly<Record<WholeEnd['kind'], string>> = {
  'each-failed': 'all messages of the batch have failed',
  undeliverable: 'its message fits into no event',
  parts: 'its batch is delivered again in two parts, no failure is counted',
  'put-back': 'its batch is delivered again in smaller batches, no failure is counted',
  leave: 'its batch is left to the next invocation, no failure is counted',
};

/** What Powertools' batch processors throw when every record failed: each is named, so to say. */
function meansEach(errorType: string | undefined): boolean {
  return errorType === 'FullBatchFailureError' || errorType === 'BatchProcessingError';
}

/** The answer names every message: nothing is done, and it is not known why. */
function failedByName(outcome: Outcome, { deliveries }: Batch): boolean {
  return (
    outcome.kind === 'answered' &&
    outcome.verdict.kind === 'read' &&
    outcome.verdict.failures.size === deliveries.length
  );
}

/** Why the outcome is one of the whole batch; undefined: it says what became of each message. */
function wholeFailureOf(outcome: Outcome): WholeFailure | undefined {
  if (outcome.kind !== 'answered') return outcome.kind;
  return outcome.verdict.kind === 'invalid' ? 'invalid-answer' : undefined;
}

function reasonOf(outcome: Outcome): object {
  switch (outcome.kind) {
    case 'failed':
      return { errorType: outcome.errorType, errorMessage: outcome.errorMessage };
    case 'too-large':
      return { err: outcome.error };
    case 'answered':
      return outcome.verdict.kind === 'invalid' ? { reason: outcome.verdict.reason } : {};
  }
}
