import { workTime } from '../decide/budget/time-budget.ts';
import { refreshCrash } from '../decide/crash/crash-record.ts';
import { type HandOver, handOverOf, waitedFor } from '../decide/lease/hand-over.ts';
import { mayAct } from '../decide/lease/lease.ts';
import { ProcessQueue, type QueueEntry } from '../decide/process-queue/process-queue.ts';
import { MemoryBudget, type QueueMemory } from '../decide/pull/memory-budget.ts';
import {
  GroupNotFoundError,
  InvalidFilterError,
  PermissionError,
  UnsupportedRequestError,
} from '../errors.ts';
import type { Assignment, CrashRecord, Lease } from '../model/assignment.ts';
import type { MemberQueue } from '../model/membership.ts';
import type { Message } from '../model/message.ts';
import { type MessageQueue, queueKey, RETRY_TOPIC_PREFIX } from '../model/message-queue.ts';
import type { MetricName } from '../model/metrics.ts';
import type { SourceConfig, SubscriptionConfig } from '../model/source.ts';
import type { Logger } from '../ports/logger.ts';
import type { PoppedMessages } from './popped-messages.ts';
import type { PullerDeps, PullerOptions, QueueReport, StopReason } from './puller-deps.ts';
import { QueueOrder } from './queue-order.ts';
import { Wakeup } from './wakeup.ts';
import type { Delivery, HandlerCall } from './work.ts';

