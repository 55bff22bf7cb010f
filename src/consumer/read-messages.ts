import type { QueueEntry } from '../decide/process-queue/process-queue.ts';
import { FLOW_LIMITS, type FlowLimits } from '../decide/pull/flow-control.ts';
import { RocketMQError, TopicNotFoundError } from '../errors.ts';
import { linkSignals } from '../model/linked-signal.ts';
import type { Message, UndecodableRecord } from '../model/message.ts';
import { type MessageQueue, queueKey, RETRY_TOPIC_PREFIX } from '../model/message-queue.ts';
import type { StartingPosition } from '../model/source.ts';
import type { Subscription } from '../model/subscription.ts';
import type { Logger } from '../ports/logger.ts';
import type { RocketMQ } from '../ports/rocketmq.ts';
import { Wakeup } from '../queue/wakeup.ts';
import { fillCursor } from './fill-cursor.ts';
import type { QueueCursor } from './queue-cursor.ts';

/** All optional. */
export interface ReadOptions {
  /** Ends the loop: the message in hand counts as passed, no other is given. */
  readonly signal?: AbortSignal;
  /** A tag expression (`paid || refunded`) or `{ sql }`; everything when absent. Retry topics are read as a whole. */
  readonly filter?: string | { readonly sql: string };
  /** Where a queue begins of which the group has no offset. Default TRIM_HORIZON, its first message. */
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
  readonly logger: Logger | undefined;
  readonly fetchQueues: (topic: string) => Promise<MessageQueue[]>;
  readonly cursorOf: (
    queue: MessageQueue,
    start: Exclude<StartingPosition, 'AT_TIMESTAMP'>,
  ) => Promise<QueueCursor>;
  readonly subscriptionOf: (
    topic: string,
    brokerName: string,
    filter: ReadOptions['filter'],
  ) => Promise<Subscription>;
  /** The consumer is closed. */
  readonly closed: AbortSignal;
}

const ROUTE_INTERVAL_MS = 30_000;

interface Turn {
  readonly cursor: QueueCursor;
  readonly entry: QueueEntry;
}

/** One loop over messages: pulls its queues ahead, gives one message after the other, queue by queue in turn. */
export class Reading {
  readonly #deps: ReadDeps;
  readonly #options: ReadOptions;
  readonly #targets: readonly (string | MessageQueue)[];
  readonly #wakeup = new Wakeup();
  readonly #end = new AbortController();
  readonly #readers = new Map<
    string,
    { readonly cursor: QueueCursor; readonly stop: AbortController; readonly work: Promise<void> }
  >();
  #failure: { readonly error: unknown } | undefined;
  /** In the order of their turns. */
  #cursors: readonly QueueCursor[] = [];
  #turn = 0;
  #routesAt = 0;
  #committedAt = Date.now();
  #finished: Promise<void> | undefined;

