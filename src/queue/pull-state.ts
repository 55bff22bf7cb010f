import { backoff } from '../decide/retry/backoff.ts';
import { MASTER_ID } from '../model/route.ts';

/**
 * What a pull loop does next: which broker it asks, and what it does with the answer. A pure state
 * machine, the same for a puller and a PullConsumer; src/queue/pull-loop carries out its actions, and
 * what comes of each is the next event. Mirrors PullAPIWrapper's table of broker ids and the
 * PullCallback of DefaultMQPushConsumerImpl, and adds what they leave out: slaves that fail, answers
 * that cannot be read, queues that were deleted and created again.
 * ```
 *   pull ─ answered ─┬─ [reset pending] read-stored-offset ──────────────────────▶ linger, pull
 *                    ├─ OFFSET_MOVED by an operator ─ follow-reset ──────────────▶ pull
 *                    ├─ OFFSET_MOVED ─ inspect-queue ─ moved | contradicted ─────▶ linger, pull
 *                    └─ [life check due] check-life ─ admit ─ take ──────────────▶ linger, pull
 *   any action ─ failed ─▶ back-off, pull | stop
 * ```
 */
export interface PullState {
  /** Asked next. 0: the master. */
  readonly brokerId: number;
  /** Epoch ms until which no suggestion of a slave is followed. */
  readonly masterUntil: number;
  /** Pulls in a row that failed. */
  readonly failures: number;
  /** Answers in a row that could not be read. */
  readonly unreadable: number;
  /** Answers in a row in which the master contradicted its own figures. */
  readonly contradictions: number;
  /** Maximum of messages that the next answer may bring; undefined: as configured. */
  readonly maxMessages: number | undefined;
  /** When the last answer came, epoch ms. */
  readonly answeredAt: number;
  /**
   * When the queue has to be compared with its life mark, epoch ms: it may have been deleted and
   * created again. undefined: it is known to be the same.
   */
  readonly lifeCheckAt: number | undefined;
  /** The answer that is being handled. */
  readonly answer: PullAnswer | undefined;
}

/** An answer to a pull, as far as it decides what follows. */
export interface PullAnswer {
  readonly status: 'FOUND' | 'NO_NEW_MSG' | 'NO_MATCHED_MSG' | 'OFFSET_MOVED';
  /** With OFFSET_MOVED: an operator reset the offset. */
  readonly reset: boolean;
  readonly fromMaster: boolean;
  /** The position was changed after the pull was sent. */
  readonly outdated: boolean;
  /** The pull was sent to learn where a reset went. */
  readonly resetPending: boolean;
  /** The same pull would bring the same at once: it was not held, or its broker lags behind. */
  readonly repeats: boolean;
}

/**
 * - refused: no right, no such group or topic, a filter that does not compile;
 * - unreadable: the answer, or a record in it, cannot be stepped over;
 * - flow-control: the broker asks for a pause;
 * - failed: everything else, the broker may be away.
 */
export type PullFailure = 'refused' | 'unreadable' | 'flow-control' | 'failed';

/**
 * What a `check-life` found.
 * - same: nothing shows that the queue is another one;
 * - another: it is, and the loop goes on at its first message;
 * - unknown: the broker could not be asked;
 * - outdated: the position was changed meanwhile.
 */
export type LifeCheck = 'same' | 'another' | 'unknown' | 'outdated';

export type PullEvent =
  | {
      readonly type: 'answered';
      readonly answer: PullAnswer;
      readonly suggestedBrokerId: number;
      readonly now: number;
    }
  /** After `follow-reset` and `inspect-queue`: the loop goes on at another offset. */
  | { readonly type: 'moved' }
  /** After `inspect-queue`: the master's figures say that the offset is in the queue. */
  | { readonly type: 'contradicted'; readonly now: number }
  /** After `read-stored-offset`. */
  | { readonly type: 'reset-read'; readonly pending: boolean }
  | { readonly type: 'life-checked'; readonly life: LifeCheck; readonly now: number }
  | { readonly type: 'admitted' }
  /** There is no memory for the answer: it is pulled again with fewer messages. */
  | { readonly type: 'not-admitted'; readonly maxMessages: number }
  /** There was no memory for the answer when it began to arrive, and it was not read. */
  | { readonly type: 'dropped'; readonly maxMessages: number; readonly resetPending: boolean }
  | { readonly type: 'taken' }
  /** After a wait. */
  | { readonly type: 'waited' }
  /** The request was aborted, because the position was changed or the queue ends. */
  | { readonly type: 'interrupted' }
  | {
      readonly type: 'failed';
      readonly failure: PullFailure;
      /** Which broker failed. */
      readonly brokerId: number;
      readonly now: number;
      /** 0 ≤ r < 1 */
      readonly random: number;
    };

