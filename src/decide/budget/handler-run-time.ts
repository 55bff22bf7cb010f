import type { HandlerConfig, SourceConfig } from '../../model/source.ts';

/**
 * A function's timeout begins to count this long after its call at the latest: the way there, the preparation of an
 * environment, and Lambda's init phase of at most 10 s.
 */
export const MAX_START_MS = 15_000;

/** How long after its call a handler may be at work, ms. An inline handler has no cold start. */
export function maxRunMs({ invocation, timeout }: HandlerConfig): number {
  return timeout * 1000 + (invocation === 'function' ? MAX_START_MS : 0);
}

/** When a handler that was called at `startedAt` has ended at the latest, epoch ms. */
export function runsUntil(handler: HandlerConfig, startedAt: number): number {
  return startedAt + maxRunMs(handler);
}

/**
 * How long functions that a dead holder called may run, ms: what comes behind in an order must not
 * overtake them. undefined: the source keeps no order, or its handlers died with their puller.
 */
export function orderedTimeoutMs({
  subscriptions,
}: Pick<SourceConfig, 'subscriptions'>): number | undefined {
  const timeouts = subscriptions.flatMap(({ order, handler }) =>
    order !== undefined && handler.invocation === 'function' ? [maxRunMs(handler)] : [],
  );
  return timeouts.length === 0 ? undefined : Math.max(...timeouts);
}
