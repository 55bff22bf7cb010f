import type { ProcessQueue, QueueEntry } from '../decide/process-queue/process-queue.ts';
import {
  type DeliveryMemory,
  deliveryCost,
  type EventUse,
  type QueueMemory,
} from '../decide/pull/memory-budget.ts';
import { LimitExceededError, ProtocolError } from '../errors.ts';
import type { Message } from '../model/message.ts';
import type { SubscriptionConfig } from '../model/source.ts';
import type { Clock } from '../ports/clock.ts';
import { asUndecodable, isCompressed, openMessage } from '../records/open-message.ts';

interface OpenParts {
  readonly clock: Clock;
  readonly memory: Pick<QueueMemory, 'open'>;
  readonly messages: Pick<ProcessQueue, 'fail'>;
}

/**
 * The entry's message with its body decompressed, within the memory of the invocation. `wait`: there is not enough now.
 * `undecodable`: the body is damaged, or takes more than one message may; the entry has become an undecodable record.
 */
export function openEntry(
  { clock, memory, messages }: OpenParts,
  entry: QueueEntry,
  message: Message,
  delivery: DeliveryMemory,
  subscription: SubscriptionConfig,
): Message | 'wait' | 'undecodable' {
  const now = clock.now();
  const use = eventUse(subscription);
  if (!isCompressed(message))
    return delivery.take(deliveryCost(message.body.length, use), now) ? message : 'wait';
  try {
    const rules = {
      open: (maxBytes: number) => openMessage(message, maxBytes),
      isTooLarge: (error: unknown) => error instanceof LimitExceededError,
      use,
    };
    return memory.open(entry, delivery, rules, now) ?? 'wait';
  } catch (error) {
    if (!(error instanceof ProtocolError || error instanceof LimitExceededError)) throw error;
    messages.fail(entry, asUndecodable(message, error));
    return 'undecodable';
  }
}

/** Events of format kafka have every body in base64. */
function eventUse({ handler, eventFormat }: SubscriptionConfig): EventUse {
  if (handler.invocation !== 'inline') return 'lambda';
  return eventFormat === 'kafka' ? 'base64' : 'text';
}
