import { randomUUID } from 'node:crypto';
import type { Context } from 'aws-lambda';
import { createInlineHandler, type InlineHandlerFunction } from '../src/delivery/inline-handler.ts';
import type { MessageHandler } from '../src/ports/invoke.ts';
import type { Logger } from '../src/ports/logger.ts';
import { InlineTurns } from '../src/puller/inline-turns.ts';
import { errorLength } from '../src/runtime/environment.ts';
import { systemClock } from '../src/runtime/system-clock.ts';

/** Of this process: invocations follow each other in it. */
export const inlineTurns = new InlineTurns();

/** What an inline handler is called with. */
interface InlineCall {
  /** Key under `functions:`. */
  readonly functionKey: string;
  /** As it would be deployed. */
  readonly functionName: string;
  /** Of the puller. */
  readonly context: Context;
  readonly logger: Logger;
}

/** A handler in the puller's process, as Lambda would call it. What Lambda guarantees and cannot be kept here is named in the log. */
export function inlineHandler(
  handler: InlineHandlerFunction | undefined,
  call: InlineCall,
): MessageHandler {
  const { functionKey, logger } = call;
  return createInlineHandler(handler, (timeoutMs) => contextFor(call, timeoutMs), {
    errorLength: errorLength(),
    onOutlived: (running, timeoutMs) => void holdTurn(call, running, timeoutMs),
    onBlocked: (blockedMs) =>
      logger.warn(
        { code: 'ROCKETMQ_HANDLER_BLOCKS', functionKey, blockedMs },
        'inline handler lets nothing else run in its process, leases are not renewed meanwhile',
      ),
  });
}

/** The memory is that of the process. */
function contextFor({ context, functionName }: InlineCall, timeoutMs: number): Context {
  const endsAt = performance.now() + timeoutMs;
  return {
    ...context,
    functionName,
    awsRequestId: randomUUID(),
    getRemainingTimeInMillis() {
      const leftMs = Math.min(endsAt - performance.now(), context.getRemainingTimeInMillis());
      return Math.max(0, Math.round(leftMs));
    },
  };
}

/** The next call waits for one that goes on after its timeout, as long as another timeout at most. Never rejects. */
async function holdTurn(
  { functionKey, logger }: InlineCall,
  running: Promise<unknown>,
  timeoutMs: number,
): Promise<void> {
  const end = inlineTurns.hold(functionKey);
  const fields = { code: 'ROCKETMQ_HANDLER_OUTLIVED', functionKey, timeoutMs };
  logger.warn(fields, 'inline handler goes on after its call was given up');
  const waits = new AbortController();
  const ended = () => true;
  const waited = systemClock.sleep(timeoutMs, waits.signal).catch(() => {});
  const hasEnded = await Promise.race([running.then(ended, ended), waited]);
  waits.abort();
  end();
  if (hasEnded !== true) logger.error(fields, 'inline handler still runs beside its next call');
}
