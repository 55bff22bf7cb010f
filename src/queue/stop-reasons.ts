/** What follows from the reason why a queue's work ends. One row per reason. */
export interface StopPolicy {
  /** A batch that waits for its window still goes to its handler: the next holder would make it wait for a second one. */
  readonly flushWindow: boolean;
  /** The broker's lock is given back; otherwise the slot's next puller takes it over, or it expires. */
  readonly unlockQueue: boolean;
  /** Popped messages still go to their handler while there is time: the broker counts their return as a failure. */
  readonly deliverPopped: boolean;
  /** The release notes when the queue was held last, so that the wait for the next holder is measured. */
  readonly measureHandOver: boolean;
  readonly level: 'info' | 'warn' | 'error';
  /** The log line. */
  readonly message: string;
}

const DRAINS = {
  flushWindow: false,
  unlockQueue: false,
  deliverPopped: true,
  measureHandOver: true,
  level: 'info',
} as const;

export const STOP_REASONS = {
  idle: { ...DRAINS, unlockQueue: true, message: 'idle timeout reached, draining' },
  deadline: { ...DRAINS, deliverPopped: false, message: 'invocation deadline near, draining' },
  moved: { ...DRAINS, unlockQueue: true, message: 'queue moved to another consumer, draining' },
  paused: {
    ...DRAINS,
    unlockQueue: true,
    deliverPopped: false,
    measureHandOver: false,
    message: 'queue paused, draining',
  },
  retired: { ...DRAINS, unlockQueue: true, message: 'queue left the route, draining' },
  succession: { ...DRAINS, flushWindow: true, message: 'successor waiting, draining' },
  signal: { ...DRAINS, flushWindow: true, message: 'stop requested, draining' },
  'lease-lost': {
    ...DRAINS,
    deliverPopped: false,
    level: 'warn',
    message: 'lease lost, nothing more is committed or sent back',
  },
  stalled: {
    ...DRAINS,
    level: 'warn',
    message: 'lease renewed after its end, draining',
  },
  'handler-misconfigured': {
    ...DRAINS,
    deliverPopped: false,
    message: 'handler not callable, draining',
  },
  refused: { ...DRAINS, message: 'queue not readable, draining' },
  'locked-elsewhere': { ...DRAINS, message: 'queue locked by another consumer, draining' },
  unreachable: { ...DRAINS, message: 'broker unreachable, draining' },
  error: { ...DRAINS, deliverPopped: false, message: 'unexpected error, draining' },
} as const satisfies Record<string, StopPolicy>;

/** Why the work of a queue that was begun ended. */
export type DrainReason = keyof typeof STOP_REASONS;

export function stopPolicy(reason: DrainReason): StopPolicy {
  return STOP_REASONS[reason];
}
