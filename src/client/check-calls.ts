import {
  abortSignal,
  type Check,
  fields,
  filledText,
  objectWith,
  optional,
  positive,
  rocketmqName,
  wholeNumber,
} from './check-values.ts';

/** A message has a queue's fields too, and may stand for it. */
export const messageQueue = objectWith(
  { topic: rocketmqName, brokerName: filledText, queueId: wholeNumber(0, 2 ** 31 - 1) },
  'a queue: { topic, brokerName, queueId }',
);

/** The options of a call, with fields of its own. */
export function callOptions(more: Readonly<Record<string, Check>> = {}): Check {
  return fields({ signal: optional(abortSignal), timeoutMs: optional(positive), ...more });
}
