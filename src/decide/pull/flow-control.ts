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

/**
 * Java's limits; more messages where the batches of all deliverers take more, or they would never be full. The memory
 * of the process bounds all queues together, see `MemoryBudget`.
 * @param batchSize of all batches that are with handlers at once
 */
export function limitsFor(batchSize = 0): FlowLimits {
  const { maxMessages, maxSpan } = FLOW_LIMITS;
  return {
    ...FLOW_LIMITS,
    maxMessages: Math.max(maxMessages, batchSize),
    maxSpan: Math.max(maxSpan, 2 * batchSize),
  };
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
