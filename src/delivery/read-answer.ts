import type { RocketMQRecord } from '../model/event.ts';

/** What a handler's answer says of its batch: which records failed (by position) and how each is to be redelivered. */
export type Verdict =
  | { readonly kind: 'read'; readonly failures: ReadonlyMap<number, { readonly delayLevel: number }> }
  /** Not an allowed answer: every record failed. `reason` for the log. */
  | { readonly kind: 'invalid'; readonly reason: string };

const ALL_DONE: Verdict = { kind: 'read', failures: new Map() };
const BROKER_DECIDES = 0;
const HIGHEST_LEVEL = 18;

/**
 * Nothing, null, {} and an empty list: all done. `{batchItemFailures: [{itemIdentifier, delayLevel?}]}`: those failed; an identifier is a messageId
 * or a receiptHandle, and all records that it matches fail. Anything else is invalid: never success by accident.
 */
export function readAnswer(answer: unknown, records: readonly Pick<RocketMQRecord, 'messageId' | 'receiptHandle'>[]): Verdict {
  if (answer === undefined || answer === null) return ALL_DONE;
  if (typeof answer !== 'object' || Array.isArray(answer))
    return invalid(`the answer is ${describe(answer)}, not an object with batchItemFailures`);
  const { batchItemFailures } = answer as { batchItemFailures?: unknown };
  if (batchItemFailures === null) return ALL_DONE;
  if (batchItemFailures === undefined) {
    // A misspelt name must not pass for success.
    const [other] = Object.keys(answer).filter((key) => key !== 'batchItemFailures');
    return other === undefined ? ALL_DONE : invalid(`the answer has "${other}" but no batchItemFailures`);
  }
  if (!Array.isArray(batchItemFailures)) return invalid(`batchItemFailures is ${describe(batchItemFailures)}, not a list`);
  if (batchItemFailures.length === 0) return ALL_DONE;
  const positions = positionsByIdentifier(records);
  const failures = new Map<number, { delayLevel: number }>();
  for (const item of batchItemFailures as unknown[]) {
    if (typeof item !== 'object' || item === null)
      return invalid(`an item of batchItemFailures is ${describe(item)}, not an object with itemIdentifier`);
    const { itemIdentifier, delayLevel = BROKER_DECIDES } = item as { itemIdentifier?: unknown; delayLevel?: unknown };
    if (typeof itemIdentifier !== 'string' || itemIdentifier === '')
      return invalid(`an itemIdentifier is ${describe(itemIdentifier)}, not a messageId or receiptHandle`);
    if (typeof delayLevel !== 'number' || !Number.isInteger(delayLevel) || delayLevel < BROKER_DECIDES || delayLevel > HIGHEST_LEVEL)
      return invalid(`the delayLevel of ${itemIdentifier} is ${describe(delayLevel)}, not a whole number from 0 to ${HIGHEST_LEVEL}`);
    const matches = positions.get(itemIdentifier);
    if (matches === undefined) return invalid(`the itemIdentifier "${itemIdentifier}" names no record of the batch`);
    for (const position of matches) failures.set(position, { delayLevel });
  }
  return { kind: 'read', failures };
}

function positionsByIdentifier(records: readonly Pick<RocketMQRecord, 'messageId' | 'receiptHandle'>[]): Map<string, number[]> {
  const positions = new Map<string, number[]>();
  const note = (identifier: string, position: number): void => {
    const known = positions.get(identifier);
    if (known === undefined) positions.set(identifier, [position]);
    else known.push(position);
  };
  records.forEach(({ messageId, receiptHandle }, position) => {
    note(messageId, position);
    note(receiptHandle, position);
  });
  return positions;
}

function invalid(reason: string): Verdict {
  return { kind: 'invalid', reason };
}

function describe(value: unknown): string {
  switch (typeof value) {
    case 'undefined':
      return 'missing';
    case 'string':
      return value === '' ? 'empty' : `the string ${JSON.stringify(value.slice(0, 80))}`;
    case 'number':
    case 'boolean':
    case 'bigint':
      return `the ${typeof value} ${value}`;
    default:
      return value === null ? 'null' : Array.isArray(value) ? 'a list' : `a ${typeof value}`;
  }
}
