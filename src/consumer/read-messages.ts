import { type StartPosition, startPosition } from '../decide/assignment/start-position.ts';
import type { QueueEntry } from '../decide/process-queue/process-queue.ts';
import { FLOW_LIMITS, type FlowLimits } from '../decide/pull/flow-control.ts';
import type { MemoryBudget } from '../decide/pull/memory-budget.ts';
import { LimitExceededError, ProtocolError, RocketMQError, TopicNotFoundError } from '../errors.ts';
import { linkSignals } from '../model/linked-signal.ts';
import type { Message, UndecodableRecord } from '../model/message.ts';
import { type MessageQueue, queueKey, RETRY_TOPIC_PREFIX } from '../model/message-queue.ts';
import type { StartingPosition } from '../model/source.ts';
import type { Subscription } from '../model/subscription.ts';
import type { Clock } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';
import type { RocketMQ } from '../ports/rocketmq.ts';
import { timerOf, Wakeup } from '../queue/wakeup.ts';
import { asUndecodable, openMessage } from '../records/open-message.ts';
import type { QueueCursor } from './queue-cursor.ts';
import { isWithoutRoute, QueueReader, type ReaderDeps } from './queue-reader.ts';

/** All optional. */
export interface ReadOptions {
  /** Ends the loop: the message in hand counts as passed, no other is given. */
  readonly signal?: AbortSignal;
  /** A tag expression (`paid || refunded`) or `{ sql }`; everything when absent. Retry topics are read as a whole. */
  readonly filter?: string | { readonly sql: string };
  /**
   * Where a queue begins of which the group has no offset when the loop begins. Queues that appear
   * later begin at their first message. Default TRIM_HORIZON, the first message.
   */
  readonly startingPosition?: Exclude<StartingPosition, 'AT_TIMESTAMP'>;
  /** Commits what was passed about so often, and when the loop ends. Absent: nothing is committed but by `commit()`. */
  readonly commitIntervalMs?: number;
  /** What is pulled ahead, per queue. Default: Java's 1,000 messages, 100 MiB, and a span of 2,000. */
  readonly flowLimits?: Partial<FlowLimits>;
  /** How often the routes are read again for queues that came or went. Default 30,000. */
  readonly routeIntervalMs?: number;
  /** Gets records that no client can decode; they are passed when it returns. Absent: the loop throws UndecodableRecordError. */
  readonly onUndecodable?: (record: UndecodableRecord, queue: MessageQueue) => void | Promise<void>;
}

/** A stored record that cannot be decoded stands in the way of a loop without `onUndecodable`. */
export class UndecodableRecordError extends RocketMQError {
  readonly queue: MessageQueue;
  readonly record: UndecodableRecord;
  constructor(queue: MessageQueue, record: UndecodableRecord) {
    super(
      'ROCKETMQ_UNDECODABLE',
      `the record at offset ${record.queueOffset} of ${queueKey(queue)} cannot be decoded (${record.error.message}): give messages() an onUndecodable, or seek() behind it`,
      { cause: record.error },
    );
    this.queue = queue;
    this.record = record;
  }
}

/** What a loop needs of its consumer. */
export interface ReadDeps {
  readonly consumerGroup: string;
  readonly client: RocketMQ;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  /** For the answers of all loops. */
  readonly memory: MemoryBudget;
  readonly fetchQueues: (topic: string) => Promise<MessageQueue[]>;
  readonly cursorOf: (queue: MessageQueue, start: StartPosition) => Promise<QueueCursor>;
  readonly subscriptionOf: (
    topic: string,
    brokerName: string,
    filter: ReadOptions['filter'],
  ) => Promise<Subscription>;
  /** The consumer is closed. */
  readonly closed: AbortSignal;
}

const ROUTE_INTERVAL_MS = 30_000;
/** No broker is there: the routes are read again after this. */
const ROUTE_RETRY_MS = 1_000;
/** What a body may take decompressed, as in `pull`. */
const MAX_BODY_BYTES = 64 * 1024 * 1024;

interface Turn {
  readonly cursor: QueueCursor;
  readonly entry: QueueEntry;
}

