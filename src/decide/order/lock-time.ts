/** RebalanceLockManager and ProcessQueue: a broker keeps a lock for 60 s, a client trusts its own for 30 s and renews it every 20 s. */
export const LOCK_RENEW_MS = 20_000;
export const LOCK_VALID_MS = 30_000;
/** A lock that somebody else holds, or a broker that did not answer, is asked again after this. */
export const LOCK_AGAIN_MS = 1_000;
/** Longer than a dead owner's lock can last: whoever holds it then is alive. */
export const LOCK_WAIT_MS = 75_000;
/** Requests that are due within this time of each other go to the broker as one. */
export const LOCK_TOGETHER_MS = 2_000;

/** When to ask next, and until when the lock may be trusted. Times are counted from the sending: the broker may have begun to count then. */
export interface LockState {
  readonly askAt: number;
  readonly validUntil: number;
  /** +1 whenever the lock became ours after it was not: what was known of the queue before may be old. */
  readonly term: number;
  /** Somebody else holds it. */
  readonly elsewhere: boolean;
}

export function unlocked(now: number): LockState {
  return { askAt: now, validUntil: 0, term: 0, elsewhere: false };
}

export function lockAnswered(
  state: LockState,
  sentAt: number,
  now: number,
  ours: boolean,
): LockState {
  if (!ours) return { ...state, askAt: now + LOCK_AGAIN_MS, validUntil: 0, elsewhere: true };
  const term = sentAt < state.validUntil ? state.term : state.term + 1;
  return {
    askAt: sentAt + LOCK_RENEW_MS,
    validUntil: sentAt + LOCK_VALID_MS,
    term,
    elsewhere: false,
  };
}

/** No answer: the lock stands until it ends by itself. */
export function lockUnanswered(state: LockState, now: number): LockState {
  return { ...state, askAt: now + LOCK_AGAIN_MS };
}
