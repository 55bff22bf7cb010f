import { isPlain } from './is-plain.ts';

/** What an answer is, before its list is read. */
export type AnswerShape =
  | { readonly kind: 'all-done' }
  | { readonly kind: 'list'; readonly list: readonly unknown[]; readonly othersDone: boolean }
  /** Not an allowed answer. `reason` for the log. */
  | { readonly kind: 'invalid'; readonly reason: string };

const ALL_DONE: AnswerShape = { kind: 'all-done' };

/** An object of a class that says how it stands in JSON: a function's answer has that form, too. */
export function plainAnswer(answer: unknown): unknown {
  if (typeof answer !== 'object' || answer === null) return answer;
  const { toJSON } = answer as { readonly toJSON?: unknown };
  return typeof toJSON === 'function' ? toJSON.call(answer) : answer;
}

/**
 * Nothing, null, a plain {} and no list: all done. An object with a list under batchItemFailures: what it names failed. The puller and the helpers
 * judge by this alone. Reads every field once: an inline handler's answer may be an object that changes while it is read, and may throw.
 * @param answer as `plainAnswer` returned it
 */
export function answerShape(answer: unknown): AnswerShape {
  if (answer === undefined || answer === null) return ALL_DONE;
  if (typeof answer !== 'object' || Array.isArray(answer))
    return invalid(`the answer is ${describeValue(answer)}, not an object with batchItemFailures`);
  const { batchItemFailures, othersDone, then } = answer as Record<string, unknown>;
  if (typeof then === 'function') return invalid('the answer is a promise within the answer');
  if (batchItemFailures === null) return ALL_DONE;
  if (Array.isArray(batchItemFailures))
    return { kind: 'list', list: batchItemFailures, othersDone: othersDone === true };
  if (batchItemFailures !== undefined)
    return invalid(`batchItemFailures is ${describeValue(batchItemFailures)}, not a list`);
  // A misspelt name must not pass for success.
  const [other] = Object.keys(answer).filter((key) => key !== 'batchItemFailures');
  if (other !== undefined)
    return invalid(`the answer has "${shortened(other)}" but no batchItemFailures`);
  return isPlain(answer)
    ? ALL_DONE
    : invalid(`the answer is ${tagOf(answer)}, not a plain object with batchItemFailures`);
}

/** `[object Map]` and the like. */
function tagOf(answer: object): string {
  return shortened(Object.prototype.toString.call(answer));
}

/** What a log line can hold of a text that somebody else has written. */
export function shortened(text: string): string {
  return text.slice(0, 80);
}

/** A value in the reason of a refusal. */
export function describeValue(value: unknown): string {
  switch (typeof value) {
    case 'undefined':
      return 'missing';
    case 'string':
      return value === '' ? 'empty' : `the string ${JSON.stringify(shortened(value))}`;
    case 'number':
    case 'boolean':
    case 'bigint':
      return `the ${typeof value} ${value}`;
    default:
      return value === null ? 'null' : Array.isArray(value) ? 'a list' : `a ${typeof value}`;
  }
}

function invalid(reason: string): AnswerShape {
  return { kind: 'invalid', reason };
}
