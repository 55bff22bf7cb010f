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
