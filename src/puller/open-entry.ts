import { MAX_FILTERED_JSON_BYTES } from '../decide/filter/matches-pattern.ts';
import type { ProcessQueue, QueueEntry } from '../decide/process-queue/process-queue.ts';
import type { DeliveryMemory, QueueMemory } from '../decide/pull/memory-budget.ts';
import { deliveryCost, type EventUse, parsedCost } from '../decide/pull/memory-costs.ts';
import { LimitExceededError, ProtocolError } from '../errors.ts';
import type { Message } from '../model/message.ts';
import type { SubscriptionConfig } from '../model/source.ts';
import type { Clock } from '../ports/clock.ts';
import type { LifecycleKeeper } from '../queue/lifecycle-keeper.ts';
import type { Wakeup } from '../queue/wakeup.ts';
import { asUndecodable, isCompressed, openMessage, textBytes } from '../records/open-message.ts';
import type { HeldLease } from './held-lease.ts';

interface OpenParts {
  readonly memory: Pick<QueueMemory, 'open'>;
  readonly messages: Pick<ProcessQueue, 'fail'>;
}

/** What opening a message for its end needs. */
export interface OpenForEndParts {
  readonly clock: Clock;
  readonly memory: Pick<QueueMemory, 'open' | 'startEnd'>;
  readonly wakeup: Pick<Wakeup, 'wait'>;
  readonly lease: Pick<HeldLease, 'mayAct'>;
  readonly lifecycle: Pick<LifecycleKeeper, 'isLost' | 'signal'>;
  /** The invocation ends with it: what is not opened by then stays as it is. */
  readonly isLastTry?: boolean;
}

/** How often the end of a message that waits for memory looks for it. */
const WAIT_MS = 500;

/**
 * The entry's message with its body decompressed, within the memory of the invocation. `wait`: there is not enough now.
 * `undecodable`: the body is damaged, or takes more than one message may; the entry has become an undecodable record.
 */
export function openEntry(
  { memory, messages }: OpenParts,
  entry: QueueEntry,
  message: Message,
  delivery: DeliveryMemory,
  subscription: SubscriptionConfig,
  now: number,
): Message | 'wait' | 'undecodable' {
  const use = eventUse(subscription);
  const meanwhile = ({ body }: Message): number => filterCost(body.length, subscription);
  if (!isCompressed(message))
    return delivery.take(deliveryCost(message, use), now, meanwhile(message)) ? message : 'wait';
  try {
    const rules = { ...openRules(message), meanwhile, use };
    return memory.open(entry, delivery, rules, now) ?? 'wait';
  } catch (error) {
    if (!(error instanceof ProtocolError || error instanceof LimitExceededError)) throw error;
    messages.fail(entry, asUndecodable(message, error));
    return 'undecodable';
  }
}

/**
 * What is used of a message for its end that no handler got: its body decompressed within the memory of the invocation.
 * undefined: the lease was lost while the message waited for its turn. The memory is to be released.
 */
export async function openForEnd<Content extends Pick<QueueEntry, 'message' | 'undecodable'>>(
  parts: OpenForEndParts,
  entry: QueueEntry,
  content: Content,
): Promise<{ readonly content: Content; readonly memory: DeliveryMemory } | undefined> {
  const memory = parts.memory.startEnd();
  const { message } = content;
  if (message === undefined || !isCompressed(message)) return { content, memory };
  const rules = { ...openRules(message), meanwhile: () => 0, use: 'lambda' as const };
  try {
    for (;;) {
      const now = parts.clock.now();
      const opened = parts.memory.open(entry, memory, rules, now);
      if (opened !== undefined) return { content: { ...content, message: opened }, memory };
      if (parts.isLastTry === true && parts.lifecycle.signal('requests').aborted)
        throw new LimitExceededError('there was no memory to decompress its body in time');
      await parts.wakeup.wait(WAIT_MS);
      if (!parts.lease.mayAct()) return undefined;
    }
  } catch (error) {
    const cause = error instanceof Error ? error : new Error(String(error));
    const undecodable = asUndecodable(message, cause);
    return { content: { ...content, message: undefined, undecodable }, memory };
  }
}

function openRules(message: Message) {
  return {
    open: (maxBytes: number) => openMessage(message, maxBytes),
    isTooLarge: (error: unknown) => error instanceof LimitExceededError,
    textBytes,
    tooLarge: (bytes: number, maxBytes: number) =>
      new LimitExceededError(
        `a body of this message takes ${bytes} bytes with its text, and ${maxBytes} are allowed`,
      ),
  };
}

/** Events of format kafka have every body in base64. */
function eventUse({ handler, eventFormat, s3PointerThreshold }: SubscriptionConfig): EventUse {
  if (handler.invocation !== 'inline')
    return s3PointerThreshold === undefined ? 'lambda' : 'pointer';
  return eventFormat === 'kafka' ? 'base64' : 'text';
}

/** What patterns make of a body. One message at a time is matched, and nothing of it is kept. */
function filterCost(bodyBytes: number, { filterPatterns }: SubscriptionConfig): number {
  return filterPatterns === undefined || bodyBytes > MAX_FILTERED_JSON_BYTES
    ? 0
    : parsedCost(bodyBytes);
}
