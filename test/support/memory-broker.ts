import { ConnectionError } from '../../src/errors.ts';
import type { Message } from '../../src/model/message.ts';
import { type MessageQueue, queueKey } from '../../src/model/message-queue.ts';
import type { Clock } from '../../src/ports/clock.ts';
import type { PullRequest, PullResult, RocketMQ } from '../../src/ports/rocketmq.ts';
import { decodeRecords } from '../../src/records/decode-records.ts';
import type { RecordFields } from '../../src/records/encode-record.ts';
import { record } from './records.ts';

type Served =
  | 'topicRoute'
  | 'brokerNames'
  | 'brokerInfo'
  | 'pull'
  | 'queryOffset'
  | 'commitOffset'
  | 'minOffset'
  | 'maxOffset'
  | 'firstStoredAt'
  | 'searchOffset'
  | 'close';

export const BROKER = 'broker-a';

/** One broker without sockets, whose time is a clock of the test. Each call can be answered by the test instead. */
export class MemoryBroker {
  /** Asked before each call: throws what the call is to throw, or gives what it is to answer. */
  before: (call: Served, queue: MessageQueue | undefined, request?: PullRequest) => unknown = () =>
    undefined;
  readonly client: RocketMQ;
  /** Which broker the next pull is to go to. */
  suggestedBrokerId = 0;
  readonly committed = new Map<string, bigint>();
  readonly pulls: PullRequest[] = [];
  readonly #clock: Clock;
  readonly #queues = new Map<string, { readonly queue: MessageQueue; messages: Message[] }>();
  #wake = Promise.withResolvers<void>();

  constructor(clock: Clock) {
    this.#clock = clock;
    this.client = this.#connect() as RocketMQ;
  }

  /** Creates the queues of a topic, or more of them. */
  createTopic(topic: string, queues: number): MessageQueue[] {
    const all = Array.from({ length: queues }, (_, queueId) => ({
      topic,
      brokerName: BROKER,
      queueId,
    }));
    for (const queue of all)
      if (!this.#queues.has(queueKey(queue)))
        this.#queues.set(queueKey(queue), { queue, messages: [] });
    return all;
  }

  deleteTopic(topic: string): void {
    for (const [key, { queue }] of this.#queues)
      if (queue.topic === topic) this.#queues.delete(key);
  }

  /** Stores messages at the present time. */
  produce(
    queue: MessageQueue,
    bodies: readonly (string | Buffer)[],
    fields: Partial<RecordFields> = {},
  ): void {
    const { messages } = this.#find(queue);
    for (const body of bodies) {
      const stored = record({
        body: Buffer.from(body),
        storeTimestamp: this.#clock.now(),
        queueOffset: BigInt(messages.length),
        queueId: queue.queueId,
        ...fields,
      });
      const decoded = decodeRecords(stored, { brokerName: BROKER, keepCompressed: true });
      messages.push(...decoded.messages);
    }
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }

  #find(queue: MessageQueue): { messages: Message[] } {
    const found = this.#queues.get(queueKey(queue));
    if (found === undefined) throw new ConnectionError(BROKER, `no ${queueKey(queue)}`);
    return found;
  }

  #connect(): Pick<RocketMQ, Served> {
    const call = async <T>(
      name: Served,
      queue: MessageQueue | undefined,
      work: () => T | Promise<T>,
      request?: PullRequest,
    ): Promise<T> => {
      const instead = await this.before(name, queue, request);
      return instead === undefined ? work() : (instead as T);
    };
    const end = (queue: MessageQueue) => BigInt(this.#find(queue).messages.length);
    return {
      topicRoute: (topic) => call('topicRoute', undefined, () => this.#route(topic)),
      brokerNames: () => call('brokerNames', undefined, () => [BROKER]),
      brokerInfo: () => call('brokerInfo', undefined, () => new Map()),
      queryOffset: (_, queue) =>
        call('queryOffset', queue, () => this.committed.get(queueKey(queue))),
      commitOffset: (_, queue, offset) =>
        call('commitOffset', queue, () => {
          this.committed.set(queueKey(queue), offset);
          return { resetPending: false };
        }),
      minOffset: (queue) => call('minOffset', queue, () => end(queue) * 0n),
      maxOffset: (queue) => call('maxOffset', queue, () => end(queue)),
      firstStoredAt: (queue) =>
        call('firstStoredAt', queue, () => this.#find(queue).messages[0]?.storeTimestamp),
      searchOffset: (queue, timestamp) =>
        call('searchOffset', queue, () => {
          const { messages } = this.#find(queue);
          const found = messages.findIndex(({ storeTimestamp }) => storeTimestamp >= timestamp);
          return found < 0 ? end(queue) : BigInt(found);
        }),
      pull: (request, options) => {
        this.pulls.push(request);
        return call('pull', request.queue, () => this.#pull(request, options?.signal), request);
      },
      close: async () => {},
    };
  }

  #route(topic: string): Awaited<ReturnType<RocketMQ['topicRoute']>> {
    const queues = [...this.#queues.values()].filter(({ queue }) => queue.topic === topic).length;
    const counts = { readQueueNums: queues, writeQueueNums: queues, perm: 6, topicSysFlag: 0 };
    return { topic, brokers: [], queues: [{ brokerName: BROKER, ...counts }] };
  }

  /** A held pull is answered when a message is there, or when its time is over. */
  async #pull(request: PullRequest, signal: AbortSignal | undefined): Promise<PullResult> {
    const { queue, offset, maxMessages, suspendMs } = request;
    const until = this.#clock.now() + suspendMs;
    for (;;) {
      const { messages } = this.#find(queue);
      const maxOffset = BigInt(messages.length);
      const offsets = { minOffset: 0n, maxOffset, suggestWhichBrokerId: this.suggestedBrokerId };
      if (offset > maxOffset)
        return { status: 'OFFSET_MOVED', reset: false, nextBeginOffset: maxOffset, ...offsets };
      const found = messages.slice(Number(offset), Number(offset) + maxMessages);
      const nextBeginOffset = offset + BigInt(found.length);
      const size = found.reduce((bytes, { storeSize }) => bytes + storeSize, 0);
      const empty = { undecodable: [], overlapping: [] };
      if (found.length > 0)
        return { status: 'FOUND', messages: found, size, nextBeginOffset, ...empty, ...offsets };
      const leftMs = until - this.#clock.now();
      if (leftMs <= 0) return { status: 'NO_NEW_MSG', nextBeginOffset, ...offsets };
      await this.#hold(leftMs, signal);
    }
  }

  async #hold(ms: number, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    const over = new AbortController();
    const onAbort = (): void => over.abort(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      await Promise.race([this.#wake.promise, this.#clock.sleep(ms, over.signal)]);
    } finally {
      signal?.removeEventListener('abort', onAbort);
      over.abort();
    }
  }
}
