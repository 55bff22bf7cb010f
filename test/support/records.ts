import type { RecordContext } from '../../src/delivery/build-record.ts';
import type { Message } from '../../src/model/message.ts';
import { decodeRecords } from '../../src/records/decode-records.ts';
import { encodeRecord, type RecordFields } from '../../src/records/encode-record.ts';

export const RECORD: RecordFields = {
  topic: 'orders',
  queueId: 3,
  flag: -7,
  queueOffset: 4711n,
  commitLogOffset: 2n ** 60n + 1n,
  sysFlag: 0,
  bornTimestamp: 1_700_000_000_000,
  bornHost: { address: '10.0.3.17', port: 52_114 },
  storeTimestamp: 1_700_000_000_123,
  storeHost: { address: '10.0.3.18', port: 10_911 },
  reconsumeTimes: 2,
  preparedTransactionOffset: 5n,
  body: Buffer.from('{"orderId":17}'),
  properties: { TAGS: 'paid', KEYS: 'order-17', UNIQ_KEY: 'AC1A2B3C' },
};

/** What a record tells beside its message. */
export const RECORD_CONTEXT: RecordContext = {
  cluster: 'prod',
  consumerGroup: 'order-worker',
  topic: 'orders',
  region: 'eu-west-1',
  accountId: '123456789012',
  maxReconsumeTimes: 16,
  localRetries: 0,
  now: 1_700_000_000_500,
};

/** One record with these fields. */
export function record(fields: Partial<RecordFields> = {}): Buffer {
  return encodeRecord({ ...RECORD, ...fields });
}

/** Decodes a body that must hold exactly one good record. */
export function decodeOne(body: Buffer): Message {
  const { messages, undecodable } = decodeRecords(body, { brokerName: 'broker-a' });
  const [message] = messages;
  if (messages.length !== 1 || undecodable.length > 0 || message === undefined)
    throw new Error(`${messages.length} messages and ${undecodable.length} undecodable records`, {
      cause: undecodable[0]?.error,
    });
  return message;
}

/** A small message at an offset, decoded from its record. */
export function messageAt(queueOffset: number, fields: Partial<RecordFields> = {}): Message {
  return decodeOne(record({ queueOffset: BigInt(queueOffset), ...fields }));
}
