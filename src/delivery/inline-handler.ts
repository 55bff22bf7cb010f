import type { Context } from 'aws-lambda';
import { RocketMQError } from '../errors.ts';
import { timerMs } from '../model/timer.ts';
import type { MessageHandler } from '../ports/invoke.ts';
import { describeThrown } from './thrown.ts';

/** A user's handler as it is bundled into the puller. What it answers is read like a function's answer, whatever its type says. */
export type InlineHandlerFunction = (event: never, context: Context) => unknown;

/**
 * A handler in this process. A synchronous throw, a rejection, a returned error and a timeout are failures, as they are of a function;
 * what still runs after its timeout cannot be stopped, only ignored.
 * @param handler undefined when the puller's bundle has none of that name: nothing can be delivered then
 * @param context what the handler gets as Lambda context
 * @param errorLength characters that are kept of an error's text; default 500
 */
export function createInlineHandler(
  handler: InlineHandlerFunction | undefined,
  context: () => Context,
  errorLength?: number,
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
      let timer: NodeJS.Timeout | undefined;
      let onAbort: (() => void) | undefined;
      const limit = new Promise<never>((_resolve, reject) => {
        timer = setTimeout(() => reject(new HandlerTimeoutError(timeoutMs)), timerMs(timeoutMs));
        onAbort = () => reject(signal?.reason);
        signal?.addEventListener('abort', onAbort, { once: true });
      });
      try {
        const answer = await Promise.race([
          Promise.resolve(handler(payload.event() as never, context())),
          limit,
        ]);
        // A function's answer could not say it: JSON makes {} of an error.
        return answer instanceof Error
          ? { kind: 'failed', ...describeThrown(answer, errorLength) }
          : { kind: 'answered', answer };
      } catch (cause) {
        if (signal?.aborted === true) throw signal.reason;
        return { kind: 'failed', ...describeThrown(cause, errorLength) };
      } finally {
        clearTimeout(timer);
        if (onAbort !== undefined) signal?.removeEventListener('abort', onAbort);
      }
    },
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