  constructor(deps: ReadDeps, targets: readonly (string | MessageQueue)[], options: ReadOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#targets = targets;
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
        if (entry.message === undefined) await this.#undecodable(cursor, entry);
        // Whoever asks for the next message has passed this one; a `break` has not.
        else yield entry.message;
        cursor.messages.settle(entry);
      }
    } finally {
      unlink();
      await this.finish();
    }
  }

  async #undecodable({ queue }: QueueCursor, { undecodable }: QueueEntry): Promise<void> {
    const record = undecodable as UndecodableRecord;
    if (this.#options.onUndecodable === undefined) throw new UndecodableRecordError(queue, record);
    await this.#options.onUndecodable(record, queue);
  }

  /** Queues that came or went, commits that are due, and what has failed meanwhile. */
  async #keepUp(): Promise<void> {
    const { commitIntervalMs, routeIntervalMs = ROUTE_INTERVAL_MS } = this.#options;
    if (this.#failure !== undefined) throw this.#failure.error;
    const now = Date.now();
    if (now - this.#routesAt >= routeIntervalMs) {
      const first = this.#routesAt === 0;
      this.#routesAt = now;
      await this.#readRoutes(first);
    }
    if (commitIntervalMs !== undefined && now - this.#committedAt >= commitIntervalMs) {
      this.#committedAt = now;
      await this.#commit();
    }
  }

  async #wait(stop: AbortSignal): Promise<void> {
    if (stop.aborted) return;
    const { commitIntervalMs = Number.POSITIVE_INFINITY, routeIntervalMs = ROUTE_INTERVAL_MS } =
      this.#options;
    const due = Math.min(this.#routesAt + routeIntervalMs, this.#committedAt + commitIntervalMs);
    await this.#wakeup.wait(Math.max(1, due - Date.now()));
  }

  async #readRoutes(first: boolean): Promise<void> {
    const wanted = new Map<string, MessageQueue>();
    for (const target of this.#targets) {
      if (typeof target !== 'string') wanted.set(queueKey(target), target);
      else
        for (const queue of await this.#queuesOf(target, first)) {
          wanted.set(queueKey(queue), queue);
        }
    }
    for (const [key, reader] of this.#readers)
      if (!wanted.has(key)) {
        reader.stop.abort();
        this.#readers.delete(key);
        await reader.work;
        reader.cursor.stopReading();
      }
    for (const [key, queue] of wanted)
      if (!this.#readers.has(key)) await this.#startReading(key, queue);
    this.#cursors = [...this.#readers.values()].map(({ cursor }) => cursor);
  }

  /** A retry topic appears with the first message that is sent back. A route that cannot be read later leaves things as they are. */
  async #queuesOf(topic: string, first: boolean): Promise<MessageQueue[]> {
    try {
      return await this.#deps.fetchQueues(topic);
    } catch (error) {
      if (error instanceof TopicNotFoundError && topic.startsWith(RETRY_TOPIC_PREFIX)) return [];
      if (first) throw error;
      this.#deps.logger?.warn(
        { err: error, topic },
        'the route cannot be read: going on with the queues as they are',
      );
      return [...this.#readers.values()]
        .map(({ cursor }) => cursor.queue)
        .filter((queue) => queue.topic === topic);
    }
  }

  async #startReading(key: string, queue: MessageQueue): Promise<void> {
    const { client, consumerGroup, logger } = this.#deps;
    const { filter, flowLimits, startingPosition = 'TRIM_HORIZON' } = this.#options;
    const subscription = await this.#deps.subscriptionOf(queue.topic, queue.brokerName, filter);
    const cursor = await this.#deps.cursorOf(queue, startingPosition);
    if (cursor.busy)
      throw new RocketMQError(
        'ROCKETMQ_USAGE',
        `${key} is read by another loop of this consumer: end that one first, or use two consumers`,
      );
    cursor.startReading();
    const stop = new AbortController();
    const deps = {
      client,
      consumerGroup,
      logger,
      limits: { ...FLOW_LIMITS, ...flowLimits },
      wakeup: this.#wakeup,
    };
    const { signal, unlink } = linkSignals(stop.signal, this.#end.signal);
    const work = fillCursor(cursor, subscription, { ...deps, signal })
      .catch((error: unknown) => {
        this.#failure ??= { error };
        this.#wakeup.all();
      })
      .finally(unlink);
    this.#readers.set(key, { cursor, stop, work });
  }

  /** The next message, of the queue whose turn it is. */
  #next(): Turn | undefined {
    const now = Date.now();
    for (let tried = 0; tried < this.#cursors.length; tried++) {
      const cursor = this.#cursors[this.#turn++ % this.#cursors.length] as QueueCursor;
      // After a reset, what is cached is from before it.
      const entry = cursor.offsets.resetPending ? undefined : cursor.messages.peek(now);
      if (entry !== undefined) return { cursor, entry };
    }
    return undefined;
  }

  async #commit(): Promise<void> {
    await Promise.all(
      [...this.#readers.values()].map(({ cursor }) =>
        cursor
          .commit({})
          .catch((error: unknown) =>
            this.#deps.logger?.warn(
              { err: error, queue: cursor.queue },
              'a commit failed; the next one repeats it',
            ),
          ),
      ),
    );
  }

  /** Ends the pulls, and stores what was passed if that is asked for. May be called again. */
  finish(): Promise<void> {
    this.#finished ??= (async () => {
      this.#end.abort();
      await Promise.all([...this.#readers.values()].map(({ work }) => work));
      if (this.#options.commitIntervalMs !== undefined) await this.#commit();
      for (const { cursor } of this.#readers.values()) cursor.stopReading();
    })();
    return this.#finished;
  }
}
