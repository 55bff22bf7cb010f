/** Bits of a stored message's sysFlag. Mirrors MessageSysFlag. */
export const SystemFlag = {
  COMPRESSED: 0x1,
  TRANSACTION_COMMIT: 0x8,
  TRANSACTION_MASK: 0xc,
  BORN_HOST_V6: 0x10,
  STORE_HOST_V6: 0x20,
  NEED_UNWRAP: 0x40,
  INNER_BATCH: 0x80,
  COMPRESSION_TYPE_MASK: 0x700,
} as const;

export type CompressionType = 'LZ4' | 'ZSTD' | 'ZLIB';

const COMPRESSION_FLAGS = { LZ4: 0x100, ZSTD: 0x200, ZLIB: 0x300 } as const;

/** Bits of the compression type; the compressed bit itself is apart. */
export function compressionFlag(type: CompressionType): number {
  return COMPRESSION_FLAGS[type];
}

/** The algorithm that the flag names; undefined for one that nobody has defined. No bits: zlib, as clients before 4.9.4 wrote it. */
export function compressionType(sysFlag: number): CompressionType | undefined {
  switch (sysFlag & SystemFlag.COMPRESSION_TYPE_MASK) {
    case COMPRESSION_FLAGS.LZ4:
      return 'LZ4';
    case COMPRESSION_FLAGS.ZSTD:
      return 'ZSTD';
    case COMPRESSION_FLAGS.ZLIB:
    case 0:
      return 'ZLIB';
    default:
      return undefined;
  }
}
