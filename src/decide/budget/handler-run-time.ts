import type { HandlerConfig } from '../../model/source.ts';

/**
 * A function's timeout begins to count this long after its call at the latest: the way there, the preparation of an
 * environment, and Lambda's init phase of at most 10 s.
 */
export const MAX_START_MS = 15_000;

/** How long after its call a handler may be at work, ms. An inline handler has no cold start. */
export function maxRunMs({ invocation, timeout }: HandlerConfig): number {
  return timeout * 1000 + (invocation === 'function' ? MAX_START_MS : 0);
}

/** What is left of that at `now`, ms; 0: the handler has ended. */
export function remainingRunMs(handler: HandlerConfig, startedAt: number, now: number): number {
  return Math.max(0, startedAt + maxRunMs(handler) - now);
}
