/** Why the broker has not confirmed that it stores a failed message. */
export type SendFailure =
  /** Refused for now: busy, flow control, disk full. Nothing was stored. */
  | 'busy'
  /** Nothing was sent. */
  | 'unreachable'
  /** The answer is missing. The broker may have stored the message. */
  | 'unanswered'
  /** The broker does not take this message in this form: illegal, too large, or an error without a known cause. Nothing was stored. */
  | 'refused'
  /** The broker takes no message on this way: missing right, missing topic, unknown request. Nothing was stored. */
  | 'forbidden';

/** Attempts on one way while the broker is busy. */
const BUSY_TRIES = 4;
/** Sends of one failed message whose answers are missing: request 36 and one fallback, as in Java. */
export const MAX_UNANSWERED = 2;

export type SendStep = 'repeat' | 'next-way' | 'stop';

/**
 * What follows a send that was not confirmed.
 * @param attempt on this way, 1 for the first
 * @param unanswered sends of this failure without an answer, this one included
 */
export function afterFailedSend(
  failure: SendFailure,
  {
    attempt,
    unanswered,
    maxUnanswered,
  }: { readonly attempt: number; readonly unanswered: number; readonly maxUnanswered: number },
): SendStep {
  switch (failure) {
    case 'busy':
      return attempt < BUSY_TRIES ? 'repeat' : 'next-way';
    case 'unanswered':
      return unanswered < maxUnanswered ? 'next-way' : 'stop';
    case 'unreachable':
    case 'refused':
    case 'forbidden':
      return 'next-way';
  }
}

const WEIGHT: Readonly<Record<SendFailure, number>> = {
  unanswered: 4,
  busy: 3,
  unreachable: 2,
  refused: 1,
  forbidden: 0,
};

/** The failure of several sends of one message: repetition may help as long as it may help one of them. */
export function overallFailure(failures: readonly SendFailure[]): SendFailure {
  return failures.reduce<SendFailure>(
    (worst, failure) => (WEIGHT[failure] > WEIGHT[worst] ? failure : worst),
    'forbidden',
  );
}

/** No repetition changes the answer. */
export function isPermanent(failure: SendFailure): boolean {
  return failure === 'refused' || failure === 'forbidden';
}

/** How often the end of a message is tried while the broker answers that it is busy: about ten minutes. */
const MAX_BUSY_ENDS = 12;
/** Dead-letter sends of one message without an answer. Each may have made an entry. */
const MAX_UNANSWERED_ENDS = 8;
const END_BACKOFF = { firstMs: 5_000, longestMs: 60_000 };

export type EndStep =
  | { readonly kind: 'again'; readonly afterMs: number }
  /** The message ends here: its content goes to the log. */
  | { readonly kind: 'log' };

/**
 * What follows when neither `onFailure` nor the dead-letter queue has taken a message that failed for good. Unreachable brokers are waited for
 * without bound: their offsets cannot be committed either.
 * @param tries of this end that a broker answered, this one included
 * @param unanswered dead-letter sends without an answer, all tries together
 */
export function afterFailedEnd(
  failure: SendFailure,
  { tries, unanswered }: { readonly tries: number; readonly unanswered: number },
): EndStep {
  const step = Math.min(END_BACKOFF.longestMs, END_BACKOFF.firstMs * 2 ** Math.min(tries - 1, 10));
  const again: EndStep = { kind: 'again', afterMs: Math.max(END_BACKOFF.firstMs, step) };
  switch (failure) {
    case 'unreachable':
      return again;
    case 'busy':
      return tries < MAX_BUSY_ENDS ? again : { kind: 'log' };
    case 'unanswered':
      return unanswered < MAX_UNANSWERED_ENDS ? again : { kind: 'log' };
    case 'refused':
    case 'forbidden':
      return { kind: 'log' };
  }
}

/** Java's client tries a message again locally after this time when it could not be sent back. */
export const MIN_LOCAL_RETRY_MS = 5_000;

/**
 * Are the deliveries of a message used up, those counted here included? Without local ones its next delivery is always allowed: a message whose limit
 * was lowered, or that comes from another group's dead-letter queue, is delivered once.
 */
export function exceedsLimit(
  reconsumeTimes: number,
  localRetries: number,
  maxReconsumeTimes: number,
): boolean {
  return localRetries > 0 && reconsumeTimes + localRetries > maxReconsumeTimes;
}
