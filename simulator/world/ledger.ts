import { DLQ_TOPIC_PREFIX } from '../../src/model/message-queue.ts';
import { Property } from '../../src/records/properties.ts';
import type { StoredMessage } from '../../src/testing/broker/message-store.ts';
import { SCHEDULE_TOPIC } from '../../src/testing/broker/names.ts';
import type { Host } from '../kernel/scheduler.ts';
import type { Delivery, Position, QueueName, WorldEvent } from './events.ts';

interface Copy {
  readonly reconsumeTimes: number;
  readonly at: number;
  /** Stored again without a delivery. */
  readonly isSetAside: boolean;
}

/** A message's whole story. */
export interface Story {
  readonly number: number;
  /** In the order in which they were stored. */
  readonly positions: Position[];
  /** Copies that are stored, parked or dead. */
  readonly copies: Copy[];
  deadLetters: number;
  /** Of the first one, epoch ms. */
  deadLetteredAt: number | undefined;
  /** Records at the destination of `onFailure`. */
  failureRecords: number;
  /** Handler calls that failed it alone: a batch that fails as a whole is bisected first. */
  failures: number;
  /** Epoch ms: it was given up without a dead letter. */
  droppedAt: number | undefined;
}

/** What is true in the simulated world, whatever its processes believe. */
export class Ledger {
  readonly stories = new Map<number, Story>();
  readonly positions = new Map<string, Position>();
  /** By queue, in the order of their offsets. */
  readonly queues = new Map<QueueName, Position[]>();
  readonly committed = new Map<QueueName, bigint>();
  /** Where operators moved a queue to: what lies before counts as finished. */
  readonly skipped = new Map<QueueName, { readonly to: bigint; readonly at: number }>();
  /** The highest offset that the item of each queue has for its next holder. */
  readonly inTable = new Map<QueueName, bigint>();
  /** By topic, epoch ms. */
  readonly deletedAt = new Map<string, number>();
  /** By broker and commit log offset. */
  readonly #physical = new Map<string, Position>();

  readonly #orderOf: (puller: Host) => 'queue' | 'key' | undefined;

  /** A failure has no redelivery: the message is given up. */
  readonly #broadcasts: boolean;
  /** Messages that a filter excludes at some time, so that no handler need get them. */
  readonly #optional: ReadonlySet<number>;

  /** @param orderOf what the puller delivers strictly one after the other */
  constructor(
    orderOf: (puller: Host) => 'queue' | 'key' | undefined,
    broadcasts: boolean,
    optional: ReadonlySet<number>,
  ) {
    this.#orderOf = orderOf;
    this.#broadcasts = broadcasts;
    this.#optional = optional;
  }

  story(number: number): Story {
    const known = this.stories.get(number);
    if (known !== undefined) return known;
    const story: Story = {
      number,
      positions: [],
      copies: [],
      deadLetters: 0,
      deadLetteredAt: undefined,
      failureRecords: 0,
      failures: 0,
      droppedAt: undefined,
    };
    this.stories.set(number, story);
    return story;
  }

  /** Notes a message that a broker stored. Undefined: not one of ours. */
  stored(brokerName: string, message: StoredMessage): WorldEvent | undefined {
    const read = readBody(message.body);
    if (read === undefined) return undefined;
    const story = this.story(read.number);
    const isSetAside =
      message.topic === SCHEDULE_TOPIC && message.properties.has(Property.SET_ASIDE);
    story.copies.push({
      reconsumeTimes: message.reconsumeTimes,
      at: message.storeTimestamp,
      isSetAside,
    });
    if (isSetAside) return { kind: 'set-aside', number: read.number };
    if (message.topic === SCHEDULE_TOPIC)
      return { kind: 'parked', number: read.number, reconsumeTimes: message.reconsumeTimes };
    if (message.topic.startsWith(DLQ_TOPIC_PREFIX)) {
      story.deadLetters++;
      story.deadLetteredAt ??= message.storeTimestamp;
      return { kind: 'dead-lettered', number: read.number };
    }
    const queue = `${message.topic}/${brokerName}/${message.queueId}`;
    const position: Position = {
      key: `${queue}/${message.queueOffset}`,
      queue,
      offset: BigInt(message.queueOffset),
      number: read.number,
      messageKey: read.key,
      reconsumeTimes: message.reconsumeTimes,
      storedAt: message.storeTimestamp,
      physicalOffset: message.physicalOffset,
      bytes: message.body.length,
      doneAt: undefined,
      lentUntil: undefined,
      acknowledged: false,
      givenUpAt: undefined,
      deliveries: [],
    };
    story.positions.push(position);
    this.positions.set(position.key, position);
    const ofQueue = this.queues.get(queue) ?? [];
    ofQueue.push(position);
    this.queues.set(queue, ofQueue);
    this.#physical.set(`${brokerName}@${message.physicalOffset}`, position);
    return { kind: 'stored', brokerName, position };
  }

  atPhysicalOffset(brokerName: string, offset: bigint): Position | undefined {
    return this.#physical.get(`${brokerName}@${offset}`);
  }

  /** Where the message of a record stands. A popped retry has the place of a message of its topic, as brokers write it. */
  recordAt(receiptHandle: string, body: string, told: number): Position | undefined {
    const read = readBody(body);
    const itsKey = placeOf(receiptHandle);
    const exact = this.positions.get(itsKey);
    if (read === undefined) return exact;
    // Failures that only a puller counts are told, too: a pulled record has its own place.
    if (exact?.number === read.number && exact.lentUntil === undefined) return exact;
    const place = itsKey.split('/').slice(1).join('/');
    return this.story(read.number).positions.findLast(
      ({ key, reconsumeTimes }) =>
        key === itsKey ||
        (POP_RETRY.test(key) && key.endsWith(`/${place}`) && reconsumeTimes <= told),
    );
  }

