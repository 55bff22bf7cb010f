/** Upper bounds of what is read from the network. */
export interface Limits {
  /** Bytes of one frame. RocketMQ's own bound on both sides (com.rocketmq.remoting.frameMaxLength). */
  readonly maxFrameBytes: number;
  /** Bytes of one message's body after decompression. Brokers take 4 MiB as sent, which can expand far beyond. */
  readonly maxDecompressedBytes: number;
}

export const DEFAULT_LIMITS: Limits = {
  maxFrameBytes: 16 * 1024 * 1024,
  maxDecompressedBytes: 64 * 1024 * 1024,
};

/** Bytes of a frame's header. Requests and answers of RocketMQ have some hundred, sends up to 32 kB of properties. */
export const MAX_HEADER_BYTES = 1024 * 1024;
/** Ext fields of a header. The largest requests have about 20. */
export const MAX_HEADER_FIELDS = 1_000;
