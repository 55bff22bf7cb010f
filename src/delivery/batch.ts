import type {
  RocketMQAttributes,
  RocketMQEvent,
  RocketMQRecord,
  S3Pointer,
} from '../model/event.ts';
import type { EventFormatName } from '../model/event-formats.ts';
import type { Message } from '../model/message.ts';
import type { BatchPayload } from '../ports/invoke.ts';
import { EVENT_FORMAT } from './event-formats.ts';

/** Lambda takes 6 MB (6,291,556 bytes) of synchronous payload; the rest is for the event's frame. */
export const MAX_EVENT_BYTES = 6_291_556 - 1_024;

/** The fields of a record that name it in a handler's answer, and its queue in an event. */
export type RecordIdentity = Pick<RocketMQRecord, 'messageId' | 'receiptHandle'> & {
  readonly rocketmq: Pick<
    RocketMQAttributes,
    'topic' | 'brokerName' | 'queueId' | 'queueOffset' | 'storeHost'
  >;
};

/**
 * One message of a batch. Its identity is copied before any handler sees the record. An inline
 * handler may change or keep the records that it gets, so each event has records of its own.
 */
export class BatchItem implements RecordIdentity {
  readonly messageId: string;
  readonly receiptHandle: string;
  readonly rocketmq: RecordIdentity['rocketmq'];
  readonly s3Pointer: S3Pointer | undefined;
  readonly traceHeader: string | undefined;
  /** JSON in the event's format, for Lambda. undefined: the event is made of the record itself. */
  readonly text: string | undefined;
  /** Built and not yet part of an event. */
  #record: RocketMQRecord | undefined;
  readonly #build: () => RocketMQRecord;

  /** @param build makes an equal record for a further event */
  constructor(record: RocketMQRecord, text: string | undefined, build: () => RocketMQRecord) {
    const { topic, brokerName, queueId, queueOffset, storeHost, s3Pointer } = record.rocketmq;
    this.messageId = record.messageId;
    this.receiptHandle = record.receiptHandle;
    this.rocketmq = { topic, brokerName, queueId, queueOffset, storeHost };
    this.s3Pointer = s3Pointer && { ...s3Pointer };
    this.traceHeader = record.attributes.AWSTraceHeader;
    this.text = text;
    this.#record = text === undefined ? record : undefined;
    this.#build = build;
  }

  /** A record that is part of no other event. */
  record(): RocketMQRecord {
    const record = this.#record ?? this.#build();
    this.#record = undefined;
    record.receiptHandle = this.receiptHandle;
    return record;
  }
}

/** Collects records until the event would be too large. The JSON of a record is made once. */
export class BatchBuilder {
  readonly #items: BatchItem[] = [];
  readonly #maxBytes: number | undefined;
  readonly #format: EventFormatName;
  /** What handlers may answer with: no two records of an event have one in common. */
  readonly #messageIds = new Set<string>();
  /** Names of records in events of format kafka only: popped retries have offsets of another topic. */
  readonly #offsets = new Set<string>();
  #bytes = 0;

  /** @param maxBytes of the event as JSON; undefined for a handler in this process, which no payload limit concerns */
  constructor(maxBytes: number | undefined, format: EventFormatName = 'sqs') {
    this.#format = format;
    this.#maxBytes = maxBytes;
  }

  /** Is the body alone larger than an event? In JSON it takes its own bytes or more, in every format. */
  isTooLarge(bodyBytes: number): boolean {
    return this.#maxBytes !== undefined && bodyBytes > this.#maxBytes;
  }

  /** Has a record of this event an identifier of the message? Known before its body is decompressed. */
  hasIdOf({ msgId, queueOffset }: Pick<Message, 'msgId' | 'queueOffset'>): boolean {
    return this.#isNamed(msgId, queueOffset);
  }

  #isNamed(messageId: string, queueOffset: bigint | string): boolean {
    return (
      this.#messageIds.has(messageId) ||
      (this.#format === 'kafka' && this.#offsets.has(String(queueOffset)))
    );
  }

  /**
   * 'full': it belongs into the next event. 'too-large': no event can carry it. 'same-id': a record
   * of this event has the same identifier. Producers choose messageIds, and an answer that names
   * one record must not reach another.
   * @param build makes an equal record for each further event that the message is part of
   */
  add(
    record: RocketMQRecord,
    build: () => RocketMQRecord,
  ): 'added' | 'full' | 'same-id' | 'too-large' {
    if (this.isTooLarge(record.body.length)) return 'too-large';
    const { messageId, rocketmq } = record;
    const { queueOffset } = rocketmq;
    if (this.#isNamed(messageId, queueOffset)) return 'same-id';
    const text =
      this.#maxBytes === undefined
        ? undefined
        : JSON.stringify(EVENT_FORMAT[this.#format].item(record));
    if (this.#maxBytes !== undefined && text !== undefined) {
      const bytes = Buffer.byteLength(text) + 1;
      if (bytes > this.#maxBytes) return 'too-large';
      if (this.#bytes + bytes > this.#maxBytes) return 'full';
      this.#bytes += bytes;
    }
    this.#items.push(new BatchItem(record, text, build));
    this.#messageIds.add(messageId);
    if (this.#format === 'kafka') this.#offsets.add(queueOffset);
    return 'added';
  }

  get items(): readonly BatchItem[] {
    return this.#items;
  }

  /** Of one record or more. */
  finish(rocketmqBatch: RocketMQEvent['rocketmqBatch']): BatchPayload {
    return batchPayload(this.#items, this.#format, rocketmqBatch);
  }
}

/** The event of one item or more. Each call of `event` makes one that shares no object with another. */
export function batchPayload(
  items: readonly BatchItem[],
  format: EventFormatName | undefined = 'sqs',
  rocketmqBatch: RocketMQEvent['rocketmqBatch'],
): BatchPayload {
  const { item, around, itemsOf } = EVENT_FORMAT[format];
  const frame = (): readonly [string, string] => around(items[0] as BatchItem, rocketmqBatch);
  const json = (): string => {
    const [before, after] = frame();
    const texts = items.map((one) => one.text ?? JSON.stringify(item(one.record())));
    return `${before}${texts.join(',')}${after}`;
  };
  return {
    json,
    event: () => {
      if (items.some(({ text }) => text !== undefined)) return JSON.parse(json());
      // Only the frame goes through JSON: the text of a body may take six times its size.
      const event = JSON.parse(frame().join('')) as ReturnType<BatchPayload['event']>;
      const list = itemsOf(event);
      for (const one of items) list.push(item(one.record()));
      return event;
    },
  };
}
