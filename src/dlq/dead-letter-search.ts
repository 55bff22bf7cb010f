import {
  ConnectionError,
  GroupNotFoundError,
  PermissionError,
  RequestTimeoutError,
  TopicNotFoundError,
  UnsupportedRequestError,
} from '../errors.ts';
import type { SearchResult, UnknownReason } from '../model/dead-letter-search.ts';
import type { Message } from '../model/message.ts';
import { dlqTopic, type MessageQueue, queueKey } from '../model/message-queue.ts';
import { PERM_READ, type QueueData } from '../model/route.ts';
import type { CallOptions, RocketMQ } from '../ports/rocketmq.ts';
import { BODY_PLACEHOLDER_PROPERTY, UNDECODABLE_PROPERTY } from '../records/dead-letter-form.ts';
import { Property } from '../records/properties.ts';
import { type DeadLetter, readQueue } from './dead-letters.ts';

/** Most dead letters of a queue that one look reads. */
export const LETTERS_PER_LOOK = 2_000;

/** A message that may be in the dead-letter queue. */
export interface Sought {
  readonly message: Pick<
    Message,
    'msgId' | 'offsetMsgId' | 'body' | 'properties' | 'storeSize' | 'storeTimestamp'
  >;
  /** Id that it was first stored under. */
  readonly originMessageId: string;
  /** Its broker, which stores its dead letter (request 36). */
  readonly brokerName: string;
  /** It was dead-lettered then or later, epoch ms. */
  readonly since: number;
}

/** A queue of dead letters, and where the next look goes on. */
interface Place {
  readonly queue: MessageQueue;
  /** undefined: nothing of it was read yet. */
  next: bigint | undefined;
}

/**
 * Is a message in the dead-letter queue of the group? Each look goes on where the one before stopped.
 * Its own broker is asked in any case, also when no route lists its dead letters. Others have the
 * letter only where brokers share a process: they are asked when a route lists or listed them.
 */
export class DeadLetterSearch {
  readonly #client: RocketMQ;
  readonly #sought: Sought;
  readonly #topic: string;
  readonly #places = new Map<string, Place>();

  constructor(client: RocketMQ, consumerGroup: string, sought: Sought) {
    this.#client = client;
    this.#sought = sought;
    this.#topic = dlqTopic(consumerGroup);
    this.#add(sought.brokerName, 0);
  }

  /** Never throws: what fails is a reason why the answer is not known. */
  async look(call: CallOptions): Promise<SearchResult> {
    const { brokerName } = this.#sought;
    const route = await this.#route(call);
    const isListed = route.queues.some((data) => data.brokerName === brokerName);
    const unreadable = new Set(
      route.queues.filter(({ perm }) => (perm & PERM_READ) === 0).map((data) => data.brokerName),
    );
    const places = [...this.#places.values()];
    const lookAt = async (place: Place): Promise<SearchResult> => {
      const isOwn = place.queue.brokerName === brokerName;
      if (unreadable.has(place.queue.brokerName)) return unknown('unreadable');
      try {
        return await this.#read(place, call);
      } catch (error) {
        // A broker that answers and whose topics the route does not list has no dead letters.
        return isOwn && !isListed && isRefusal(error) ? ABSENT : failed(error, isOwn);
      }
    };
    const isOwn = ({ queue }: Place): boolean => queue.brokerName === brokerName;
    const own = await Promise.all(places.filter(isOwn).map(lookAt));
    if (own.some(({ kind }) => kind === 'found')) return FOUND;
    const others = await Promise.all(places.filter((place) => !isOwn(place)).map(lookAt));
    const notOwn = route.error === undefined ? [] : [failed(route.error, false)];
    const all = [...own, ...others, ...notOwn];
    return (
      all.find(({ kind }) => kind === 'found') ??
      all.find(({ kind }) => kind === 'unknown') ??
      ABSENT
    );
  }

  /** The brokers with dead letters of the group, for all queues at once. */
  async #route(
    call: CallOptions,
  ): Promise<{ readonly queues: readonly QueueData[]; readonly error?: unknown }> {
    try {
      const { queues } = await this.#client.topicRoute(this.#topic, { ...call, fresh: true });
      for (const { brokerName, readQueueNums, writeQueueNums } of queues)
        for (let queueId = 0; queueId < Math.max(readQueueNums, writeQueueNums); queueId++)
          this.#add(brokerName, queueId);
      return { queues };
    } catch (error) {
      return error instanceof TopicNotFoundError ? { queues: [] } : { queues: [], error };
    }
  }

