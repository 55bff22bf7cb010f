import { LimitExceededError } from '../errors.ts';
import { ByteReader } from '../remoting/byte-reader.ts';
import { ByteWriter } from '../remoting/byte-writer.ts';
import { formatProperties } from './properties.ts';

/*
 * Body of a batch send (320) and of an inner batch => item*
 *   item => size:int32 magic:int32 bodyCRC:int32 flag:int32 bodyLength:int32 body propertiesLength:int16 properties
 *   magic and CRC are 0 and nobody looks at them
 */

export interface BatchItem {
  readonly flag: number;
  readonly bodyCRC: number;
  /** A view of the batch. */
  readonly body: Buffer;
  readonly propertyBytes: Buffer;
}

/** The broker counts a batch's items in 16 bits. */
export const MAX_ITEMS = 0x7fff;

/**
 * Mirrors MessageDecoder.decodeMessages.
 * @param maxItems default: what a broker can count
 * @throws ProtocolError for a cut item, LimitExceededError for more than `maxItems`
 */
export function decodeBatchItems(batch: Buffer, maxItems = MAX_ITEMS): BatchItem[] {
  const reader = new ByteReader(batch);
  const items: BatchItem[] = [];
  while (reader.remaining > 0) {
    if (items.length === maxItems)
      throw new LimitExceededError(`a batch has more than ${maxItems} messages`);
    reader.int32('size of a batch item');
    reader.int32('magic of a batch item');
    const bodyCRC = reader.int32('CRC of a batch item');
    const flag = reader.int32('flag of a batch item');
    const body = reader.bytes(reader.int32('body length of a batch item'), 'body of a batch item');
    const propertyBytes = reader.bytes(
      reader.int16('properties length of a batch item'),
      'properties of a batch item',
    );
    items.push({ flag, bodyCRC, body, propertyBytes });
  }
  return items;
}

/** Mirrors MessageDecoder.encodeMessage. */
export function encodeBatchItem(item: {
  readonly flag: number;
  readonly body: Buffer;
  readonly properties: ReadonlyMap<string, string> | Readonly<Record<string, string>>;
}): Buffer {
  const properties = Buffer.from(formatProperties(item.properties));
  const writer = new ByteWriter(32 + item.body.length + properties.length)
    .int32(0)
    .int32(0)
    .int32(0)
    .int32(item.flag)
    .int32(item.body.length)
    .bytes(item.body)
    .int16(properties.length)
    .bytes(properties);
  return writer.patchInt32(0, writer.length).finish();
}
