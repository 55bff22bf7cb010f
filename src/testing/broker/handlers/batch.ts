import { parseProperties } from '../../../records/properties.ts';
import { ByteReader } from '../../../remoting/byte-reader.ts';

interface BatchItem {
  readonly flag: number;
  readonly body: Buffer;
  readonly properties: ReadonlyMap<string, string>;
}

/** The body of SEND_BATCH_MESSAGE (grammar: decode-records.ts). Mirrors MessageDecoder.decodeMessages. */
export function decodeBatch(body: Buffer): BatchItem[] {
  const items: BatchItem[] = [];
  const reader = new ByteReader(body);
  while (reader.remaining > 0) {
    reader.bytes(12);
    const flag = reader.int32();
    const item = reader.bytes(reader.int32());
    items.push({ flag, body: item, properties: parseProperties(reader.bytes(reader.int16()).toString()) });
  }
  return items;
}