  /** The destination of `onFailure` has the message at the position. @returns its number; undefined: not one of ours */
  gaveUp(receiptHandle: string, now: number): number | undefined {
    const position = this.positions.get(placeOf(receiptHandle));
    if (position === undefined) return undefined;
    position.givenUpAt ??= now;
    this.story(position.number).failureRecords++;
    return position.number;
  }

  /** Does the position stand in its queue still, or was the topic deleted since? */
  isCurrent(position: Position): boolean {
    return this.positions.get(position.key) === position;
  }

  /** The topic's messages are gone, and its offsets are to mean others. */
  topicDeleted(topic: string, now: number): void {
    this.deletedAt.set(topic, now);
    for (const [queue, positions] of this.queues) {
      if (!queue.startsWith(`${topic}/`)) continue;
      for (const { key, number } of positions) {
        const story = this.story(number);
        if (!this.hasEnded(story)) story.droppedAt = now;
        this.positions.delete(key);
      }
      this.queues.delete(queue);
      this.committed.delete(queue);
      this.skipped.delete(queue);
    }
  }

  /** Has the message at the position its end there: handled, sent back, dead-lettered, dropped or skipped? */
  isFinished(position: Position): boolean {
    const story = this.story(position.number);
    return (
      position.doneAt !== undefined ||
      position.givenUpAt !== undefined ||
      this.#optional.has(position.number) ||
      story.droppedAt !== undefined ||
      // Its copies are not dead-lettered again.
      story.deadLetters > 0 ||
      this.hasCopy(position) ||
      this.#isSkipped(position)
    );
  }

  /** Was it sent back or set aside, or did its broker make it visible again? */
  hasCopy(position: Position): boolean {
    return this.#copyOf(position) !== undefined;
  }

  /** Was it stored again without a delivery? */
  wasSetAside(position: Position): boolean {
    return this.#copyOf(position)?.isSetAside === true;
  }

  #copyOf({ number, reconsumeTimes, storedAt }: Position): Copy | undefined {
    return this.story(number).copies.find(
      (copy) =>
        copy.reconsumeTimes > reconsumeTimes ||
        (copy.isSetAside && copy.reconsumeTimes === reconsumeTimes && copy.at > storedAt),
    );
  }

  #isSkipped({ queue, offset }: Position): boolean {
    return offset < (this.skipped.get(queue)?.to ?? 0n);
  }

  /** Since when the message at the position has its end there, epoch ms. Undefined: it has none. */
  #finishedAt(position: Position): number | undefined {
    if (!this.isFinished(position)) return undefined;
    const { number, queue, storedAt } = position;
    const story = this.story(number);
    return Math.min(
      ...[
        position.doneAt,
        position.givenUpAt,
        story.droppedAt,
        story.deadLetteredAt,
        this.#copyOf(position)?.at,
        this.#isSkipped(position) ? this.skipped.get(queue)?.at : undefined,
        this.#optional.has(number) ? storedAt : undefined,
      ].filter((at) => at !== undefined),
    );
  }

  /** Since when everything up to the position has its end, so that a commit may pass it. */
  committableSince(position: Position): number | undefined {
    let since = 0;
    for (const each of this.queues.get(position.queue) ?? []) {
      if (each.offset > position.offset) break;
      const finishedAt = this.#finishedAt(each);
      if (finishedAt === undefined) return undefined;
      since = Math.max(since, finishedAt);
    }
    return since;
  }

  /** Has the message its end: handled once, or dead? */
  hasEnded(story: Story): boolean {
    return (
      story.droppedAt !== undefined ||
      this.#optional.has(story.number) ||
      story.deadLetters > 0 ||
      story.failureRecords > 0 ||
      story.positions.some((position) => position.doneAt !== undefined || this.#isSkipped(position))
    );
  }

  started(deliveries: readonly Delivery[]): void {
    for (const delivery of deliveries) delivery.position.deliveries.push(delivery);
  }

  ended(deliveries: readonly Delivery[], now: number): void {
    const [first] = deliveries;
    if (first === undefined) return;
    const orderBy = this.#orderOf(first.puller);
    const failedGroups = new Set<string>();
    for (const delivery of deliveries) {
      delivery.endedAt = now;
      const { position, outcome } = delivery;
      // In order, what comes after a failure in its group is delivered again, whatever the handler says of it.
      const group = orderBy === 'key' ? position.messageKey : '';
      delivery.isBehindFailure = orderBy !== undefined && failedGroups.has(group);
      if (delivery.isBehindFailure) continue;
      if (outcome !== 'ok') failedGroups.add(group);
      const story = this.story(position.number);
      if (outcome === 'ok') position.doneAt ??= now;
      else if (outcome === 'dropped' || this.#broadcasts) story.droppedAt ??= now;
      else if (deliveries.length === 1 || !delivery.failedWithCall) story.failures++;
    }
  }
}

/** A position in the topic where brokers put what was popped and not acknowledged: `%RETRY%group_topic`. */
const POP_RETRY = /^%RETRY%[^/]*_/;

/** Bodies are `{"n":7,"k":"a"}`, padded. */
export function readBody(body: Buffer | string): { number: number; key: string } | undefined {
  try {
    const { n, k } = JSON.parse(body.toString()) as { n?: unknown; k?: unknown };
    return typeof n === 'number' ? { number: n, key: String(k) } : undefined;
  } catch {
    return undefined;
  }
}

/** Without the random part, which differs from delivery to delivery. */
function placeOf(receiptHandle: string): string {
  return receiptHandle.replace(/\.[\da-f-]+$/, '');
}
