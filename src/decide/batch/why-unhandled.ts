import type { FailureCondition } from '../../model/failure.ts';
import { DEATHS_BEFORE_SEND_BACK } from '../crash/crash-record.ts';
import { exceedsLimit } from '../retry/send-steps.ts';

/** A message that no handler gets, and why. */
export interface Unhandled {
  readonly kind: 'unhandled';
  /** It has its end, or its death counts as a failed delivery. */
  readonly how: 'for-good' | 'failed';
  /** Why it has its end, when it has it now. */
  readonly condition: FailureCondition;
  readonly code: string;
  /** Log line. */
  readonly reason: string;
}

/** What of the entry alone keeps its message from a handler, whatever stands in it. */
export interface EntryFacts {
  /** Its end was tried, and is not stored. */
  readonly pendingEnd: FailureCondition | undefined;
  /** Why it cannot be decoded; undefined: it can. */
  readonly undecodable: string | undefined;
  /** Deaths of holders while it was in delivery, where they are too many. */
  readonly deaths: number | undefined;
}

/** undefined: its message is read next. */
export function whyEntryUnhandled({
  pendingEnd,
  undecodable,
  deaths,
}: EntryFacts): Unhandled | undefined {
  if (pendingEnd !== undefined)
    return forGood(pendingEnd, 'ROCKETMQ_END_PENDING', 'dead letter not stored yet, trying again');
  if (undecodable !== undefined) return undecodableEnd(undecodable);
  if (deaths === undefined) return undefined;
  return {
    kind: 'unhandled',
    how: 'failed',
    condition: 'RetryAttemptsExhausted',
    code: 'ROCKETMQ_KILLS_PULLER',
    reason: `the message was in delivery when its puller died ${deaths} times: it counts as failed`,
  };
}

/** What of a message, and of the options of its event, keeps it from a handler. */
export interface MessageFacts {
  /** The user's. */
  readonly topic: string;
  /** An event of the group takes the topic. */
  readonly isSubscribed: boolean;
  /** A redelivery that the filter of the event does not take; brokers filter no retry topics. */
  readonly isFilteredRetry?: boolean;
  /** Seconds, where it is older than `maximumRecordAgeInSeconds`. */
  readonly ageBeyondLimit: number | undefined;
  readonly maximumRecordAgeInSeconds: number | undefined;
  /** Failed deliveries that the broker has counted. */
  readonly brokerFailures: number;
  /** Failed deliveries that the broker has not counted. */
  readonly localRetries: number;
  /** Those of them that an earlier holder counted. */
  readonly countedBefore: number;
  /** Those of them that came before its end, where an earlier holder has begun it. */
  readonly failuresBeforeEnd: number | undefined;
  readonly maxReconsumeTimes: number;
  /** Mode pop: the broker counts each delivery without an acknowledgement, also one whose puller died. */
  readonly isPopped: boolean;
}

/** undefined: a handler may have it. */
export function whyMessageUnhandled(message: MessageFacts): Unhandled | undefined {
  const { topic, ageBeyondLimit, maximumRecordAgeInSeconds } = message;
  if (!message.isSubscribed)
    return forGood(
      'RejectedByHandler',
      'ROCKETMQ_NO_HANDLER',
      `a redelivery of topic "${topic}", which no handler of the group takes any more`,
    );
  if (message.isFilteredRetry === true)
    return forGood(
      'RejectedByHandler',
      'ROCKETMQ_RETRY_FILTERED',
      `a redelivery of topic "${topic}" that the filter of its event does not take`,
    );
  if (ageBeyondLimit !== undefined)
    return forGood(
      'RecordAgeExceeded',
      'ROCKETMQ_RECORD_AGE_EXCEEDED',
      `message is ${ageBeyondLimit} s old, maximumRecordAgeInSeconds is ${maximumRecordAgeInSeconds}: moved to the dead letters`,
    );
  if (message.isPopped && deathsPopped(message) > DEATHS_BEFORE_SEND_BACK)
    return forGood(
      'RetryAttemptsExhausted',
      'ROCKETMQ_KILLS_PULLER',
      `message popped ${message.brokerFailures + 1} times without an end, maximumRetryAttempts is ${message.maxReconsumeTimes}`,
    );
  if (!isExhausted(message)) return undefined;
  const deliveries = message.brokerFailures + localFailures(message) + 1;
  return forGood(
    'RetryAttemptsExhausted',
    'ROCKETMQ_RETRIES_EXHAUSTED',
    `message delivered ${deliveries} times, maximumRetryAttempts is ${message.maxReconsumeTimes}`,
  );
}

type Counts = Pick<
  MessageFacts,
  'brokerFailures' | 'localRetries' | 'countedBefore' | 'failuresBeforeEnd' | 'maxReconsumeTimes'
>;

/** Deliveries beyond the limit: a failure that a puller saw would have been the last one. */
function deathsPopped({
  brokerFailures,
  maxReconsumeTimes,
}: Pick<Counts, 'brokerFailures' | 'maxReconsumeTimes'>): number {
  return brokerFailures - maxReconsumeTimes;
}

/**
 * It was delivered as often as allowed, and its end is not stored. An earlier holder that counted
 * more than one delivery beyond the limit, and did not begin the end, had a higher limit: such a
 * message is delivered once more, as one whose failures the broker has counted.
 */
export function isExhausted(facts: Counts): boolean {
  const { brokerFailures, localRetries, countedBefore, failuresBeforeEnd } = facts;
  const { maxReconsumeTimes } = facts;
  if (failuresBeforeEnd !== undefined)
    return exceedsLimit(brokerFailures, failuresBeforeEnd + 1, maxReconsumeTimes);
  if (!exceedsLimit(brokerFailures, localRetries, maxReconsumeTimes)) return false;
  return localRetries > countedBefore || brokerFailures + localRetries === maxReconsumeTimes + 1;
}

/** Failed deliveries of an exhausted message that the broker has not counted, without the last one. */
export function localFailures({ failuresBeforeEnd, localRetries }: Counts): number {
  return failuresBeforeEnd ?? localRetries - 1;
}

export function undecodableEnd(reason: string): Unhandled {
  return forGood('RejectedByHandler', 'ROCKETMQ_UNDECODABLE', reason);
}

/** @param maxBytes of an event */
export function tooLargeEnd(maxBytes: number): Unhandled {
  return forGood(
    'MaximumPayloadSizeExceeded',
    'ROCKETMQ_EVENT_TOO_LARGE',
    `the event of a single message is larger than Lambda's ${maxBytes} bytes: set s3PointerThreshold, or deliver it inline`,
  );
}

function forGood(condition: FailureCondition, code: string, reason: string): Unhandled {
  return { kind: 'unhandled', how: 'for-good', condition, code, reason };
}
