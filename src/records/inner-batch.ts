import { ProtocolError } from '../errors.ts';
import { decodeBatchItems, MAX_ITEMS } from './batch-items.ts';
import { Property } from './properties.ts';
import type { StoredMessage } from './stored-message.ts';
import { SystemFlag } from './system-flag.ts';

export function isInnerBatch(sysFlag: number): boolean {
  const both = SystemFlag.NEED_UNWRAP | SystemFlag.INNER_BATCH;
  return (sysFlag & both) === both;
}

/**
 * Offsets that an inner batch takes, read from INNER_NUM, from which the broker builds its BatchCQ. Producers choose
 * the sysFlag of a message: a record that announces more offsets than the queue gives it is no batch.
 * @param nextOffset of the queue behind the record; undefined: not known
 * @throws ProtocolError when the record is not a credible batch
 */
export function innerBatchSize(record: StoredMessage, nextOffset: bigint | undefined): number {
  const text = record.properties.get(Property.INNER_NUM) ?? '';
  const size = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (size < 1 || size > MAX_ITEMS)
    throw new ProtocolError(
      `inner batch not credible: property INNER_NUM is "${text}", expected 1 to ${MAX_ITEMS}`,
    );
  if (nextOffset !== undefined && record.queueOffset + BigInt(size) > nextOffset)
    throw new ProtocolError(
      `inner batch not credible: ${size} messages from offset ${record.queueOffset}, but the next offset of the queue is ${nextOffset}`,
    );
  return size;
}

/**
 * The messages of an inner batch.
 * @param opened the record with its body decompressed
 * @throws ProtocolError, LimitExceededError when it does not hold exactly `size` messages
 */
export function unwrapInnerBatch(opened: StoredMessage, size: number): StoredMessage[] {
  const items = decodeBatchItems(opened.body, size);
  if (items.length < size)
    throw new ProtocolError(
      `inner batch not credible: ${items.length} messages, but property INNER_NUM is ${size}`,
    );
  return items.map((item, n) => opened.inner(n, item));
}