  #add(brokerName: string, queueId: number): void {
    const queue = { topic: this.#topic, brokerName, queueId };
    const key = queueKey(queue);
    if (!this.#places.has(key)) this.#places.set(key, { queue, next: undefined });
  }

  async #read(place: Place, call: CallOptions): Promise<SearchResult> {
    const { queue } = place;
    const [minOffset, maxOffset] = await Promise.all([
      this.#client.minOffset(queue, call),
      this.#client.maxOffset(queue, call),
    ]);
    if (maxOffset <= 0n) return ABSENT;
    const start = await this.#startOf(place, minOffset, maxOffset, call);
    place.next = start;
    let count = 0;
    const readable = { queue, minOffset, maxOffset, redrivenUpTo: minOffset, readable: true };
    for await (const letters of readQueue(this.#client, readable, start, call)) {
      if (letters.some((letter) => isLetterOf(this.#sought, letter))) return FOUND;
      count += letters.length;
      place.next = (letters.at(-1)?.offset ?? place.next - 1n) + 1n;
      if (count >= LETTERS_PER_LOOK) break;
    }
    // A broker may take a moment until it gives what it has stored.
    return place.next < maxOffset ? unknown('letters-left') : ABSENT;
  }

  /** A queue that ends before the place was reached is another one, or has lost its end. */
  async #startOf(
    { queue, next }: Place,
    minOffset: bigint,
    maxOffset: bigint,
    call: CallOptions,
  ): Promise<bigint> {
    const start =
      next === undefined || next > maxOffset
        ? await this.#client.searchOffset(queue, this.#sought.since, call)
        : next;
    return start < minOffset ? minOffset : start;
  }
}

const FOUND: SearchResult = { kind: 'found' };
const ABSENT: SearchResult = { kind: 'absent' };

function unknown(reason: UnknownReason, error?: unknown): SearchResult {
  return { kind: 'unknown', reason, ...(error !== undefined && { error }) };
}

function failed(error: unknown, isOwn: boolean): SearchResult {
  if (error instanceof TopicNotFoundError) return ABSENT;
  if (error instanceof ConnectionError || error instanceof RequestTimeoutError)
    return unknown(isOwn ? 'own-broker-away' : 'other-broker-away', error);
  return unknown(isRefusal(error) ? 'unreadable' : 'refused', error);
}

/** No repetition changes the answer. */
function isRefusal(error: unknown): boolean {
  return [PermissionError, GroupNotFoundError, UnsupportedRequestError, TopicNotFoundError].some(
    (kind) => error instanceof kind,
  );
}

/**
 * A letter that is older than the message belongs to an earlier life of it, which was redriven.
 * Producers can write both ids, and brokers keep what they find, so the content must be the same, too.
 */
function isLetterOf(
  { message, originMessageId: firstId }: Sought,
  { message: decoded, undecodable, originMessageId }: DeadLetter,
): boolean {
  // One whose body is damaged as that of its message is.
  const letter = decoded ?? undecodable?.unopened;
  const origin = originMessageId ?? letter?.properties.get(Property.ORIGIN_MESSAGE_ID);
  if (letter === undefined || origin === undefined) return false;
  if (letter.storeTimestamp < message.storeTimestamp) return false;
  const { msgId, offsetMsgId, body } = message;
  if (origin !== offsetMsgId && origin !== firstId && origin !== msgId) return false;
  // Of a record that cannot be decoded the whole is kept as body, and brokers keep its own.
  if (message.properties.has(UNDECODABLE_PROPERTY)) return origin === offsetMsgId;
  if (!letter.body.equals(body) && !isPlaceholderOf(letter, body)) return false;
  return namesPlace(message, origin) || letter.msgId === msgId;
}

/** Is the id the place of this one record? The messages of an inner batch share theirs. */
function namesPlace({ storeSize, properties }: Sought['message'], id: string): boolean {
  return storeSize > 0 && id !== properties.get(Property.UNIQ_KEY);
}

function isPlaceholderOf(letter: Message, body: Buffer): boolean {
  return body.length === 0 && letter.properties.has(BODY_PLACEHOLDER_PROPERTY);
}
