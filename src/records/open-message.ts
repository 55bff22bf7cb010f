import { isAscii } from 'node:buffer';
import { ProtocolError } from '../errors.ts';
import type { Message, UndecodableRecord } from '../model/message.ts';
import { decompress } from './compression/decompress.ts';
import { compressionType, SystemFlag } from './system-flag.ts';

/** A message whose body may still be as it is stored. */
interface Openable extends Message {
  /** The same message with another body. */
  withBody(body: Buffer, sysFlag: number): this;
}

/** Is the body still compressed? */
export function isCompressed({ sysFlag, body }: Pick<Message, 'sysFlag' | 'body'>): boolean {
  return (sysFlag & SystemFlag.COMPRESSED) !== 0 && body.length > 0;
}

/**
 * The message with its body decompressed; the same message when it is not compressed. The other fields are shared.
 * @param maxBytes of the decompressed body
 * @throws ProtocolError for damage, LimitExceededError when the body would pass `maxBytes`
 */
export function openMessage<M extends Message>(message: M, maxBytes: number): M {
  if (!isCompressed(message) || !isOpenable(message)) return message;
  const { sysFlag, body } = message;
  const type = compressionType(sysFlag);
  if (type === undefined)
    throw new ProtocolError(
      `a body is compressed in an unknown way (sysFlag 0x${sysFlag.toString(16)})`,
    );
  return message.withBody(decompress(type, body, maxBytes), sysFlag & ~SystemFlag.COMPRESSED);
}

/** Bytes that the body takes as a text: one per character for ASCII, else up to two for each of its bytes. */
export function textBytes({ body }: Pick<Message, 'body'>): number {
  return (isAscii(body) ? 1 : 2) * body.length;
}

/** A message whose body does not open, as a record that cannot be decoded. */
export function asUndecodable(unopened: Message, error: Error): UndecodableRecord {
  const { queueId, queueOffset, commitLogOffset, reconsumeTimes, offsetMsgId, body } = unopened;
  const place = { queueId, queueOffset, commitLogOffset, reconsumeTimes, offsetMsgId };
  return { ...place, error, stored: body, unopened };
}

function isOpenable<M extends Message>(message: M): message is M & Openable {
  return 'withBody' in message;
}
