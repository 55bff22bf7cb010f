import { answerShape, plainAnswer } from '../model/answer-shape.ts';
import type { RocketMQBatchItemFailure } from '../model/event.ts';
import type { Order } from './order-of-event.ts';

/** Fields of an answer; a class may have them in its prototype. */
const FIELDS = [
  'delayLevel',
  'delaySeconds',
  'action',
  'suspendCurrentQueueTimeMillis',
  'othersDone',
];

/**
 * The handler's answer with failures of messages that it has not seen. A wrong answer is never made a right one, and what passes for success on
 * one way to the puller only (inline as it is, of a function as JSON) must not hide the failures.
 * @returns undefined: the answer is wrong on both ways, the puller names it; a text is wrong on both
 */
export function withFailures(
  response: unknown,
  failures: readonly RocketMQBatchItemFailure[],
  order: Order | undefined,
): object | string | undefined {
  const [here, asJson] = shapesOf(response);
  if (here === undefined && asJson === undefined) return undefined;
  if (here === undefined || asJson === undefined)
    return `the handler answered ${Object.prototype.toString.call(response)}`;
  const { list, fields } = here;
  // Who names no failure has handled everything that it was given.
  const othersDone = order === 'key' && (list.length === 0 || fields.othersDone === true);
  return {
    ...fields,
    batchItemFailures: [...list, ...failures],
    ...(othersDone ? { othersDone } : {}),
  };
}

/** A valid answer. */
interface Answer {
  readonly list: readonly unknown[];
  readonly fields: Readonly<Record<string, unknown>>;
}

/** As the puller reads it inline, and as a runtime posts it. undefined: not a valid answer. */
function shapesOf(response: unknown): [here: Answer | undefined, asJson: Answer | undefined] {
  try {
    const plain = plainAnswer(response);
    return [read(plain), read(JSON.parse(JSON.stringify(plain) ?? 'null'))];
  } catch {
    // Neither a runtime nor the puller can read it.
    return [undefined, undefined];
  }
}

function read(answer: unknown): Answer | undefined {
  const shape = answerShape(answer);
  if (shape.kind === 'invalid') return undefined;
  const { list } = shape.kind === 'list' ? shape : { list: [] };
  const fields = (answer ?? {}) as Record<string, unknown>;
  const known: Record<string, unknown> = {};
  for (const name of FIELDS) if (fields[name] !== undefined) known[name] = fields[name];
  return {
    list: Array.from({ length: list.length }, (_, at) => list[at]),
    fields: { ...fields, ...known },
  };
}
