/** Bounds of what is kept between pull and commit. Defaults of DefaultMQPushConsumer (pullThresholdForQueue, pullThresholdSizeForQueue, consumeConcurrentlyMaxSpan). */
export interface FlowLimits {
  readonly maxMessages: number;
  readonly maxBytes: number;
  readonly maxSpan: number;
}

export const FLOW_LIMITS: FlowLimits = { maxMessages: 1000, maxBytes: 100 * 1024 * 1024, maxSpan: 2000 };

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
