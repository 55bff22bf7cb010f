import type { QueueSession } from './queue-session.ts';
import { settleBatch } from './settle-messages.ts';

/** ConsumeMessageConcurrentlyService sends back what takes too long with this level. */
const EXPIRED = { kind: 'level', level: 3 } as const;

/**
 * Sends back the messages of calls that take longer than `consumeTimeout`. The call goes on, and its deliverer with it, but nobody waits for it when
 * the session ends; only where calls are counted (`maximumConcurrency`) it is waited for. Mirrors ConsumeMessageConcurrentlyService.cleanExpireMsg.
 */
export function expireCalls(session: QueueSession): void {
  const now = session.deps.clock.now();
  for (const call of session.calls) {
    const { batch, startedAt, abandon } = call;
    const { consumeTimeout, maximumConcurrency } = batch.subscription;
    if (consumeTimeout === undefined) continue;
    if (call.expired === undefined && now - startedAt >= consumeTimeout * 1000) {
      session.logger.warn(
        {
          batchId: batch.batchId,
          code: 'ROCKETMQ_CONSUME_TIMEOUT',
          messages: batch.deliveries.length,
          consumeTimeout,
        },
        'messages are with their handler for too long: they are sent back, whatever it answers',
      );
      call.expired = settleBatch(session, batch, () => EXPIRED)
        // Nobody awaits it before the handler answers.
        .catch((error: unknown) => {
          session.logger.error(
            { err: error, batchId: batch.batchId, code: 'ROCKETMQ_INTERNAL' },
            'messages of an expired call not settled: draining',
          );
          session.end('error');
        })
        .finally(() => session.wakeup.all());
    }
    if (
      call.expired !== undefined &&
      session.ending !== undefined &&
      maximumConcurrency === undefined
    )
      abandon.abort(
        new Error('the session ends: a handler whose messages were sent back is not waited for'),
      );
  }
}
