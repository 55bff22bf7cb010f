import { workTime } from '../decide/budget/time-budget.ts';
import { mayAct } from '../decide/lease/lease.ts';
import { ProcessQueue } from '../decide/process-queue/process-queue.ts';
import { GroupNotFoundError, InvalidFilterError, PermissionError } from '../errors.ts';
import type { Assignment, CrashRecord, Lease } from '../model/assignment.ts';
import { type MessageQueue, queueKey, RETRY_TOPIC_PREFIX } from '../model/message-queue.ts';
import type { SourceConfig, SubscriptionConfig } from '../model/source.ts';
import type { Logger } from '../ports/logger.ts';
import type { PullerDeps, PullerOptions, QueueReport, StopReason } from './puller-deps.ts';
import { Wakeup } from './wakeup.ts';

/** Reason of the signal that ends calls when a lease is lost. */
export class LeaseLostError extends Error {
  constructor(why: string) {
    super(`the lease is lost: ${why}`);
    this.name = 'LeaseLostError';
  }
}

/**
 * The state of one queue while one puller holds it: lease, messages, offsets, and whether it is ending. The loops (pull, deliver, maintain) share it;
 * each of them stops when `ending` is set.
 */
export class QueueSession {
  readonly source: SourceConfig;
  readonly queue: MessageQueue;
  readonly deps: PullerDeps;
  readonly options: PullerOptions;
  readonly logger: Logger;
  readonly messages: ProcessQueue;
  /** Loops sleep on it; whatever changes the state wakes them. */
  readonly wakeup = new Wakeup();
  /** Ends calls in flight at once: only when the lease is lost. */
  readonly lost = new AbortController();
  /** Ends a held pull, so that the loop looks again. */
  pullAbort = new AbortController();
  lease: Lease;
  crash: CrashRecord | undefined;
  /** The last offset that the broker confirmed to us. */
  knownOffset: bigint;
  maxOffset: bigint | undefined;
  /** A call failed for a broken connection since the last commit. */
  connectionBroke = false;
  /** An operator's reset waits for the next pull: deliver nothing, commit nothing before it. */
  resetPending = false;
  lastMessageAt: number;
  #ending: StopReason | undefined;
  #handled = 0;
  #sentBack = 0;

  constructor(deps: PullerDeps, options: PullerOptions, source: SourceConfig, assignment: Assignment, lease: Lease, startOffset: bigint) {
    this.deps = deps;
    this.options = options;
    this.source = source;
    this.queue = assignment.queue;
    this.lease = lease;
    this.knownOffset = startOffset;
    this.messages = new ProcessQueue(startOffset);
    this.lastMessageAt = deps.clock.now();
    this.logger = deps.logger.child({ queue: queueKey(assignment.queue), fence: lease.fence });
  }

  get isRetryQueue(): boolean {
    return this.queue.topic.startsWith(RETRY_TOPIC_PREFIX);
  }

  /** The subscription of a user's topic; on a retry queue it differs from message to message. */
  subscriptionOf(topic: string): SubscriptionConfig | undefined {
    return this.source.subscriptions.find((subscription) => subscription.topic === topic);
  }

  /** Set once the queue is on its way out; no loop begins anything new then. */
  get ending(): StopReason | undefined {
    return this.#ending;
  }

  /** No new pull and no new batch from here on; what is in flight may finish. The first reason stays. */
  end(reason: StopReason, message: string, fields: object = {}): void {
    if (this.#ending !== undefined) return;
    this.#ending = reason;
    this.logger.info({ reason, ...fields }, message);
    this.pullAbort.abort(new Error(reason));
    this.wakeup.all();
  }

  /** The lease is gone: everything stops at once, nothing is committed or sent back. */
  loseLease(why: string): void {
    if (this.lost.signal.aborted) return;
    this.logger.warn({ reason: 'lease-lost', why }, 'lost the lease; nothing more is committed or sent back');
    this.#ending = 'lease-lost';
    const reason = new LeaseLostError(why);
    this.lost.abort(reason);
    this.pullAbort.abort(reason);
    this.wakeup.all();
  }

  /** May this holder pull, deliver, send back or commit right now? */
  mayAct(): boolean {
    if (this.lost.signal.aborted) return false;
    if (mayAct(this.lease, this.deps.clock.now())) return true;
    // Beyond the invocation's own end there is nothing to lose: the lease was cut there.
    this.loseLease('it could not be renewed in time');
    return false;
  }

  workMs(): number {
    return workTime(this.deps.remainingMs(), this.options.reserveMs);
  }

  /** Wakes the pull loop out of a held pull. */
  interruptPull(): void {
    const interrupted = this.pullAbort;
    this.pullAbort = new AbortController();
    interrupted.abort(new Error('interrupted'));
  }

  noteHandled(count: number): void {
    this.#handled += count;
  }

  noteSentBack(): void {
    this.#sentBack++;
  }

  report(): QueueReport {
    return {
      queue: queueKey(this.queue),
      reason: this.#ending ?? 'error',
      handled: this.#handled,
      sentBack: this.#sentBack,
      committedOffset: String(this.knownOffset),
    };
  }
}

/** Refusals that no repetition mends: the queue ends, and the next coordinator pass decides again. */
export function isFinalRefusal(error: unknown): boolean {
  return error instanceof PermissionError || error instanceof GroupNotFoundError || error instanceof InvalidFilterError;
}
