import { ProtocolError } from '../errors.ts';
import { ByteReader } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import type { RemotingCommand } from './command.ts';
import { languageCode, languageName } from './language.ts';
import { MAX_HEADER_FIELDS } from './limits.ts';

type Header = Omit<RemotingCommand, 'body'>;

/*
 * Header => code:int16 language:int8 version:int16 opaque:int32 flag:int32 remark ext          (RocketMQSerializable)
 *   remark => length:int32 utf8                    length 0 = null
 *   ext    => bytes:int32 (keyLength:int16 key valueLength:int32 value)*
 */

/** @throws ProtocolError for codes above 32767: the field has 16 bits, and the broker would read another code. */
export function encodeBinaryHeader(command: Header): Buffer {
  if (command.code > 0x7fff)
    throw new ProtocolError(
      `code ${command.code} does not fit the 16 bits of a binary header: send JSON`,
    );
  const remark = Buffer.from(command.remark ?? '');
  const writer = new ByteWriter()
    .int16(command.code)
    .int8(languageCode(command.language))
    .int16(command.version)
    .int32(command.opaque)
    .int32(command.flag)
    .int32(remark.length)
    .bytes(remark);
  const lengthAt = writer.length;
  writer.int32(0);
  for (const [name, text] of Object.entries(command.extFields)) {
    const key = Buffer.from(name);
    const value = Buffer.from(text);
    writer.int16(key.length).bytes(key).int32(value.length).bytes(value);
  }
  return writer.patchInt32(lengthAt, writer.length - lengthAt - 4).finish();
}

export function decodeBinaryHeader(bytes: Buffer): Header {
  const reader = new ByteReader(bytes);
  const code = reader.int16('code');
  const language = languageName(reader.uint8('language'));
  const version = reader.int16('version');
  const opaque = reader.int32('opaque');
  const flag = reader.int32('flag');
  const remarkLength = reader.int32('remark length');
  const remark = remarkLength === 0 ? undefined : reader.utf8(remarkLength, 'remark');
  const fields: [string, string][] = [];
  const extLength = reader.int32('ext fields length');
  if (extLength < 0 || extLength > reader.remaining)
    throw new ProtocolError(
      `ext fields of ${extLength} bytes in a header with ${reader.remaining} left`,
    );
  const end = reader.offset + extLength;
  while (reader.offset < end) {
    if (fields.length === MAX_HEADER_FIELDS)
      throw new ProtocolError(`a binary header has more than ${MAX_HEADER_FIELDS} ext fields`);
    const key = reader.utf8(reader.uint16('ext key length'), 'ext key');
    fields.push([key, reader.utf8(reader.int32('ext value length'), 'ext value')]);
  }
  // fromEntries defines what an assignment would not: a key named __proto__.
  return { code, language, version, opaque, flag, remark, extFields: Object.fromEntries(fields) };
}
