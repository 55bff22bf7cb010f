import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from 'aws-lambda';
import type { RocketMQEvent } from '../../../src/model/event.ts';

/** What a call of a handler sees. */
export interface Call {
  readonly handler: string;
  readonly process: number;
  /** Calls of this handler in this process, this one included, when it began. */
  readonly active: number;
  readonly bodies: readonly string[];
  readonly requestId: string;
  readonly contextName: string;
  readonly processName: string | undefined;
  readonly traceId: string | undefined;
  readonly memory: string;
  readonly remainingMs: number;
  readonly own: string | undefined;
}

/** A handler that stays with its call for some turns, and reports it. @param rendezvous calls that have to meet once before any of them ends */
function reporting(handler: string, rendezvous = 1) {
  let [active, most] = [0, 0];
  return async ({ Records }: RocketMQEvent, context: Context): Promise<void> => {
    most = Math.max(most, ++active);
    const call: Call = {
      handler,
      process: process.pid,
      active,
      bodies: Records.map(({ body }) => body),
      requestId: context.awsRequestId,
      contextName: context.functionName,
      processName: process.env.AWS_LAMBDA_FUNCTION_NAME,
      traceId: process.env._X_AMZN_TRACE_ID,
      memory: context.memoryLimitInMB,
      remainingMs: context.getRemainingTimeInMillis(),
      own: process.env.OWN,
    };
    await fetch(process.env.COLLECTOR_URL as string, {
      method: 'POST',
      body: JSON.stringify(call),
    });
    while (most < rendezvous) await sleep(1);
    await sleep(5);
    active--;
  };
}

export const shared = reporting('shared');
export const keyed = reporting('keyed');
export const roomy = reporting('roomy', 3);
