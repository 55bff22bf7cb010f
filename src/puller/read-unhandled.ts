import { ageBeyondLimit } from '../decide/age/record-age.ts';
import {
  isExhausted,
  localFailures,
  type MessageFacts,
  type Unhandled,
  undecodableEnd,
  whyEntryUnhandled,
  whyMessageUnhandled,
} from '../decide/batch/why-unhandled.ts';
import type { QueueEntry } from '../decide/process-queue/process-queue.ts';
import type { Message } from '../model/message.ts';
import type { SourceConfig } from '../model/source.ts';
import type { Logger } from '../ports/logger.ts';
import { failedDeliveries, firstStoredAt } from '../records/own-retry.ts';
import { userTopic } from '../records/subscription.ts';
import type { AbsentHandlers } from './absent-handlers.ts';
import type { LocalAttempts } from './counted-attempts.ts';
import type { CrashKeeper } from './crash-keeper.ts';
import { isFilteredRetry } from './filtered-retry.ts';
import { maxReconsumeTimes } from './max-reconsume-times.ts';
import { beginEnd, type PendingEnd, type PendingEnds } from './pending-ends.ts';
import type { QueueSubscriptions } from './queue-subscriptions.ts';

export interface UnhandledParts {
  readonly source: SourceConfig;
  readonly subscriptions: Pick<QueueSubscriptions, 'ofTopic'>;
  readonly crash: Pick<CrashKeeper, 'record'>;
  readonly pendingEnds: Pick<PendingEnds, 'of'>;
  readonly attempts: Pick<LocalAttempts, 'failuresBeforeEnd'>;
}

export type Isolation = ReturnType<CrashKeeper['isolation']>;

export interface UnhandledReading {
  readonly kind: 'unhandled';
  readonly why: Unhandled;
  /** As it was opened. */
  readonly message?: Message;
  /** Its end was tried by the holder before. */
  readonly pendingEnd?: PendingEnd | undefined;
}

/** Its handler cannot be called now, and messages of other events wait behind it. */
export const SET_ASIDE = { kind: 'set-aside' } as const;

/** Is a message that its handler may get set aside? undefined: it is delivered. */
export function setAsideReading(
  {
    absent,
    subscriptions,
  }: {
    readonly absent: Pick<AbsentHandlers, 'whyAbsent'>;
    readonly subscriptions: Pick<QueueSubscriptions, 'isRetryQueue' | 'ofMessage'>;
  },
  { message }: QueueEntry,
  now: number,
): typeof SET_ASIDE | undefined {
  if (!subscriptions.isRetryQueue) return undefined;
  const subscription = subscriptions.ofMessage(message);
  return subscription !== undefined && absent.whyAbsent(subscription, now) !== undefined
    ? SET_ASIDE
    : undefined;
}

/** Why no handler may get the message of an entry; undefined: one may. */
export function whyUnhandled(
  { pendingEnds, attempts, crash, source, subscriptions }: UnhandledParts,
  entry: QueueEntry,
  isolation: Isolation,
  now: number,
): UnhandledReading | undefined {
  const { message, localRetries } = entry;
  const whyEntry = whyEntryUnhandled({
    pendingEnd: pendingEnds.of(entry)?.condition,
    undecodable: message === undefined ? undecodableReason(entry) : undefined,
    deaths: isolation === 'send-back' ? crash.record?.count : undefined,
  });
  if (whyEntry !== undefined) return { kind: 'unhandled', why: whyEntry };
  if (message === undefined) return undefined;
  const topic = userTopic(message, source.consumerGroup);
  const subscription = subscriptions.ofTopic(topic);
  const maxAge = subscription?.maximumRecordAgeInSeconds;
  const facts: MessageFacts = {
    topic,
    isSubscribed: subscription !== undefined,
    isFilteredRetry: isFilteredRetry(message, subscription, source.consumerGroup),
    ageBeyondLimit: ageBeyondLimit(firstStoredAt(message, source), now, maxAge),
    maximumRecordAgeInSeconds: maxAge,
    brokerFailures: failedDeliveries(message, source),
    localRetries,
    countedBefore: entry.countedBefore,
    failuresBeforeEnd: attempts.failuresBeforeEnd(entry.offset),
    isPopped: source.mode === 'pop',
    maxReconsumeTimes: subscription === undefined ? 0 : maxReconsumeTimes(subscription, message),
  };
  const why = whyMessageUnhandled(facts);
  if (why === undefined) return undefined;
  return { kind: 'unhandled', why, pendingEnd: pendingEndOf(why, facts, entry) };
}

/** The end that the holder before had begun. */
function pendingEndOf(
  { condition }: Unhandled,
  facts: MessageFacts,
  entry: QueueEntry,
): PendingEnd | undefined {
  if (condition !== 'RetryAttemptsExhausted' || !isExhausted(facts)) return undefined;
  const counted = localFailures(facts);
  return { ...beginEnd(entry, condition, counted), tries: facts.localRetries - counted - 1 };
}

export function damaged(logger: Logger, entry: QueueEntry): UnhandledReading {
  logger.error(
    {
      err: entry.undecodable?.error,
      offset: String(entry.offset),
      code: 'ROCKETMQ_UNDECODABLE',
    },
    'message not decodable, moving it to the DLQ',
  );
  return { kind: 'unhandled', why: undecodableEnd(undecodableReason(entry)) };
}

function undecodableReason({ undecodable }: QueueEntry): string {
  return undecodable?.error.message ?? 'the record cannot be decoded';
}
