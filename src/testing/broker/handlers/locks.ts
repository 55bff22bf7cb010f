import * as locks from '../../../requests/lock-queues.ts';
import type { Answer } from '../answer.ts';
import { ok } from '../answer.ts';
import type { BrokerState } from '../broker-state.ts';

/** LOCK_BATCH_MQ: answers the queues that the client id holds now. */
export function lockQueues(
  broker: BrokerState,
  { consumerGroup, clientId, queues }: locks.LockQueuesRequest,
): Answer {
  const locked = broker.locks.lock(consumerGroup, clientId, queues, broker.now());
  return ok(locks.lockQueues.encodeAnswer(locked));
}

/** UNLOCK_BATCH_MQ: another owner's lock stays, and the answer is SUCCESS all the same. */
export function unlockQueues(
  broker: BrokerState,
  { consumerGroup, clientId, queues }: locks.LockQueuesRequest,
): Answer {
  broker.locks.unlock(consumerGroup, clientId, queues);
  return ok();
}