export type PullAction =
  /** Send the next pull. */
  | { readonly type: 'pull' }
  /** Go on where the answer says, and store it. */
  | { readonly type: 'follow-reset' }
  /**
   * Compare the pulled offset with the master's figures. `trusted`: the master said so several times
   * in a row, so its answer counts even against its own figures.
   */
  | { readonly type: 'inspect-queue'; readonly trusted: boolean }
  /** The reset that the pull was to report may be visible there. */
  | { readonly type: 'read-stored-offset' }
  | { readonly type: 'check-life' }
  /** Is there memory for the answer? */
  | { readonly type: 'admit' }
  /** Put the answer into the message buffer. `isMarked`: the life mark moves with it. */
  | { readonly type: 'take'; readonly isMarked: boolean }
  /** Wait; a change ends it. */
  | { readonly type: 'linger'; readonly waitMs: number }
  /** Wait after a failure. */
  | { readonly type: 'back-off'; readonly waitMs: number }
  /** Nothing that the loop could do helps. */
  | { readonly type: 'stop'; readonly why: 'refused' | 'unreadable' };

export interface PullStep {
  readonly state: PullState;
  readonly action: PullAction;
}

/** An answer that cannot be read is asked for again so often, message by message, so that the good ones before the bad one get through. */
const UNREADABLE_TRIES = 3;
/** A slave that failed is not asked for this long. Slaves learn of topics and groups about once a minute. */
const MASTER_AFTER_SLAVE_ERROR_MS = 60_000;
/** pullTimeDelayMillsWhenException of ClientConfig, growing when it goes on. */
const ERROR_BACKOFF = { firstMs: 1_000, longestMs: 10_000 };
/** PULL_TIME_DELAY_MILLS_WHEN_BROKER_FLOW_CONTROL of DefaultMQPushConsumerImpl. */
const FLOW_CONTROL_WAIT_MS = 20;
/** The master's answer counts against its own figures from this many answers on. */
const TRUSTED_AFTER = 3;
/** Between two pulls that nothing holds. */
const SHORT_POLL_WAIT_MS = 300;
/**
 * Without an answer for this long the queue may have been deleted and created again: brokers need
 * seconds for it, and a pull that is held or that failed in between does not show it.
 */
const LIFE_CHECK_AFTER_MS = 1_000;

/** @param checkLife the queue was not watched before: it may have been deleted and created again since its mark was set */
export function firstPull(now: number, checkLife = false): PullState {
  return {
    brokerId: MASTER_ID,
    masterUntil: 0,
    failures: 0,
    unreadable: 0,
    contradictions: 0,
    maxMessages: undefined,
    answeredAt: now,
    lifeCheckAt: checkLife ? now : undefined,
    answer: undefined,
  };
}

export function stepPull(state: PullState, event: PullEvent): PullStep {
  switch (event.type) {
    case 'answered':
      return onAnswered(state, event);
    case 'moved':
      return pull({ ...state, contradictions: 0, maxMessages: undefined });
    case 'contradicted':
      return onContradicted(state, event.now);
    case 'reset-read':
      return onResetRead(state, event.pending);
    case 'life-checked':
      return onLifeChecked(state, event);
    case 'admitted':
      return act(state, { type: 'take', isMarked: state.lifeCheckAt === undefined });
    case 'not-admitted':
      return pull({ ...state, maxMessages: event.maxMessages });
    case 'dropped':
      return onDropped(state, event);
    case 'taken':
      return onTaken(state);
    case 'waited':
    case 'interrupted':
      return pull(state);
    case 'failed':
      return onFailed(state, event);
  }
}

function onResetRead(state: PullState, pending: boolean): PullStep {
  return pending ? linger(state) : pull(state);
}

/** May the broker hold the next pull? Not while its answer is needed to check the queue's life. */
export function mayHold({ lifeCheckAt }: PullState): boolean {
  return lifeCheckAt === undefined;
}

function act(state: PullState, action: PullAction): PullStep {
  return { state, action };
}

