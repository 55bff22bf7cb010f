import { randomBytes, randomUUID } from 'node:crypto';
import { BatchBuilder } from '../delivery/batch.ts';
import { buildRecord } from '../delivery/build-record.ts';
import { withPointer } from '../delivery/offload-body.ts';
import type { RocketMQRecord, S3Pointer } from '../model/event.ts';
import type { EventFormatName, EventOfFormat } from '../model/event-formats.ts';
import type { Message } from '../model/message.ts';
import { decodeRecords } from '../records/decode-records.ts';
import { encodeRecord } from '../records/encode-record.ts';

/** What a test says of a message; the rest is as of an ordinary one. */
export interface EventMessage {
  /** Text, bytes, or a value that becomes JSON. */
  readonly body: unknown;
  readonly tags?: string;
  readonly keys?: readonly string[];
  readonly shardingKey?: string;
  /** The user's own. */
  readonly properties?: Readonly<Record<string, string>>;
  /** Failed deliveries before this one; default 0. */
  readonly reconsumeTimes?: number;
  readonly messageId?: string;
  /** Where the body is, as with `s3PointerThreshold`: the record points there instead of having it. */
  readonly s3Pointer?: S3Pointer;
}

export interface EventOptions<Format extends EventFormatName = 'sqs'> {
  readonly topic?: string;
  readonly consumerGroup?: string;
  readonly cluster?: string;
  /** Of the first message; default 0. */
  readonly queueOffset?: number;
  /** As the event's options say; default none. `orderKey` as there, default SHARDING_KEY. */
  readonly order?: 'none' | 'queue' | 'key';
  readonly orderKey?: string;
  /** As the handler's event has it; default sqs. */
  readonly eventFormat?: Format;
}

/** An event as handlers get it, made by the code that makes the real ones: for unit tests of handlers. */
export function createRocketMQEvent<Format extends EventFormatName = 'sqs'>(
  messages: readonly EventMessage[],
  options: EventOptions<Format> = {},
): EventOfFormat[Format] {
  const {
    topic = 'orders',
    consumerGroup = 'order-worker',
    cluster = 'default',
    queueOffset = 0,
    order = 'none',
    orderKey: key = 'SHARDING_KEY',
  } = options;
  const kept = order === 'none' ? undefined : { by: order, key, suspendCurrentQueueTimeMillis: 0 };
  if (messages.length === 0) throw new Error('an event has one message or more');
  const now = Date.now();
  const context = {
    cluster,
    consumerGroup,
    topic,
    now,
    region: 'local',
    accountId: '000000000000',
    maxReconsumeTimes: 16,
    localRetries: 0,
    order: kept,
  };
  const builder = new BatchBuilder(undefined, options.eventFormat);
  for (const [index, message] of messages.entries()) {
    const asStored = stored(message, topic, BigInt(queueOffset + index), now);
    const build = (): RocketMQRecord => {
      const record = buildRecord(asStored, context);
      return message.s3Pointer === undefined ? record : withPointer(record, message.s3Pointer);
    };
    builder.add(build(), build);
  }
  const batch = {
    batchId: randomUUID(),
    attempt: 1,
    minOffset: String(queueOffset),
    maxOffset: String(queueOffset + messages.length - 1),
    lag: 0,
    deadline: now + 30_000,
    ...(kept && { order: kept.by }),
  };
  return builder.finish(batch).event() as EventOfFormat[Format];
}

/** Written and read as a broker and a client do it, so that nothing is in it that could not be in a message. */
function stored(given: EventMessage, topic: string, queueOffset: bigint, now: number): Message {
  const {
    body,
    tags,
    keys,
    shardingKey,
    properties = {},
    reconsumeTimes = 0,
    messageId = randomBytes(16).toString('hex').toUpperCase(),
  } = given;
  const all: Record<string, string> = { ...properties, UNIQ_KEY: messageId };
  if (tags !== undefined) all.TAGS = tags;
  if (keys !== undefined) all.KEYS = keys.join(' ');
  if (shardingKey !== undefined) all.__SHARDINGKEY = shardingKey;
  const record = encodeRecord({
    topic,
    queueId: 0,
    flag: 0,
    queueOffset,
    commitLogOffset: queueOffset * 1024n,
    sysFlag: 0,
    bornTimestamp: now - 10,
    bornHost: { address: '127.0.0.1', port: 50_000 },
    storeTimestamp: now - 5,
    storeHost: { address: '127.0.0.1', port: 10_911 },
    reconsumeTimes,
    preparedTransactionOffset: 0n,
    body: bytesOf(body),
    properties: all,
  });
  const { messages, undecodable } = decodeRecords(record, { brokerName: 'broker-a' });
  if (messages[0] === undefined)
    throw undecodable[0]?.error ?? new Error('the message could not be made');
  return messages[0];
}

function bytesOf(body: unknown): Buffer {
  if (typeof body === 'string') return Buffer.from(body);
  return body instanceof Uint8Array ? Buffer.from(body) : Buffer.from(JSON.stringify(body));
}