/** One loop over messages: pulls its queues ahead, gives one message after the other, queue by queue in turn. */
export class Reading {
  readonly #deps: ReadDeps;
  readonly #options: ReadOptions;
  readonly #targets: readonly (string | MessageQueue)[];
  readonly #wakeup: Wakeup;
  readonly #readers = new Map<string, QueueReader>();
  /** Of all queues that were read, also of those that left the route. */
  readonly #cursors = new Map<string, QueueCursor>();
  /** Topics whose route was read: queues that appear later begin at their first message. */
  readonly #met = new Set<string>();
  #failure: { readonly error: unknown } | undefined;
  #turn = 0;
  #routesDueAt: number;
  /** Epoch ms; undefined: the loop commits nothing by itself. */
  #commitDueAt: number | undefined;
  #committing: Promise<void> | undefined;
  #finished: Promise<void> | undefined;

  constructor(deps: ReadDeps, targets: readonly (string | MessageQueue)[], options: ReadOptions) {
    const { clock } = deps;
    this.#deps = deps;
    this.#options = options;
    this.#targets = targets;
    this.#wakeup = new Wakeup(() => {}, timerOf(clock));
    this.#routesDueAt = clock.now();
    this.#commitDueAt = this.#nextCommitAt();
  }

  async *messages(): AsyncGenerator<Message, void, undefined> {
    const { signal } = this.#options;
    const { signal: stop, unlink } = linkSignals(this.#deps.closed, signal);
    const wake = (): void => this.#wakeup.all();
    stop.addEventListener('abort', wake);
    try {
      while (!stop.aborted) {
        await this.#keepUp();
        const next = this.#next();
        if (next === undefined) {
          await this.#wait(stop);
          continue;
        }
        const { cursor, entry } = next;
        cursor.messages.take(entry);
        const record = openEntry(entry);
        if ('message' in record)
          // Whoever asks for the next message has passed this one; a `break` has not.
          yield record.message;
        else await this.#undecodable(cursor, record.undecodable);
        cursor.messages.settle(entry);
      }
    } finally {
      unlink();
      await this.finish();
    }
  }

  async #undecodable({ queue }: QueueCursor, record: UndecodableRecord): Promise<void> {
    if (this.#options.onUndecodable === undefined) throw new UndecodableRecordError(queue, record);
    await this.#options.onUndecodable(record, queue);
  }

  #nextCommitAt(): number | undefined {
    const { commitIntervalMs } = this.#options;
    return commitIntervalMs === undefined ? undefined : this.#deps.clock.now() + commitIntervalMs;
  }

