/** What the idle watch does now: one long poll per idle queue, by queue key, with the offset that it waits at. */
export type IdlePolls = ReadonlyMap<string, bigint>;

export interface PollChanges {
  readonly stop: readonly string[];
  readonly start: readonly string[];
}

/** Which polls end and begin so that exactly the wanted ones are under way. One at the same offset goes on. */
export function changePolls(current: IdlePolls, wanted: IdlePolls): PollChanges {
  const stop = [...current.keys()].filter((key) => wanted.get(key) !== current.get(key));
  const start = [...wanted.keys()].filter((key) => wanted.get(key) !== current.get(key));
  return { stop, start };
}

/** How a poll came back. A place of POP mode is asked whether it has messages. */
export type PollOutcome =
  | { readonly type: 'pulled'; readonly status: string }
  | { readonly type: 'asked'; readonly hasMessages: boolean; readonly tookMs: number }
  /** `unreachable`: the connection failed, or no answer came. `refused`: any other error. */
  | { readonly type: 'unreachable' }
  | { readonly type: 'refused' };

export type AfterPoll =
  /** A message, or something to skip, or an operator moved the offset: the queue needs a puller. */
  | 'work'
  | 'poll-again'
  | 'poll-again-later'
  /** The next full pass looks at the queue. */
  | 'give-up';

/** A broker that holds too many polls answers a new one at once. */
const AT_ONCE_MS = 1_000;

export function afterPoll(outcome: PollOutcome): AfterPoll {
  switch (outcome.type) {
    case 'pulled':
      return outcome.status === 'NO_NEW_MSG' ? 'poll-again' : 'work';
    case 'asked':
      if (outcome.hasMessages) return 'work';
      return outcome.tookMs < AT_ONCE_MS ? 'poll-again-later' : 'poll-again';
    case 'unreachable':
      return 'poll-again-later';
    case 'refused':
      return 'give-up';
  }
}
