/** Where a message was born or stored: `address` without brackets ("10.0.3.17", "2001:db8::1"), `port` 0..65535. */
export interface HostAndPort {
  readonly address: string;
  readonly port: number;
}

/**
 * A message as a consumer sees it: decoded, decompressed, with its place in the queue. Mirrors MessageExt / MessageClientExt.
 * 64-bit offsets are bigint; timestamps are epoch milliseconds.
 * Hosts, properties and ids may be getters that work when first asked: name the fields you copy, a spread (`{...message}`) loses those.
 */
export interface Message {
  /** Topic of the queue that it was pulled from (`%RETRY%group` for a redelivery); see `userTopic` for the one that handlers know. */
  readonly topic: string;
  readonly brokerName: string;
  readonly queueId: number;
  /** Logical offset in the queue. */
  readonly queueOffset: bigint;
  /** Physical offset in the broker's commit log: what send-back (request 36) names. */
  readonly commitLogOffset: bigint;
  readonly flag: number;
  /** As stored, but with the compressed bit cleared once the body is decompressed. */
  readonly sysFlag: number;
  readonly bornTimestamp: number;
  readonly bornHost: HostAndPort;
  readonly storeTimestamp: number;
  readonly storeHost: HostAndPort;
  /** Deliveries that failed before this one, counted by the broker. */
  readonly reconsumeTimes: number;
  readonly preparedTransactionOffset: bigint;
  /** CRC-32 of the stored body, 31 bits. */
  readonly bodyCRC: number;
  /** Bytes of the whole stored record. */
  readonly storeSize: number;
  /** Decompressed. */
  readonly body: Buffer;
  readonly properties: ReadonlyMap<string, string>;
  /** Bytes of the properties as stored. */
  readonly propertyBytes?: number | undefined;
  /** How many properties the record has, counted without reading them. */
  readonly propertyCount?: number | undefined;
  /** Store host and physical offset in upper-case hex; changes with every retry. */
  readonly offsetMsgId: string;
  /**
   * The first UNIQ_KEY of the record, else the offsetMsgId of its first delivery: stable over
   * retries, the idempotency key. Producers choose it: a forwarded copy has the key of its original.
   */
  readonly msgId: string;
  /** A second UNIQ_KEY, which brokers would keep in the place of the first one. */
  readonly otherUniqKey?: string | undefined;
}

/**
 * Memory of a message in hand beside its body and its properties, in bytes. Measured with
 * bench/message-cost.ts on Node 24: 1,300 to 1,500.
 */
export const ENTRY_BYTES = 1536;

/** A record that could not be decoded: it keeps its place, so that it can be sent to the DLQ and passed. */
export interface UndecodableRecord {
  readonly queueId: number;
  readonly queueOffset: bigint;
  readonly commitLogOffset: bigint;
  readonly reconsumeTimes: number;
  /** undefined: the record cannot be read so far. */
  readonly offsetMsgId: string | undefined;
  readonly error: Error;
  /** The record as the broker stores it: a view of the answer. */
  readonly stored?: Buffer;
  /** The message with its stored body, where only that one cannot be read: damaged, or too large. */
  readonly unopened?: Message;
}

/** A message that failed for good, in a form that brokers take. */
export interface DeadLetter {
  /** The broker that stores the message. */
  readonly brokerName: string;
  /** Topic of the queue that the message was read from. */
  readonly topic: string;
  readonly msgId: string;
  /** Failed deliveries before the last one. */
  readonly reconsumeTimes: number;
  readonly flag: number;
  readonly sysFlag: number;
  readonly body: Buffer;
  readonly properties: ReadonlyMap<string, string>;
}
