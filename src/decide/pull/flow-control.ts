/** Bounds of what is kept between pull and commit. Defaults of DefaultMQPushConsumer (pullThresholdForQueue, pullThresholdSizeForQueue, consumeConcurrentlyMaxSpan). */
export interface FlowLimits {
  readonly maxMessages: number;
  readonly maxBytes: number;
  readonly maxSpan: number;
}

export const FLOW_LIMITS: FlowLimits = {
  maxMessages: 1000,
  maxBytes: 100 * 1024 * 1024,
  maxSpan: 2000,
};

/** Of the process's memory, what messages may take that wait or are with handlers; their events are made of them beside. */
const MESSAGES_SHARE = 0.4;
/** Two of the largest messages that a stock broker takes. */
const LEAST_BYTES = 8 * 1024 * 1024;

/**
 * Java's limits, and less where as many queues as the invocation works would not fit into its memory with them; more messages where a batch takes
 * more, or it would never be full.
 */
export function limitsFor(
  queues: number,
  memoryBytes: number | undefined,
  batchSize = 0,
): FlowLimits {
  const { maxMessages, maxSpan } = FLOW_LIMITS;
  const limits = {
    ...FLOW_LIMITS,
    maxMessages: Math.max(maxMessages, batchSize),
    maxSpan: Math.max(maxSpan, 2 * batchSize),
  };
  if (memoryBytes === undefined) return limits;
  const share = Math.floor((memoryBytes * MESSAGES_SHARE) / Math.max(1, queues));
  return { ...limits, maxBytes: Math.min(FLOW_LIMITS.maxBytes, Math.max(LEAST_BYTES, share)) };
}

/** Which bound forbids the next pull; undefined: pull. */
export function flowControl(
  cached: { readonly count: number; readonly bytes: number; readonly span: number },
  limits: FlowLimits = FLOW_LIMITS,
): 'count' | 'bytes' | 'span' | undefined {
  if (cached.count > limits.maxMessages) return 'count';
  if (cached.bytes > limits.maxBytes) return 'bytes';
  if (cached.span > limits.maxSpan) return 'span';
  return undefined;
}
