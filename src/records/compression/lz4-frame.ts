import { LimitExceededError, ProtocolError } from '../../errors.ts';
import { ByteReader } from '../../remoting/byte-reader.ts';
import { decodeLz4Block, Lz4Output } from './lz4-block.ts';
import { xxh32 } from './xxh32.ts';

/*
 * Frame => magic:le32 descriptor headerChecksum:8 (block)* 0:le32 [contentChecksum:le32]
 *   descriptor => FLG:8 BD:8 [contentSize:le64]
 *   block      => size:le32 (high bit: stored as it is) data [blockChecksum:le32]
 * What lz4-java's LZ4FrameOutputStream writes: independent blocks, no sizes, no checksums beside the header's. The rest is for other producers.
 */
const MAGIC = 0x184d2204;
const VERSION_BITS = 0xc0;
const VERSION = 0x40;
const INDEPENDENT = 0x20;
const BLOCK_CHECKSUM = 0x10;
const CONTENT_SIZE = 0x08;
const CONTENT_CHECKSUM = 0x04;
const RESERVED = 0x02;
const DICTIONARY = 0x01;
const STORED_BLOCK = 0x80000000;
const SMALLEST_BLOCK_CODE = 4;

interface Descriptor {
  readonly flags: number;
  readonly maxBlockBytes: number;
  readonly contentSize: number | undefined;
}

/**
 * Decodes one LZ4 frame that fills the input.
 * @param maxBytes of output, checked before each growth
 * @throws ProtocolError for damage, LimitExceededError for too much
 */
export function decodeLz4Frame(input: Buffer, maxBytes: number): Buffer {
  const reader = new ByteReader(input);
  const { flags, maxBlockBytes, contentSize } = readDescriptor(reader);
  if (contentSize !== undefined && contentSize > maxBytes)
    throw new LimitExceededError(
      `an LZ4 frame announces ${contentSize} bytes, over the limit of ${maxBytes}`,
    );
  const output = new Lz4Output(input.length * 4, maxBytes);
  for (
    let field = reader.uint32le('LZ4 block size');
    field !== 0;
    field = reader.uint32le('LZ4 block size')
  ) {
    const block = reader.bytes(field & ~STORED_BLOCK, 'LZ4 block');
    if ((flags & BLOCK_CHECKSUM) !== 0 && reader.uint32le('LZ4 block checksum') !== xxh32(block))
      throw new ProtocolError('an LZ4 block has a wrong checksum');
    const start = output.length;
    if ((field & STORED_BLOCK) !== 0) output.append(block, 0, block.length);
    else decodeLz4Block(block, output, (flags & INDEPENDENT) !== 0 ? start : 0);
    if (output.length - start > maxBlockBytes)
      throw new ProtocolError('an LZ4 block holds more than its frame allows');
  }
  const result = output.finish();
  if ((flags & CONTENT_CHECKSUM) !== 0 && reader.uint32le('LZ4 content checksum') !== xxh32(result))
    throw new ProtocolError('an LZ4 frame has a wrong checksum');
  if (contentSize !== undefined && contentSize !== result.length)
    throw new ProtocolError('an LZ4 frame has another size than it says');
  if (reader.remaining > 0)
    throw new ProtocolError(`${reader.remaining} bytes stand behind an LZ4 frame`);
  return result;
}

function readDescriptor(reader: ByteReader): Descriptor {
  if (reader.uint32le('LZ4 magic') !== MAGIC)
    throw new ProtocolError('a body marked LZ4 is no LZ4 frame');
  const start = reader.offset;
  const flags = reader.uint8('LZ4 flags');
  const blockCode = (reader.uint8('LZ4 block descriptor') >>> 4) & 0x7;
  if ((flags & VERSION_BITS) !== VERSION || (flags & RESERVED) !== 0)
    throw new ProtocolError('an LZ4 frame of an unknown version');
  if ((flags & DICTIONARY) !== 0)
    throw new ProtocolError('an LZ4 frame needs a dictionary, which messages do not carry');
  if (blockCode < SMALLEST_BLOCK_CODE)
    throw new ProtocolError('an LZ4 frame has an unknown block size');
  const contentSize =
    (flags & CONTENT_SIZE) !== 0
      ? reader.uint32le('LZ4 size') + reader.uint32le('LZ4 size') * 2 ** 32
      : undefined;
  const descriptor = reader.buffer.subarray(start, reader.offset);
  if (((xxh32(descriptor) >>> 8) & 0xff) !== reader.uint8('LZ4 header checksum'))
    throw new ProtocolError('an LZ4 frame has a damaged header');
  return { flags, maxBlockBytes: 1 << (8 + 2 * blockCode), contentSize };
}
