import { unzipSync, zstdDecompressSync } from 'node:zlib';
import { LimitExceededError, ProtocolError } from '../../errors.ts';
import type { CompressionType } from '../system-flag.ts';
import { decodeLz4Frame } from './lz4-frame.ts';

/**
 * Undoes a producer's compression. ZLIB also reads gzip: some producers write it and announce zlib.
 * @param maxBytes of output; decompression stops there
 * @throws ProtocolError for damage, LimitExceededError when the output would pass `maxBytes`
 */
export function decompress(type: CompressionType, body: Buffer, maxBytes: number): Buffer {
  if (type === 'LZ4') return decodeLz4Frame(body, maxBytes);
  try {
    return type === 'ZLIB'
      ? unzipSync(body, { maxOutputLength: maxBytes })
      : zstdDecompressSync(body, { maxOutputLength: maxBytes });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE')
      throw new LimitExceededError(`a body decompresses to more than ${maxBytes} bytes`);
    throw new ProtocolError(`a body marked ${type} does not decompress`, { cause });
  }
}
