import { backoff } from '../decide/retry/backoff.ts';
import { MASTER_ID } from '../model/route.ts';

/**
 * Which broker is asked next, and for how much: what earlier answers and failures have shown. A pure
 * state machine, the same for a puller and a PullConsumer. Mirrors PullAPIWrapper's table of broker
 * ids, and adds what it leaves out: slaves that fail, answers that cannot be read.
 */
export interface PullState {
  /** 0: the master. */
  readonly brokerId: number;
  /** Epoch ms until which no suggestion of a slave is followed. */
  readonly masterUntil: number;
  /** Pulls in a row that failed. */
  readonly failures: number;
  /** Answers in a row that could not be read. */
  readonly unreadable: number;
  /** Answers in a row in which the master contradicted its own figures. */
  readonly contradictions: number;
  /** Most messages that the next answer may bring; undefined: as configured. */
  readonly maxMessages: number | undefined;
}

export const FIRST_PULL: PullState = {
  brokerId: MASTER_ID,
  masterUntil: 0,
  failures: 0,
  unreadable: 0,
  contradictions: 0,
  maxMessages: undefined,
};

/**
 * - refused: no right, no such group or topic, a filter that does not compile;
 * - unreadable: the answer, or a record in it, cannot be stepped over;
 * - flow-control: the broker asks for a pause;
 * - failed: everything else, the broker may be away.
 */
export type PullFailure = 'refused' | 'unreadable' | 'flow-control' | 'failed';

export type PullEvent =
  | { readonly type: 'answered'; readonly suggestedBrokerId: number; readonly now: number }
  /** The answer said that the offset is not in the queue, and the master's figures say that it is. */
  | { readonly type: 'contradicted'; readonly now: number }
  | { readonly type: 'confirmed' }
  /** There is no memory for the answer: it is pulled again with fewer messages. */
  | { readonly type: 'not-admitted'; readonly maxMessages: number }
  | { readonly type: 'admitted' }
  | {
      readonly type: 'failed';
      readonly failure: PullFailure;
      readonly now: number;
      /** 0 ≤ r < 1 */
      readonly random: number;
    };

export type PullStep =
  | { readonly kind: 'go-on'; readonly state: PullState }
  | { readonly kind: 'wait'; readonly state: PullState; readonly waitMs: number }
  /** Nothing that the loop could do helps. */
  | { readonly kind: 'stop'; readonly state: PullState; readonly why: 'refused' | 'unreadable' };

/** An answer that cannot be read is asked for again so often, message by message, so that the good ones before the bad one get through. */
const UNREADABLE_TRIES = 3;
/** A slave that failed is not asked for this long. Slaves learn of topics and groups about once a minute. */
const MASTER_AFTER_SLAVE_ERROR_MS = 60_000;
/** pullTimeDelayMillsWhenException of ClientConfig, growing when it goes on. */
const ERROR_BACKOFF = { firstMs: 1_000, longestMs: 10_000 };
/** PULL_TIME_DELAY_MILLS_WHEN_BROKER_FLOW_CONTROL of DefaultMQPushConsumerImpl. */
const FLOW_CONTROL_WAIT_MS = 20;
/** The master's word counts against its own figures from this many answers on. */
export const TRUSTED_AFTER = 3;

export function stepPull(state: PullState, event: PullEvent): PullStep {
  switch (event.type) {
    case 'answered': {
      const { suggestedBrokerId, now } = event;
      const brokerId = now < state.masterUntil ? MASTER_ID : suggestedBrokerId;
      return goOn({ ...state, brokerId, failures: 0, unreadable: 0 });
    }
    case 'contradicted':
      return goOn({
        ...state,
        brokerId: MASTER_ID,
        masterUntil: event.now + MASTER_AFTER_SLAVE_ERROR_MS,
        contradictions: state.contradictions + 1,
      });
    case 'confirmed':
      return goOn({ ...state, contradictions: 0 });
    case 'not-admitted':
      return goOn({ ...state, maxMessages: event.maxMessages });
    case 'admitted':
      return goOn({ ...state, maxMessages: undefined });
    case 'failed':
      return onFailed(state, event);
  }
}

function goOn(state: PullState): PullStep {
  return { kind: 'go-on', state };
}

function onFailed(
  state: PullState,
  { failure, now, random }: Extract<PullEvent, { type: 'failed' }>,
): PullStep {
  const fromSlave = state.brokerId !== MASTER_ID;
  const failures = state.failures + 1;
  const unreadable = state.unreadable + (failure === 'unreadable' ? 1 : 0);
  const next: PullState = {
    ...state,
    brokerId: MASTER_ID,
    // What a slave refuses, or does not know of yet, its master may give.
    masterUntil: fromSlave ? now + MASTER_AFTER_SLAVE_ERROR_MS : state.masterUntil,
    failures,
    unreadable,
  };
  if (failure === 'refused' && !fromSlave) return { kind: 'stop', state: next, why: 'refused' };
  if (unreadable > UNREADABLE_TRIES) return { kind: 'stop', state: next, why: 'unreadable' };
  const waitMs =
    failure === 'flow-control' ? FLOW_CONTROL_WAIT_MS : backoff(failures, random, ERROR_BACKOFF);
  return { kind: 'wait', state: next, waitMs };
}