  /** Queues that came or went, commits that are due, and what has failed meanwhile. */
  async #keepUp(): Promise<void> {
    const { routeIntervalMs = ROUTE_INTERVAL_MS } = this.#options;
    if (this.#failure !== undefined) throw this.#failure.error;
    const now = this.#deps.clock.now();
    if (now >= this.#routesDueAt) {
      this.#routesDueAt = now + routeIntervalMs;
      await this.#readRoutes().catch((error: unknown) => {
        if (this.#finished === undefined) throw error;
      });
    }
    if (this.#commitDueAt !== undefined && now >= this.#commitDueAt) {
      this.#commitDueAt = this.#nextCommitAt();
      // A broker that does not answer holds up no other queue's messages.
      this.#committing ??= this.#commit().finally(() => {
        this.#committing = undefined;
      });
    }
  }

  async #wait(stop: AbortSignal): Promise<void> {
    if (stop.aborted || this.#failure !== undefined) return;
    const due = Math.min(this.#routesDueAt, this.#commitDueAt ?? this.#routesDueAt);
    await this.#wakeup.wait(Math.max(1, due - this.#deps.clock.now()));
  }

  async #readRoutes(): Promise<void> {
    const wanted = new Map<string, { queue: MessageQueue; start: StartPosition }>();
    for (const target of this.#targets) {
      const topic = typeof target === 'string' ? target : target.topic;
      const start = this.#startOf(topic);
      const queues = typeof target === 'string' ? await this.#queuesOf(target) : [target];
      for (const queue of queues) wanted.set(queueKey(queue), { queue, start });
    }
    for (const [key, reader] of this.#readers)
      if (!wanted.has(key)) {
        this.#readers.delete(key);
        reader.stop();
        await reader.done.catch(() => {});
        reader.close();
      }
    for (const [key, { queue, start }] of wanted)
      if (!this.#readers.has(key)) this.#startReading(key, queue, start);
  }

  #startOf(topic: string): StartPosition {
    const { startingPosition = 'TRIM_HORIZON' } = this.#options;
    const isRetry = topic.startsWith(RETRY_TOPIC_PREFIX);
    return startPosition(isRetry ? undefined : { startingPosition }, this.#met.has(topic));
  }

  /** A retry topic appears with the first message that is sent back. A route that cannot be read later leaves things as they are. */
  async #queuesOf(topic: string): Promise<MessageQueue[]> {
    try {
      const queues = await this.#deps.fetchQueues(topic);
      this.#met.add(topic);
      return queues;
    } catch (error) {
      if (error instanceof TopicNotFoundError && topic.startsWith(RETRY_TOPIC_PREFIX)) return [];
      if (!this.#met.has(topic) && !(await this.#wereBrokersAway(topic, error))) throw error;
      this.#deps.logger.warn(
        { err: error, topic, code: 'ROCKETMQ_ROUTE_NOT_READ' },
        'route not read, keeping the queues as they are',
      );
      if (!this.#met.has(topic)) this.#routesDueAt = this.#deps.clock.now() + ROUTE_RETRY_MS;
      return [...this.#readers.values()]
        .map(({ queue }) => queue)
        .filter((queue) => queue.topic === topic);
    }
  }

  /**
   * Brokers that are away take their topics out of the routes: without any broker, a topic that is
   * not found may exist. Those that are there may have come back since, so the route is read again.
   */
  async #wereBrokersAway(topic: string, error: unknown): Promise<boolean> {
    if (!(error instanceof TopicNotFoundError)) return false;
    const { client } = this.#deps;
    const there = await client.brokerNames().catch(() => undefined);
    if (there === undefined) return false;
    return there.length === 0 || !(await isWithoutRoute(topic, client));
  }

  #startReading(key: string, queue: MessageQueue, start: StartPosition): void {
    // The consumer was closed while the route was read.
    if (this.#finished !== undefined) return;
    const { filter } = this.#options;
    const deps: ReaderDeps = {
      ...this.#deps,
      limits: { ...FLOW_LIMITS, ...this.#options.flowLimits },
      wakeup: this.#wakeup,
      subscriptionOf: ({ topic, brokerName }) =>
        this.#deps.subscriptionOf(topic, brokerName, filter),
      onOpen: (cursor) => this.#cursors.set(key, cursor),
    };
    const reader = new QueueReader(queue, start, deps);
    this.#readers.set(key, reader);
    reader.done.catch((error: unknown) => {
      this.#failure ??= { error };
      this.#wakeup.all();
    });
  }

  /** The next message, of the queue whose turn it is. */
  #next(): Turn | undefined {
    const now = this.#deps.clock.now();
    const readers = [...this.#readers.values()];
    for (let tried = 0; tried < readers.length; tried++) {
      const { cursor } = readers[this.#turn++ % readers.length] as QueueReader;
      // After a reset, what is cached is from before it.
      if (cursor === undefined || cursor.offsets.resetPending) continue;
      const entry = cursor.messages.peek(now);
      if (entry !== undefined) return { cursor, entry };
    }
    return undefined;
  }

  async #commit(): Promise<void> {
    await Promise.all(
      [...this.#cursors.values()].map((cursor) =>
        cursor
          .commit({})
          .catch((error: unknown) =>
            this.#deps.logger.warn(
              { err: error, queue: queueKey(cursor.queue), code: 'ROCKETMQ_COMMIT_FAILED' },
              'commit failed, the next one repeats it',
            ),
          ),
      ),
    );
  }

  /** Ends the pulls, and stores what was passed if that is asked for. May be called again. */
  finish(): Promise<void> {
    this.#finished ??= (async () => {
      const readers = [...this.#readers.values()];
      for (const reader of readers) reader.stop();
      await Promise.all(readers.map(({ done }) => done.catch(() => {})));
      await this.#committing;
      if (this.#options.commitIntervalMs !== undefined) await this.#commit();
      for (const reader of readers) reader.close();
    })();
    return this.#finished;
  }
}

/** The entry's message with its body decompressed. */
function openEntry({
  message,
  undecodable,
}: QueueEntry): { readonly message: Message } | { readonly undecodable: UndecodableRecord } {
  if (message === undefined) return { undecodable: undecodable as UndecodableRecord };
  try {
    return { message: openMessage(message, MAX_BODY_BYTES) };
  } catch (error) {
    if (!(error instanceof ProtocolError || error instanceof LimitExceededError)) throw error;
    return { undecodable: asUndecodable(message, error) };
  }
}
