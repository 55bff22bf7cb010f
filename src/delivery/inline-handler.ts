import type { Context } from 'aws-lambda';
import { RocketMQError } from '../errors.ts';
import { onAbort } from '../model/on-abort.ts';
import { timerMs } from '../model/timer.ts';
import type { MessageHandler } from '../ports/invoke.ts';
import { describeThrown } from './thrown.ts';

/** A user's handler as it is bundled into the puller. What it answers is read like a function's answer, whatever its type says. */
export type InlineHandlerFunction = (event: never, context: Context) => unknown;

export interface InlineOptions {
  /** Characters that are kept of an error's text; default 500. */
  readonly errorLength?: number | undefined;
  /** Told of a call that goes on after its timeout, or after it was given up. */
  readonly onOutlived?: (call: Promise<unknown>, timeoutMs: number) => void;
  /** Told of a call that let nothing else run in its process for 5 s or longer: renewals of leases wait as well. */
  readonly onBlocked?: (blockedMs: number) => void;
}

/** A lease is renewed every 10 s. */
const BLOCKED_MS = 5_000;
const BEAT_MS = 1_000;

/**
 * A handler in this process. A synchronous throw, a rejection, a returned error and a timeout are failures, as they are of a function;
 * what still runs after its timeout cannot be stopped, only ignored.
 * @param handler undefined when the puller's bundle has none of that name: nothing can be delivered then
 * @param context makes what the handler gets as Lambda context, for one call with so many ms
 */
export function createInlineHandler(
  handler: InlineHandlerFunction | undefined,
  context: (timeoutMs: number) => Context,
  { errorLength, onOutlived, onBlocked }: InlineOptions = {},
): MessageHandler {
  return {
    async invoke(payload, { timeoutMs, signal }) {
      signal?.throwIfAborted();
      if (typeof handler !== 'function')
        return {
          kind: 'misconfigured',
          error: new RocketMQError(
            'ROCKETMQ_HANDLER_NOT_FOUND',
            "the puller's bundle exports no such inline handler: correct `handler` in serverless.yml, or deploy again",
          ),
        };
      let call: Promise<unknown> | undefined;
      let timer: NodeJS.Timeout | undefined;
      let unlink: (() => void) | undefined;
      const limit = new Promise<never>((_resolve, reject) => {
        timer = setTimeout(() => reject(new HandlerTimeoutError(timeoutMs)), timerMs(timeoutMs));
        unlink = onAbort(signal, () => reject(signal?.reason));
      });
      const blocked = onBlocked && watchBlocks();
      try {
        call = Promise.resolve(handler(payload.event() as never, context(timeoutMs)));
        const answer = await Promise.race([call, limit]);
        call = undefined;
        // A function's answer could not say it: JSON makes {} of an error.
        return answer instanceof Error
          ? { kind: 'failed', ...describeThrown(answer, errorLength) }
          : { kind: 'answered', answer };
      } catch (cause) {
        const isGivenUp = signal?.aborted === true || cause instanceof HandlerTimeoutError;
        if (call !== undefined && isGivenUp) onOutlived?.(call, timeoutMs);
        if (signal?.aborted === true) throw signal.reason;
        return { kind: 'failed', ...describeThrown(cause, errorLength) };
      } finally {
        const blockedMs = blocked?.() ?? 0;
        if (blockedMs >= BLOCKED_MS) onBlocked?.(blockedMs);
        clearTimeout(timer);
        unlink?.();
      }
    },
  };
}

/** @returns ends it: for how long at once nothing else ran, at most, ms */
function watchBlocks(): () => number {
  let last = performance.now();
  let longest = 0;
  const beat = (): void => {
    const now = performance.now();
    longest = Math.max(longest, now - last - BEAT_MS);
    last = now;
  };
  const timer = setInterval(beat, BEAT_MS);
  return () => {
    clearInterval(timer);
    beat();
    return Math.round(longest);
  };
}

class HandlerTimeoutError extends Error {
  constructor(timeoutMs: number) {
    super(
      `the inline handler took longer than its ${timeoutMs / 1000} s; it still runs and can only be ignored`,
    );
    this.name = 'HandlerTimeout';
  }
}
