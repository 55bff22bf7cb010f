import type { HostAndPort, Message } from '../model/message.ts';
import { RETRY_TOPIC_PREFIX } from '../model/message-queue.ts';
import type { BatchItem } from './batch-items.ts';
import { formatAddress } from './host.ts';
import { formatMessageId } from './message-id.ts';
import { countProperties, otherUniqKey, Property, parseProperties } from './properties.ts';

/** What a record gives as it stands: hosts as their 8 or 20 bytes (address, then a 4-byte port), properties not yet parsed. */
export interface StoredFields
  extends Omit<
    Message,
    | 'bornHost'
    | 'storeHost'
    | 'properties'
    | 'propertyBytes'
    | 'propertyCount'
    | 'offsetMsgId'
    | 'msgId'
    | 'otherUniqKey'
  > {
  readonly bornHostBytes: Buffer;
  readonly storeHostBytes: Buffer;
  readonly propertyBytes: Buffer;
}

/** A message as it was read; hosts, properties and ids are worked out when they are asked for. They are getters: a spread copy lacks them. */
export class StoredMessage implements Required<Message> {
  readonly topic: string;
  readonly brokerName: string;
  readonly queueId: number;
  readonly queueOffset: bigint;
  readonly commitLogOffset: bigint;
  readonly flag: number;
  readonly sysFlag: number;
  readonly bornTimestamp: number;
  readonly storeTimestamp: number;
  readonly reconsumeTimes: number;
  readonly preparedTransactionOffset: bigint;
  readonly bodyCRC: number;
  readonly storeSize: number;
  readonly body: Buffer;
  readonly #bornHostBytes: Buffer;
  readonly #storeHostBytes: Buffer;
  readonly #propertyBytes: Buffer;
  #properties: ReadonlyMap<string, string> | undefined;
  #propertyCount: number | undefined;

  constructor(fields: StoredFields) {
    this.topic = fields.topic;
    this.brokerName = fields.brokerName;
    this.queueId = fields.queueId;
    this.queueOffset = fields.queueOffset;
    this.commitLogOffset = fields.commitLogOffset;
    this.flag = fields.flag;
    this.sysFlag = fields.sysFlag;
    this.bornTimestamp = fields.bornTimestamp;
    this.storeTimestamp = fields.storeTimestamp;
    this.reconsumeTimes = fields.reconsumeTimes;
    this.preparedTransactionOffset = fields.preparedTransactionOffset;
    this.bodyCRC = fields.bodyCRC;
    this.storeSize = fields.storeSize;
    this.body = fields.body;
    this.#bornHostBytes = fields.bornHostBytes;
    this.#storeHostBytes = fields.storeHostBytes;
    this.#propertyBytes = fields.propertyBytes;
  }

  get bornHost(): HostAndPort {
    return readHost(this.#bornHostBytes);
  }

  get storeHost(): HostAndPort {
    return readHost(this.#storeHostBytes);
  }

  get properties(): ReadonlyMap<string, string> {
    this.#properties ??= parseProperties(this.#propertyBytes.toString('utf8'));
    return this.#properties;
  }

  get propertyBytes(): number {
    return this.#propertyBytes.length;
  }

  get propertyCount(): number {
    this.#propertyCount ??= countProperties(this.#propertyBytes);
    return this.#propertyCount;
  }

  get offsetMsgId(): string {
    return formatMessageId(this.#storeHostBytes, this.commitLogOffset);
  }

  get msgId(): string {
    const { properties, topic } = this;
    return (
      properties.get(Property.UNIQ_KEY) ??
      // Without a key a retry keeps the id of its first delivery, which request 36 writes there.
      (topic.startsWith(RETRY_TOPIC_PREFIX)
        ? properties.get(Property.ORIGIN_MESSAGE_ID)
        : undefined) ??
      this.offsetMsgId
    );
  }

  get otherUniqKey(): string | undefined {
    return otherUniqKey(this.#propertyBytes.toString('utf8'));
  }

  /** The same message with another body: the decompressed one. */
  withBody(body: Buffer, sysFlag: number): this {
    return this.#with({ body, sysFlag });
  }

  /** The same message without the count that a producer has written. */
  uncounted(): this {
    return this.reconsumeTimes === 0 ? this : this.#with({ reconsumeTimes: 0 });
  }

  #with(fields: Partial<Pick<Message, 'body' | 'sysFlag' | 'reconsumeTimes'>>): this {
    const message = new StoredMessage({
      topic: this.topic,
      brokerName: this.brokerName,
      queueId: this.queueId,
      queueOffset: this.queueOffset,
      commitLogOffset: this.commitLogOffset,
      flag: this.flag,
      bornTimestamp: this.bornTimestamp,
      storeTimestamp: this.storeTimestamp,
      reconsumeTimes: this.reconsumeTimes,
      preparedTransactionOffset: this.preparedTransactionOffset,
      bodyCRC: this.bodyCRC,
      storeSize: this.storeSize,
      bornHostBytes: this.#bornHostBytes,
      storeHostBytes: this.#storeHostBytes,
      propertyBytes: this.#propertyBytes,
      sysFlag: this.sysFlag,
      body: this.body,
      ...fields,
    });
    message.#properties = this.#properties;
    return message as this;
  }

  /** The n-th message of an inner batch: place, hosts and times are the batch's own. Mirrors MessageDecoder.decodeMessage(MessageExt, List). */
  inner(n: number, item: BatchItem): StoredMessage {
    const {
      topic,
      brokerName,
      queueId,
      commitLogOffset,
      sysFlag,
      bornTimestamp,
      storeTimestamp,
      preparedTransactionOffset,
    } = this;
    return new StoredMessage({
      topic,
      brokerName,
      queueId,
      commitLogOffset,
      sysFlag,
      bornTimestamp,
      storeTimestamp,
      preparedTransactionOffset,
      flag: item.flag,
      body: item.body,
      bodyCRC: item.bodyCRC,
      propertyBytes: item.propertyBytes,
      queueOffset: this.queueOffset + BigInt(n),
      reconsumeTimes: 0,
      storeSize: 0,
      bornHostBytes: this.#bornHostBytes,
      storeHostBytes: this.#storeHostBytes,
    });
  }
}

function readHost(bytes: Buffer): HostAndPort {
  const portAt = bytes.length - 4;
  return { address: formatAddress(bytes.subarray(0, portAt)), port: bytes.readInt32BE(portAt) };
}
