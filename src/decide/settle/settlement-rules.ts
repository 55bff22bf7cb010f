import type { FailureCondition } from '../../model/failure.ts';
import type { RetryDelay } from '../../model/source.ts';
import { bisection, firstPart } from '../batch/bisect.ts';
import { endsInOrder, type OrderedEnd, type OrderedResult } from '../order/ends-in-order.ts';
import { orDefault } from '../retry/redelivery.ts';
import type { MessageEnd, MessageVerdict, SettledMessage } from './message-end.ts';

/** Options of the event that a batch was delivered for. */
export interface SettlementOptions {
  /** Of messages of which the handler said nothing else. */
  readonly retryDelay: RetryDelay | undefined;
  /** How long a message that failed in its order waits, ms. */
  readonly suspendMs: number;
  /** The handler says that the messages which it does not name are done, also behind one that failed. */
  readonly othersDone: boolean;
  /** 0 ≤ r < 1 */
  readonly random: () => number;
}

/** A batch without a verdict for each message. */
export interface WholeBatch {
  readonly count: number;
  /** `bisectBatchOnFunctionError` */
  readonly bisects: boolean;
  /** Handler calls that fit into the rest of the invocation. */
  readonly callsLeft: number;
  /** Handler calls that fit into a whole invocation. */
  readonly callsInAll: number;
}

/**
 * - failed: the handler threw, timed out or died;
 * - invalid-answer: it answered something that is no answer;
 * - too-large: Lambda refused the event.
 */
export type WholeFailure = 'failed' | 'invalid-answer' | 'too-large';

/** What becomes of a batch that failed as a whole. */
export type WholeEnd =
  /** Each of its messages has failed. */
  | { readonly kind: 'each-failed' }
  /** No event can carry its single message. */
  | { readonly kind: 'undeliverable' }
  /** Delivered at once in two parts, the first one with so many messages. No failure is counted. */
  | { readonly kind: 'parts'; readonly first: number; readonly maxMessages?: number }
  /** Taken again in batches of at most so many messages. No failure is counted. */
  | { readonly kind: 'put-back'; readonly maxMessages: number }
  /** Left to the next invocation, in batches of at most so many messages: this one has no time. */
  | { readonly kind: 'leave'; readonly maxMessages: number };

/** How the messages of a source get their ends. One object per mode. */
export interface SettlementRules {
  /** The ends of a batch's messages, in its order. */
  endsOf(
    messages: readonly SettledMessage[],
    verdictOf: (position: number) => MessageVerdict,
    options: SettlementOptions,
  ): readonly MessageEnd[];
  afterWholeFailure(failure: WholeFailure, batch: WholeBatch): WholeEnd;
  /**
   * The end of a message that no handler gets.
   * @param how `failed`: it killed its puller, which counts as a failed delivery
   */
  endOfUnhandled(
    how: 'for-good' | 'failed',
    message: Omit<SettledMessage, 'lane'>,
    condition: FailureCondition,
  ): MessageEnd;
}

const DONE: MessageEnd = { kind: 'done' };
const DROP: MessageEnd = { kind: 'drop' };

/** Messages in any order: each goes back to the broker on its own. Mirrors ConsumeMessageConcurrentlyService. */
export const UNORDERED: SettlementRules = {
  endsOf: (messages, verdictOf, options) =>
    messages.map((message, position) => unorderedEnd(message, verdictOf(position), options)),
  afterWholeFailure: unorderedWhole,
  endOfUnhandled: (how, { failures, maxFailures }, condition) =>
    how === 'for-good' || failures >= maxFailures
      ? { kind: 'dead-letter', condition }
      : { kind: 'redeliver', redelivery: { kind: 'auto' } },
};

/**
 * Nothing is sent back to be redelivered: it would be overtaken. Nor has a message its end behind the
 * others of its lane. Mirrors ConsumeMessageOrderlyService.processConsumeResult.
 */
export const ORDERED: SettlementRules = {
  endsOf(messages, verdictOf, { suspendMs, othersDone }) {
    const results = messages.map((message, position) => ({
      ...message,
      verdict: orderedVerdict(verdictOf(position)),
    }));
    return endsInOrder(results, othersDone).map((end, position) =>
      orderedEnd(end, results[position] as OrderedResult, suspendMs),
    );
  },
  afterWholeFailure: orderedWhole,
  endOfUnhandled: (_how, _message, condition) => ({ kind: 'dead-letter', condition }),
};

/** BROADCASTING: nobody redelivers to one of many. As in Java, a message that fails is logged and counts as done. */
export const BROADCAST: SettlementRules = {
  endsOf: (messages, verdictOf) =>
    messages.map((_, position) => (verdictOf(position) === undefined ? DONE : DROP)),
  afterWholeFailure: unorderedWhole,
  endOfUnhandled: () => DROP,
};

function unorderedEnd(
  { failures, maxFailures }: SettledMessage,
  verdict: MessageVerdict,
  { retryDelay, random }: SettlementOptions,
): MessageEnd {
  if (verdict === undefined) return DONE;
  const redelivery = orDefault(verdict, retryDelay, failures + 1, random());
  if (redelivery.kind === 'drop') return DROP;
  if (redelivery.kind === 'dlq') return { kind: 'dead-letter', condition: 'RejectedByHandler' };
  return failures >= maxFailures
    ? { kind: 'dead-letter', condition: 'RetryAttemptsExhausted' }
    : { kind: 'redeliver', redelivery };
}

function unorderedWhole(
  failure: WholeFailure,
  { count, bisects, callsLeft, callsInAll }: WholeBatch,
): WholeEnd {
  const half = Math.ceil(count / 2);
  if (failure === 'too-large')
    return count === 1 ? { kind: 'undeliverable' } : { kind: 'parts', first: half };
  if (failure === 'invalid-answer' || count < 2 || !bisects) return { kind: 'each-failed' };
  // Whoever goes on, this invocation or the next one, does not begin with the whole batch again.
  switch (bisection(callsLeft, callsInAll)) {
    case 'fail':
      return { kind: 'each-failed' };
    case 'leave':
      return { kind: 'leave', maxMessages: half };
    case 'split':
      return { kind: 'parts', first: firstPart(count, callsLeft), maxMessages: half };
  }
}

/**
 * A batch that failed as a whole does not say which message it was: it comes again in halves until a single one fails, so that no other is counted
 * as failed in its place.
 */
function orderedWhole(failure: WholeFailure, { count, bisects, callsLeft }: WholeBatch): WholeEnd {
  const splits = count > 1 && (bisects || failure === 'too-large');
  if (splits) return { kind: 'put-back', maxMessages: firstPart(count, callsLeft) };
  return failure === 'too-large' ? { kind: 'undeliverable' } : { kind: 'each-failed' };
}

/** When it comes again is the order's matter: delays that an answer gives do not count, its suspension does. */
function orderedVerdict(verdict: MessageVerdict): OrderedResult['verdict'] {
  if (verdict === undefined) return 'done';
  return verdict !== 'default' && (verdict.kind === 'dlq' || verdict.kind === 'drop')
    ? verdict.kind
    : 'failed';
}

function orderedEnd(end: OrderedEnd, result: OrderedResult, suspendMs: number): MessageEnd {
  switch (end) {
    case 'done':
    case 'drop':
    case 'untouched':
      return { kind: end };
    case 'dlq':
      return {
        kind: 'dead-letter',
        condition: result.verdict === 'dlq' ? 'RejectedByHandler' : 'RetryAttemptsExhausted',
      };
    case 'again':
      return { kind: 'suspend', suspendMs, failures: result.failures + 1 };
  }
}
