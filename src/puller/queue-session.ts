import { limitsFrom, maxMessagesAt, narrowLimits } from '../decide/batch/batch-limits.ts';
import { workTime } from '../decide/budget/time-budget.ts';
import { refreshCrash } from '../decide/crash/crash-record.ts';
import { type HandOver, handOverOf, waitedFor } from '../decide/lease/hand-over.ts';
import { mayAct } from '../decide/lease/lease.ts';
import { ProcessQueue, type QueueEntry } from '../decide/process-queue/process-queue.ts';
import { MemoryBudget, type QueueMemory } from '../decide/pull/memory-budget.ts';
import type { Assignment, BatchLimit, CrashRecord, Lease, LifeMark } from '../model/assignment.ts';
import type { MemberQueue } from '../model/membership.ts';
import type { Message } from '../model/message.ts';
import { type MessageQueue, queueKey, RETRY_TOPIC_PREFIX } from '../model/message-queue.ts';
import type { MetricName } from '../model/metrics.ts';
import type { SourceConfig, SubscriptionConfig } from '../model/source.ts';
import type { Logger } from '../ports/logger.ts';
import { LifecycleKeeper } from '../queue/lifecycle-keeper.ts';
import { OffsetKeeper } from '../queue/offset-keeper.ts';
import type { OffsetAction, OffsetFinding } from '../queue/offset-tracker.ts';
import { type DrainReason, type StopPolicy, stopPolicy } from '../queue/stop-reasons.ts';
import { Wakeup } from '../queue/wakeup.ts';
import { CountedAttempts } from './counted-attempts.ts';
import { offsetStoreOf } from './offset-store.ts';
import type { PendingEnd } from './pending-ends.ts';
import type { PoppedMessages } from './popped-messages.ts';
import type { PullerDeps, PullerOptions, QueueReport } from './puller-deps.ts';
import { QueueOrder } from './queue-order.ts';
import type { Delivery, HandlerCall } from './work.ts';

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
  readonly lifecycle: LifecycleKeeper;
  readonly offsets: OffsetKeeper;
  lease: Lease;
  crash: CrashRecord | undefined;
  /** Smaller batches after some failed as a whole, see decide/batch/batch-limits. */
  #batchLimits: readonly BatchLimit[];
  /** Handler calls under way that have a consumeTimeout. */
  readonly calls = new Set<HandlerCall>();
  /** A message is delivered alone now: nothing else is delivered beside it. */
  isolating = false;
  maxOffset: bigint | undefined;
  /** Recognises the queue's present life (decide/offset/queue-life). */
  lifeMark: LifeMark | undefined;
  /** When the committed offset moved last, epoch ms; undefined: not in this session. */
  progressAt: number | undefined;
  /** Pulls that failed since the last one that succeeded. */
  pullFailures = 0;
  lastMessageAt: number;
  /** When the item and the stored offset were both read again last, epoch ms. */
  reviewedAt: number;
  /** How the queue came to this holder; undefined as soon as its first handler call has told, or when there is nothing to tell. */
  #handOver: HandOver | undefined;
  /** In POP mode: what the broker lent to this puller. Offsets mean nothing then. */
  popped: PoppedMessages | undefined;
  /** Taken out of the queue because no pattern of their subscription matches: to be settled without a handler. */
  readonly filteredOut: Delivery[] = [];
  /** Their bodies are in the bucket of `s3PointerThreshold`: a further delivery need not put them there again. */
  readonly storedBodies = new WeakSet<QueueEntry>();
  /** Messages that failed for good and whose end is not stored yet. */
  readonly pendingEnds = new WeakMap<QueueEntry, PendingEnd>();
  /** Send-backs of them had no answer: copies may be stored. */
  readonly inDoubt = new WeakSet<QueueEntry>();
  /** When the broker refused them in a way that no repetition changes, epoch ms. */
  readonly refusedAt = new WeakMap<QueueEntry, number>();
  /** Failed deliveries that the broker has not counted. An ordered source keeps them in its order. */
  readonly attempts: CountedAttempts;
  /** A pop may still bring messages. */
  popping = false;
  /** Where this holder began. */
  readonly #start: bigint;
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
    this.#start = startOffset;
    this.#handOver = handOverOf(source, assignment, lease, startOffset);
    this.#batchLimits = assignment.batchLimits ?? [];
    this.order = QueueOrder.of(source, assignment.attempts, assignment.handlersRunUntil);
    this.attempts = new CountedAttempts(source.mode === 'pop' ? undefined : assignment.attempts);
    this.memory = (deps.memory ?? new MemoryBudget()).open(() => this.wakeup.all());
    this.messages = new ProcessQueue(
      startOffset,
      this.order,
      (bytes) => this.memory.note(bytes),
      (offset) => this.attempts.attemptsAt(offset),
    );
    this.lastMessageAt = deps.clock.now();
    this.reviewedAt = this.lastMessageAt;
    this.#handledAt = this.lastMessageAt;
    this.logger = deps.logger.child({ queue: queueKey(assignment.queue), fence: lease.fence });
    this.lifecycle = new LifecycleKeeper({
      log: (level, fields, message) => this.logger[level](fields, message),
      onChange: () => {
        // Dead letters that wait to be stored, and messages that no broker brings back, get one more try: a popping puller
        // goes on as long as it has messages.
        this.messages.hasten((entry) =>
          this.pendingEnds.has(entry) || this.popped?.isRevivable(entry) === false ? 0 : undefined,
        );
        this.wakeup.all();
      },
    });
    this.offsets = new OffsetKeeper(startOffset, {
      store: offsetStoreOf(this),
      committable: () => this.messages.committable,
      perform: (action) => this.#perform(action),
      mayWrite: () => this.mayAct(),
      now: () => deps.clock.now(),
    });
  }

  get isRetryQueue(): boolean {
    return this.queue.topic.startsWith(RETRY_TOPIC_PREFIX);
  }

  /** The subscription of a user's topic; on a retry queue it differs from message to message. */
  subscriptionOf(topic: string): SubscriptionConfig | undefined {
    return this.source.subscriptions.find((subscription) => subscription.topic === topic);
  }

  /** Set once the queue is on its way out; no loop begins anything new then. */
  get ending(): DrainReason | undefined {
    return this.lifecycle.ending;
  }

  /** What follows from the reason of the end; undefined: the queue does not end. */
  get stopPolicy(): StopPolicy | undefined {
    const { ending } = this.lifecycle;
    return ending === undefined ? undefined : stopPolicy(ending);
  }

  /**
   * Are new batches begun? While the queue is not on its way out; what was popped is delivered even then as long as there is time, because
   * the broker would count its return as a failure.
   */
  get delivers(): boolean {
    const { state } = this.lifecycle;
    if (state.phase === 'running') return true;
    if (this.popped === undefined || state.phase === 'lost' || !state.deliverPopped) return false;
    return this.popping || this.messages.count > 0;
  }

  /** No new pull and no new batch from here on; what is in flight may finish. The first reason stays. */
  end(reason: Exclude<DrainReason, 'lease-lost'>, fields: object = {}): void {
    this.lifecycle.stop(reason, fields);
  }

  /** The lease is gone: everything stops at once, nothing is committed or sent back. */
  loseLease(why: string, takenOver: boolean): void {
    if (this.lifecycle.isLost) return;
    this.count('LostLeases');
    this.lifecycle.loseLease(takenOver, { why, code: 'ROCKETMQ_LEASE_LOST' });
  }

  /**
   * A function goes on, at most for so long: an ordered queue waits for it, its next holder too
   * (`handlersRunUntil`), and so does the next invocation of a slot whose calls are limited.
   */
  outlived(timeoutMs: number): void {
    this.deps.share?.outlived();
    if (this.order === undefined || this.lifecycle.isLost) return;
    this.order.waitForHandlers(this.deps.clock.now() + timeoutMs);
  }

  /** Limits of batches that failed as a whole; empty: none. */
  get batchLimits(): readonly BatchLimit[] {
    this.#batchLimits = limitsFrom(this.#batchLimits, this.messages.committable);
    return this.#batchLimits;
  }

  /** Most messages in a batch with the entry; undefined: as many as in any. */
  batchLimitOf({ offset }: QueueEntry): number | undefined {
    const max = maxMessagesAt(this.#batchLimits, offset);
    return Number.isFinite(max) ? max : undefined;
  }

  /** A batch failed as a whole: its messages come again in batches of at most `maxMessages`, whoever delivers them. */
  limitBatches(deliveries: readonly Delivery[], maxMessages: number): void {
    // Popped messages come again in other batches, from any place.
    const last = deliveries.at(-1);
    if (last !== undefined && this.popped === undefined)
      this.#batchLimits = narrowLimits(this.#batchLimits, last.entry.offset, maxMessages);
  }

  /**
   * Is there something to give back? Not after somebody took over. A lease that ran out while messages were with a handler stands as a crash,
   * so that a message that blocks its puller is counted.
   */
  get mayRelease(): boolean {
    const { state } = this.lifecycle;
    return state.phase !== 'lost' || (!state.takenOver && this.messages.taken === 0);
  }

  /** Waits out a back-off; ends early only when the queue is on its way out. */
  async pause(ms: number): Promise<void> {
    await this.deps.clock.sleep(ms, this.lifecycle.signal('backoff')).catch(() => {});
  }

  /** The right to call the handler of the subscription; undefined: the queue is on its way out before it was its turn. */
  async permit({ topic }: SubscriptionConfig): Promise<(() => void) | undefined> {
    const { share } = this.deps;
    return share === undefined
      ? () => {}
      : share.permit(topic, queueKey(this.queue), this.lifecycle.signal('backoff'));
  }

  /** The last offset that the broker confirmed. */
  get knownOffset(): bigint {
    return this.offsets.confirmed ?? this.#start;
  }

  /** Goes on at an offset that somebody else dictates; what was pulled is forgotten, in flight too. */
  adopt(offset: bigint): void {
    this.offsets.rewind(offset);
  }

  #perform(action: Exclude<OffsetAction, { type: 'read' | 'write' }>): void {
    switch (action.type) {
      case 'restart':
        (this.order ?? this.attempts).forgetAttempts();
        this.#batchLimits = [];
        this.messages.dropAll(action.at);
        this.crash = refreshCrash(this.crash, action.at, this.options.flowLimits.maxSpan);
        this.lifecycle.interruptPull();
        this.wakeup.all();
        break;
      case 'pull-from-master':
        this.lifecycle.interruptPull();
        break;
      case 'report':
        this.#report(action.finding);
    }
  }

  #report(finding: OffsetFinding): void {
    if (finding.kind === 'committed') {
      if (finding.from !== undefined && finding.to > finding.from) {
        this.count('CommittedEventCount', Number(finding.to - finding.from));
        this.progressAt = this.deps.clock.now();
      }
      return;
    }
    const { kind, ...offsets } = finding;
    const { code, message } = FINDINGS[kind];
    this.logger.warn({ code, ...printable(offsets) }, message);
  }

  /**
   * Puts a message back that failed here and that the broker did not take.
   * @param counts as a failed delivery, which the next holder is told
   */
  giveBackFailed(entry: QueueEntry, notBefore: number, counts = true): void {
    if (this.messages.giveBack(entry, notBefore, counts) && counts)
      (this.order ?? this.attempts).unsaved = true;
  }

  /** May this holder pull, deliver, send back or commit right now? A lease that has ended may come back, see `holdsLease`. */
  mayAct(): boolean {
    return !this.lifecycle.isLost && mayAct(this.lease, this.deps.clock.now());
  }

  /** May a batch go to its handler right now? */
  mayDeliver(): boolean {
    return (
      !this.offsets.resetPending &&
      this.mayAct() &&
      (this.order?.isOpen(this.deps.clock.now()) ?? true)
    );
  }

  /** How much time there is to fetch messages and deliver them, ms; undefined: none, or it is not ours any more. */
  fetchMs(): number | undefined {
    const workMs = this.workMs();
    if (workMs <= 0) this.end('deadline');
    return workMs > 0 && this.mayAct() ? workMs : undefined;
  }

  workMs(): number {
    return workTime(this.deps.remainingMs(), this.options.reserveMs);
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
      reason: this.ending ?? 'error',
      handled: this.#handled,
      sentBack: this.#sentBack,
      dropped: this.#dropped,
      committedOffset: String(this.knownOffset),
    };
  }
}

const FINDINGS = {
  'commits-lost': {
    code: 'ROCKETMQ_COMMITS_LOST',
    message: 'the broker lost commits, committing again',
  },
  'changed-by-others': {
    code: 'ROCKETMQ_OFFSET_CHANGED',
    message: 'stored offset changed by another client, resuming there',
  },
  'reset-pending': {
    code: 'ROCKETMQ_OFFSET_RESET',
    message: 'offset reset by an operator, pulling to learn the new offset',
  },
  'reset-resolved': {
    code: 'ROCKETMQ_OFFSET_RESET',
    message: 'offset reset detected, resuming at the stored offset',
  },
} as const;

/** JSON has no bigint. */
export function printable(fields: object): object {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      typeof value === 'bigint' ? String(value) : value,
    ]),
  );
}