/** Reason of the signals that end calls: the lease is lost, or the invocation's last seconds are needed to give the queue back. */
class CallEndedError extends Error {
  constructor(why: string) {
    super(why);
    this.name = 'CallEndedError';
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
  /** The queue's part of the invocation's memory. */
  readonly memory: QueueMemory;
  /** Absent: messages are delivered in any order. */
  readonly order: QueueOrder | undefined;
  /** Loops sleep on it; whatever changes the state wakes them. */
  readonly wakeup = new Wakeup(() => this.noteLoad());
  /** Ends every call in flight at once: only when the lease is lost. */
  readonly lost = new AbortController();
  /** Ends handler calls: the lease is lost, or there is no time left to wait for them. */
  readonly handlerCalls = new AbortController();
  /** Ends back-offs: the queue is on its way out. */
  readonly #stopping = new AbortController();
  /** Ends a held pull, so that the loop looks again. */
  pullAbort = new AbortController();
  lease: Lease;
  crash: CrashRecord | undefined;
  /** Handler calls under way that have a consumeTimeout. */
  readonly calls = new Set<HandlerCall>();
  /** A message is delivered alone now: nothing else is delivered beside it. */
  isolating = false;
  /** The last offset that the broker confirmed to us. */
  knownOffset: bigint;
  /** A commit that was sent and not confirmed: the broker may have it. */
  sentOffset: bigint | undefined;
  /** An offset that was adopted, with everything before it forgotten, and is not yet confirmed: it is stored even if it lies before the known one. */
  adoptedOffset: bigint | undefined;
  maxOffset: bigint | undefined;
  /** When the committed offset moved last, epoch ms; undefined: not in this session. */
  progressAt: number | undefined;
  /** Pulls that failed since the last one that succeeded. */
  pullFailures = 0;
  /** A call failed for a broken connection since the last commit. */
  connectionBroke = false;
  /** An operator's reset waits for the next pull: deliver nothing, commit nothing before it. */
  resetPending = false;
  lastMessageAt: number;
  /** How the queue came to this holder; undefined as soon as its first handler call has told, or when there is nothing to tell. */
  #handOver: HandOver | undefined;
  /** In POP mode: what the broker lent to this puller. Offsets mean nothing then. */
  popped: PoppedMessages | undefined;
  /** Taken out of the queue because no pattern of their subscription matches: to be settled without a handler. */
  readonly filteredOut: Delivery[] = [];
  /** Their bodies are in the bucket of `s3PointerThreshold`: a further delivery need not put them there again. */
  readonly storedBodies = new WeakSet<QueueEntry>();
  /** A pop may still bring messages. */
  popping = false;
  #ending: StopReason | undefined;
  /** Nothing can be delivered any more, whatever it was that ended the queue first. */
  #keepsPopped = false;
  #takenOver = false;
  #offsetTurn: Promise<unknown> = Promise.resolve();
  #handled = 0;
  #handledAt: number;
  #sentBack = 0;
  #dropped = 0;

  constructor(
    deps: PullerDeps,
    options: PullerOptions,
    source: SourceConfig,
    assignment: Assignment,
    lease: Lease,
    startOffset: bigint,
  ) {
    this.deps = deps;
    this.options = options;
    this.source = source;
    this.queue = assignment.queue;
    this.lease = lease;
    this.knownOffset = startOffset;
    this.#handOver = handOverOf(source, assignment, lease, startOffset);
    this.order = QueueOrder.of(source, assignment.attempts);
    this.memory = (deps.memory ?? new MemoryBudget()).open(() => this.wakeup.all());
    this.messages = new ProcessQueue(startOffset, this.order, (bytes) => this.memory.note(bytes));
    this.lastMessageAt = deps.clock.now();
    this.#handledAt = this.lastMessageAt;
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

  /**
   * Are new batches begun? While the queue is not on its way out; what was popped is delivered even then as long as there is time, because
   * the broker would count its return as a failure.
   */
  get delivers(): boolean {
    if (this.#ending === undefined) return true;
    if (this.popped === undefined || this.#keepsPopped) return false;
    return this.popping || this.messages.count > 0;
  }

  /** No new pull and no new batch from here on; what is in flight may finish. The first reason stays. */
  end(reason: StopReason, message: string, fields: object = {}): void {
    if (KEEPS_POPPED.has(reason)) this.#keepsPopped = true;
    if (this.#ending !== undefined) return;
    this.#ending = reason;
    this.logger.info({ reason, ...fields }, message);
    this.pullAbort.abort(new CallEndedError(reason));
    this.#stopping.abort(new CallEndedError(reason));
    this.wakeup.all();
  }

  /** The lease is gone: everything stops at once, nothing is committed or sent back. */
  loseLease(why: string, takenOver: boolean): void {
    if (this.lost.signal.aborted) return;
    this.#takenOver = takenOver;
    this.#keepsPopped = true;
    this.count('LostLeases');
    this.logger.warn(
      { reason: 'lease-lost', why },
      'lost the lease; nothing more is committed or sent back',
    );
    this.#ending = 'lease-lost';
    const reason = new CallEndedError(`the lease is lost: ${why}`);
    for (const controller of [this.lost, this.handlerCalls, this.pullAbort, this.#stopping])
      controller.abort(reason);
    this.wakeup.all();
  }

  /** No answer is waited for any more: the rest of the time is needed to commit and release. */
  giveUpHandlerCalls(): void {
    if (!this.handlerCalls.signal.aborted)
      this.handlerCalls.abort(
        new CallEndedError('the invocation ends before the handler answered'),
      );
  }

  /**
   * A function goes on, at most for so long: an ordered queue waits for it as after a death, which the crash record tells the next holder; the next
   * invocation of a slot whose calls are limited does, too.
   */
  outlived(timeoutMs: number): void {
    this.deps.share?.outlived();
    if (this.order === undefined || this.lost.signal.aborted) return;
    this.order.deliverFrom = this.deps.clock.now() + timeoutMs;
    this.crash ??= {
      offset: this.messages.committable,
      count: 0,
      isolateUntil: this.messages.committable,
    };
  }

  /**
   * Is there something to give back? Not after somebody took over. A lease that ran out while messages were with a handler stands as a crash,
   * so that a message that blocks its puller is counted.
   */
  get mayRelease(): boolean {
    return !this.lost.signal.aborted || (!this.#takenOver && this.messages.taken === 0);
  }

  /** Waits out a back-off; ends early only when the queue is on its way out. */
  async pause(ms: number): Promise<void> {
    await this.deps.clock.sleep(ms, this.#stopping.signal).catch(() => {});
  }

  /** The right to call the handler of the subscription; undefined: the queue is on its way out before it was its turn. */
  async permit({ topic }: SubscriptionConfig): Promise<(() => void) | undefined> {
    const { share } = this.deps;
    return share === undefined
      ? () => {}
      : share.permit(topic, queueKey(this.queue), this.#stopping.signal);
  }

  /** One write of the offset at a time: two under way could arrive in the other order. */
  async inOffsetTurn(write: () => Promise<void>): Promise<void> {
    const turn = this.#offsetTurn.then(write);
    this.#offsetTurn = turn.catch(() => {});
    await turn;
  }

  /** Forgets what was pulled, in flight too, and goes on at an offset that somebody else dictates. */
  adopt(offset: bigint): void {
    this.order?.forgetAttempts();
    this.messages.dropAll(offset);
    this.crash = refreshCrash(this.crash, offset, this.options.flowLimits.maxSpan);
    this.adoptedOffset = offset;
    this.resetPending = false;
    this.interruptPull();
    this.wakeup.all();
  }

  /** May this holder pull, deliver, send back or commit right now? */
  mayAct(): boolean {
    if (this.lost.signal.aborted) return false;
    if (mayAct(this.lease, this.deps.clock.now())) return true;
    this.loseLease('it could not be renewed in time', false);
    return false;
  }

  /** May a batch go to its handler right now? */
  mayDeliver(): boolean {
    return (
      !this.resetPending && this.mayAct() && (this.order?.isOpen(this.deps.clock.now()) ?? true)
    );
  }

  /** How much time there is to fetch messages and deliver them, ms; undefined: none, or it is not ours any more. */
  fetchMs(): number | undefined {
    const workMs = this.workMs();
    if (workMs <= 0) this.end('deadline', 'the invocation nears its end: draining');
    return workMs > 0 && this.mayAct() ? workMs : undefined;
  }

  workMs(): number {
    return workTime(this.deps.remainingMs(), this.options.reserveMs);
  }

  /** Wakes the pull loop out of a held pull. */
  interruptPull(): void {
    const interrupted = this.pullAbort;
    this.pullAbort = new AbortController();
    interrupted.abort(new CallEndedError('interrupted'));
  }

  /** The broker has nothing more: a message that comes from now on finds the puller awake. */
  noteEmptyPoll(): void {
    if (this.messages.count === 0) this.#handOver = undefined;
  }

  /** A handler is called with the message first. */
  noteCall({ storeTimestamp }: Message): void {
    if (this.#handOver === undefined) return;
    const { metric, ms } = waitedFor(this.#handOver, storeTimestamp, this.deps.clock.now());
    this.#handOver = undefined;
    this.deps.meter?.observe(metric, ms);
  }

  /** Tells whether there are messages in hand. */
  noteLoad(): void {
    this.deps.utilization?.note(queueKey(this.queue), this.messages.count > 0);
  }

  /** What the broker gave. */
  notePolled(messages: readonly Message[], undecodable: number): void {
    if (this.deps.meter === undefined) return;
    this.count('PolledEventCount', messages.length + undecodable);
    if (messages.length > 0)
      this.count(
        'PollerThroughputInBytes',
        messages.reduce((bytes, { storeSize }) => bytes + storeSize, 0),
      );
  }

  /** A handler had them, and none failed them; but they are given to a handler again. */
  noteRepeated(count: number): void {
    if (count > 0) this.count('DuplicateEventCount', count);
  }

  noteHandled(count: number): void {
    this.#handledAt = this.deps.clock.now();
    this.#handled += count;
  }

  noteDropped(): void {
    this.#dropped++;
    this.count('DroppedEventCount');
  }

  /** @param how given to the broker to come again, or to the DLQ */
  noteSentBack(how: 'retried' | 'dead-lettered'): void {
    this.#sentBack++;
    this.count(how === 'retried' ? 'RetriedEventCount' : 'DeadLetteredEventCount');
  }

  count(metric: MetricName, value = 1): void {
    this.deps.meter?.count(metric, value);
  }

  figures(): MemberQueue {
    const { queue, knownOffset, messages, lastMessageAt } = this;
    const { count, bytes } = messages;
    return {
      queue,
      committedOffset: knownOffset,
      cachedCount: count,
      cachedBytes: bytes,
      lastPullAt: lastMessageAt,
      lastConsumeAt: this.#handledAt,
    };
  }

  report(): QueueReport {
    return {
      queue: queueKey(this.queue),
      reason: this.#ending ?? 'error',
      handled: this.#handled,
      sentBack: this.#sentBack,
      dropped: this.#dropped,
      committedOffset: String(this.knownOffset),
    };
  }
}

/** Ends after which nothing can be delivered. */
const KEEPS_POPPED: ReadonlySet<StopReason> = new Set<StopReason>([
  'deadline',
  'handler-misconfigured',
  'error',
]);

/** Refusals that no repetition mends: the queue ends, and the next coordinator pass decides again. */
export function isFinalRefusal(error: unknown): boolean {
  return [PermissionError, GroupNotFoundError, InvalidFilterError, UnsupportedRequestError].some(
    (kind) => error instanceof kind,
  );
}
