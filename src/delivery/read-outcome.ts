import { plainAnswer } from '../model/answer-shape.ts';
import type { SubscriptionConfig } from '../model/source.ts';
import type { HandlerOutcome } from '../ports/invoke.ts';
import type { RecordIdentity } from './batch.ts';
import { readPlainAnswer, unreadable, type Verdict } from './read-answer.ts';
import { readSuspension } from './read-suspension.ts';

/** How a handler call ended, with its answer read. */
export type CallOutcome =
  | {
      readonly kind: 'answered';
      readonly verdict: Verdict;
      readonly suspension: ReturnType<typeof readSuspension>;
    }
  | Exclude<HandlerOutcome, { kind: 'answered' }>;

/**
 * Reads the answer, once: an inline handler may change it later, and trace and settlement have to
 * agree. With `functionResponseType: None` only a failure counts.
 */
export function readOutcome(
  outcome: HandlerOutcome,
  items: readonly RecordIdentity[],
  {
    eventFormat,
    functionResponseType,
  }: Pick<SubscriptionConfig, 'eventFormat' | 'functionResponseType'>,
): CallOutcome {
  if (outcome.kind !== 'answered') return outcome;
  const answer = functionResponseType === 'None' ? undefined : outcome.answer;
  let plain: unknown;
  try {
    plain = plainAnswer(answer);
  } catch (error) {
    return { kind: 'answered', verdict: unreadable(error), suspension: 'invalid' };
  }
  return {
    kind: 'answered',
    verdict: readPlainAnswer(plain, items, eventFormat),
    suspension: readSuspension(plain),
  };
}
