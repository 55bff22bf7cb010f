import { ProtocolError } from '../errors.ts';
import type { RemotingCommand } from './command.ts';
import { decodeBinaryHeader, encodeBinaryHeader } from './header-binary.ts';
import { decodeJsonHeader, encodeJsonHeader } from './header-json.ts';
import { MAX_HEADER_BYTES } from './limits.ts';

/*
 * Frame => length:int32 type:int8 headerLength:int24 header body        length counts all that follows it
 *   type => 0 JSON | 1 ROCKETMQ (binary)
 */

export type SerializeType = 'JSON' | 'ROCKETMQ';

/** The length field, which does not count itself. */
export const LENGTH_BYTES = 4;
/** What stands before the header: length, type, header length. */
export const PREFIX_BYTES = 8;

/** One whole frame. The binary header exists for tests and for servers that insist; clients send JSON. Mirrors RemotingCommand.encode. */
export function encodeFrame(command: RemotingCommand, type: SerializeType = 'JSON'): Buffer {
  const header = type === 'JSON' ? encodeJsonHeader(command) : encodeBinaryHeader(command);
  if (header.length > 0xffffff)
    throw new ProtocolError(`a header of ${header.length} bytes does not fit a frame`);
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + header.length + command.body.length);
  frame.writeInt32BE(frame.length - LENGTH_BYTES, 0);
  frame.writeInt32BE(((type === 'JSON' ? 0 : 1) << 24) | header.length, LENGTH_BYTES);
  frame.set(header, PREFIX_BYTES);
  frame.set(command.body, PREFIX_BYTES + header.length);
  return frame;
}

/**
 * Reads one whole frame, length included. The body is a view of the given bytes. Mirrors RemotingCommand.decode.
 * @throws ProtocolError
 */
export function decodeFrame(frame: Buffer): RemotingCommand {
  if (frame.length < PREFIX_BYTES)
    throw new ProtocolError(`a frame of ${frame.length} bytes has no header`);
  const length = frame.readInt32BE(0);
  if (length !== frame.length - LENGTH_BYTES)
    throw new ProtocolError(
      `a frame announces ${length} bytes and has ${frame.length - LENGTH_BYTES}`,
    );
  const headerLength = frame.readUIntBE(LENGTH_BYTES + 1, 3);
  if (PREFIX_BYTES + headerLength > frame.length)
    throw new ProtocolError(`a header of ${headerLength} bytes in a frame of ${frame.length}`);
  const head = decodeHead(frame.subarray(0, PREFIX_BYTES + headerLength));
  return { ...head, body: frame.subarray(PREFIX_BYTES + headerLength) };
}

/** Reads what stands before a frame's body. @throws ProtocolError */
export function decodeHead(bytes: Buffer): Omit<RemotingCommand, 'body'> {
  const type = bytes.readUInt8(LENGTH_BYTES);
  const headerBytes = bytes.subarray(PREFIX_BYTES);
  if (headerBytes.length > MAX_HEADER_BYTES) throw headerTooLarge(headerBytes.length);
  if (type > 1)
    throw new ProtocolError(
      `unknown serialize type ${type}: the peer does not speak the remoting protocol`,
    );
  return type === 0 ? decodeJsonHeader(headerBytes) : decodeBinaryHeader(headerBytes);
}

export function headerTooLarge(bytes: number): ProtocolError {
  return new ProtocolError(`frame header of ${bytes} bytes, more than ${MAX_HEADER_BYTES}`);
}