function pull(state: PullState): PullStep {
  return act({ ...state, answer: undefined }, { type: 'pull' });
}

function linger(state: PullState): PullStep {
  return act({ ...state, answer: undefined }, { type: 'linger', waitMs: SHORT_POLL_WAIT_MS });
}

function onAnswered(
  before: PullState,
  { answer, suggestedBrokerId, now }: Extract<PullEvent, { type: 'answered' }>,
): PullStep {
  const watched = now - before.answeredAt < LIFE_CHECK_AFTER_MS;
  const state: PullState = {
    ...before,
    brokerId: now < before.masterUntil ? MASTER_ID : suggestedBrokerId,
    failures: 0,
    unreadable: 0,
    answeredAt: now,
    lifeCheckAt: before.lifeCheckAt ?? (watched ? undefined : now),
    answer,
  };
  if (answer.outdated) return pull(state);
  if (answer.status === 'OFFSET_MOVED') return onMoved(state, answer);
  // Until the reset is known, nothing may be delivered: what came is pulled again.
  if (answer.resetPending) return act(state, { type: 'read-stored-offset' });
  const checksLife = state.lifeCheckAt !== undefined && state.lifeCheckAt <= now;
  return act(state, { type: checksLife ? 'check-life' : 'admit' });
}

/** Only the master has resets. What a slave says of the queue's end is about its own, shorter history. */
function onMoved(state: PullState, { reset, fromMaster }: PullAnswer): PullStep {
  if (reset && fromMaster) return act(state, { type: 'follow-reset' });
  const trusted = fromMaster && state.contradictions + 1 >= TRUSTED_AFTER;
  return act(state, { type: 'inspect-queue', trusted });
}

function onContradicted(state: PullState, now: number): PullStep {
  const fromMaster = state.answer?.fromMaster === true;
  const next: PullState = {
    ...state,
    brokerId: MASTER_ID,
    masterUntil: now + MASTER_AFTER_SLAVE_ERROR_MS,
    // A slave's answer says nothing of the master's.
    contradictions: state.contradictions + (fromMaster ? 1 : 0),
  };
  return fromMaster ? linger(next) : pull(next);
}

function onLifeChecked(
  state: PullState,
  { life, now }: Extract<PullEvent, { type: 'life-checked' }>,
): PullStep {
  switch (life) {
    case 'same':
      return act({ ...state, lifeCheckAt: undefined }, { type: 'admit' });
    case 'another':
      return pull({ ...state, lifeCheckAt: undefined });
    case 'outdated':
      return pull(state);
    case 'unknown':
      // A slave may serve the pulls of a master that is away.
      return act({ ...state, lifeCheckAt: now + LIFE_CHECK_AFTER_MS }, { type: 'admit' });
  }
}

/** The reset that it was to report may be visible in the stored offset. */
function onDropped(
  state: PullState,
  { maxMessages, resetPending }: Extract<PullEvent, { type: 'dropped' }>,
): PullStep {
  const next = { ...state, maxMessages };
  return resetPending ? act(next, { type: 'read-stored-offset' }) : pull(next);
}

function onTaken(state: PullState): PullStep {
  const next = { ...state, contradictions: 0, maxMessages: undefined };
  return state.answer?.repeats === true ? linger(next) : pull(next);
}

function onFailed(
  state: PullState,
  { failure, brokerId, now, random }: Extract<PullEvent, { type: 'failed' }>,
): PullStep {
  const fromSlave = brokerId !== MASTER_ID;
  const failures = state.failures + 1;
  const unreadable = state.unreadable + (failure === 'unreadable' ? 1 : 0);
  const next: PullState = {
    ...state,
    brokerId: MASTER_ID,
    // What a slave refuses, or does not know of yet, its master may give.
    masterUntil: fromSlave ? now + MASTER_AFTER_SLAVE_ERROR_MS : state.masterUntil,
    failures,
    unreadable,
    answer: undefined,
  };
  if (failure === 'refused' && !fromSlave) return act(next, { type: 'stop', why: 'refused' });
  if (unreadable > UNREADABLE_TRIES) return act(next, { type: 'stop', why: 'unreadable' });
  const waitMs =
    failure === 'flow-control' ? FLOW_CONTROL_WAIT_MS : backoff(failures, random, ERROR_BACKOFF);
  return act(next, { type: 'back-off', waitMs });
}
