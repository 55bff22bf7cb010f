import { MIN_LOCAL_RETRY_MS } from '../decide/retry/send-steps.ts';
import { inWindow } from '../flow/in-window.ts';
import type { QueueSession } from './queue-session.ts';
import type { Batch } from './work.ts';

/** Megabytes each. */
const PUTS_AT_ONCE = 4;

/**
 * Puts the bodies that records of the batch point to into their bucket (`s3PointerThreshold`). True: all are there. Otherwise the batch was put back:
 * what could not be stored waits for a while, without a failure, and what is not behind it in an order is delivered without it.
 */
export async function storeBodies(
  session: QueueSession,
  { batchId, deliveries, items }: Batch,
): Promise<boolean> {
  const { deps, messages, storedBodies } = session;
  const { bodies } = deps;
  if (bodies === undefined) return true;
  const signal = session.lifecycle.signal('handlers');
  const pointing = deliveries.flatMap(({ entry, message }, position) => {
    const pointer = items[position]?.s3Pointer;
    return pointer === undefined || storedBodies.has(entry) ? [] : [{ entry, message, pointer }];
  });
  if (pointing.length === 0) return true;
  const failures: unknown[] = [];
  await inWindow(
    pointing,
    async ({ entry, message: { body }, pointer }) => {
      if (!session.mayAct()) return;
      try {
        await bodies.put(pointer, body, { signal });
        storedBodies.add(entry);
      } catch (error) {
        failures.push(error);
      }
    },
    PUTS_AT_ONCE,
  );
  const left = pointing.filter(({ entry }) => !storedBodies.has(entry));
  if (left.length === 0) return true;
  if (session.lifecycle.isLost) return false;
  if (!signal.aborted) {
    session.count('InvokeErrorCount');
    session.logger.error(
      {
        err: failures[0],
        code: 'ROCKETMQ_BODY_NOT_STORED',
        batchId,
        messages: left.length,
        offset: String(left[0]?.entry.offset),
      },
      'bodies cannot be put into the bucket of s3PointerThreshold: their messages wait, no failure is counted',
    );
  }
  const waiting = new Set(left.map(({ entry }) => entry));
  const again = deps.clock.now() + MIN_LOCAL_RETRY_MS;
  for (const { entry } of deliveries)
    messages.giveBack(entry, waiting.has(entry) ? again : 0, false);
  return false;
}
