import {
  HIGHEST_LEVEL,
  LONGEST_DELAY_SECONDS,
  type Redelivery,
} from '../decide/retry/redelivery.ts';
import { answerShape, describeValue, plainAnswer, shortened } from '../model/answer-shape.ts';
import type { RocketMQAttributes, RocketMQFailureOptions, RocketMQRecord } from '../model/event.ts';
import type { EventFormatName } from '../model/event-formats.ts';
import { kafkaPartition } from './event-formats.ts';
import { describeThrown } from './thrown.ts';

/** What a handler's answer says of its batch: which records failed (by position) and what becomes of each; `default`: what the event's options say. */
export type Verdict =
  | {
      readonly kind: 'read';
      readonly failures: ReadonlyMap<number, Redelivery | 'default'>;
      /** The answer says that messages which it does not name are done, also behind a failed one. */
      readonly othersDone: boolean;
      /** The first wish of the answer that cannot be followed: its message fails by default. For the log. */
      readonly wrongWish?: string;
    }
  /** Not an allowed answer: every record failed. `reason` for the log. */
  | { readonly kind: 'invalid'; readonly reason: string };

/** What identifiers are compared with. */
type Identified = Pick<RocketMQRecord, 'messageId' | 'receiptHandle'> & {
  readonly rocketmq: Pick<RocketMQAttributes, 'topic' | 'brokerName' | 'queueId' | 'queueOffset'>;
};

const ALL_DONE: Verdict = { kind: 'read', failures: new Map(), othersDone: true };
const ACTIONS: readonly unknown[] = ['retry', 'dlq', 'drop'];
/** Ten times the largest batch: an item may be named more than once. */
const MAX_ITEMS = 100_000;

/**
 * Nothing, null, a plain {} and an empty list: all done. `{batchItemFailures: [{itemIdentifier, delayLevel?, delaySeconds?, action?}]}`: those failed; an
 * identifier is a messageId or a receiptHandle (with format kafka also a partition with an offset), and all records that it matches fail. Delays and
 * actions beside the list count for items that say nothing of their own; those that cannot be followed count as not said, for their message alone.
 * Anything else is invalid: never success by accident.
 */
export function readAnswer(
  answer: unknown,
  records: readonly Identified[],
  format: EventFormatName = 'sqs',
): Verdict {
  let plain: unknown;
  try {
    plain = plainAnswer(answer);
  } catch (error) {
    return unreadable(error);
  }
  return readPlainAnswer(plain, records, format);
}

/** Like `readAnswer`, for what `plainAnswer` returned: `toJSON` runs once. */
export function readPlainAnswer(
  answer: unknown,
  records: readonly Identified[],
  format: EventFormatName = 'sqs',
): Verdict {
  try {
    return read(answer, records, format);
  } catch (error) {
    return unreadable(error);
  }
}

export function unreadable(error: unknown): Verdict {
  return invalid(`the answer cannot be read: ${describeThrown(error).errorMessage}`);
}

/** Reads every field once: an inline handler's answer may be an object that changes while it is read. */
function read(answer: unknown, records: readonly Identified[], format: EventFormatName): Verdict {
  const shape = answerShape(answer);
  if (shape.kind === 'all-done') return ALL_DONE;
  if (shape.kind === 'invalid') return shape;
  const { list: batchItemFailures, othersDone } = shape;
  const { length } = batchItemFailures;
  if (length === 0) return ALL_DONE;
  // The length of a proxy may be any value.
  if (!isWhole(length as unknown, MAX_ITEMS))
    return invalid(`batchItemFailures has ${length} items, not 0 to ${MAX_ITEMS}`);
  const common = readRedelivery(answer as object, 'the answer');
  let { wrongWish } = common;
  const positionsOf =
    format === 'kafka' ? positionsInKafka(records) : positionsByIdentifier(records);
  // By what is named, so that many items for one identifier cost no more than one. The last counts.
  const ends = new Map<readonly number[], Redelivery | 'default'>();
  for (let index = 0; index < length; index++) {
    const item: unknown = batchItemFailures[index];
    if (typeof item !== 'object' || item === null)
      return invalid(
        `an item of batchItemFailures is ${describeValue(item)}, not an object with itemIdentifier`,
      );
    const { itemIdentifier } = item as { itemIdentifier?: unknown };
    const inKafka = format === 'kafka' ? readKafkaIdentifier(itemIdentifier) : undefined;
    if (inKafka === undefined && (typeof itemIdentifier !== 'string' || itemIdentifier === ''))
      return invalid(
        `an itemIdentifier is ${describeValue(itemIdentifier)}, not a messageId or receiptHandle${format === 'kafka' ? ', nor { "topic-partition", offset }' : ''}`,
      );
    const identifier = inKafka ?? (itemIdentifier as string);
    const name =
      inKafka === undefined
        ? (itemIdentifier as string)
        : `${describeValue(inKafka.partition)} at offset ${inKafka.offset}`;
    const own = readRedelivery(item, shortened(name));
    wrongWish ??= own.wrongWish;
    const positions = positionsOf(identifier);
    if (positions === undefined)
      return invalid(`the itemIdentifier "${shortened(name)}" names no record of the batch`);
    ends.delete(positions);
    ends.set(positions, own.wish ?? common.wish ?? 'default');
  }
  const failures = new Map<number, Redelivery | 'default'>();
  for (const [positions, end] of ends) {
    const isFinal = end !== 'default' && (end.kind === 'drop' || end.kind === 'dlq');
    // It is not known which of several records was meant, and a final end must not reach another.
    for (const position of positions)
      failures.set(position, isFinal && positions.length > 1 ? 'default' : end);
  }
  return {
    kind: 'read',
    failures,
    othersDone,
    ...(wrongWish === undefined ? {} : { wrongWish }),
  };
}

/** What an item, or the answer as a whole, wishes. */
interface Wish {
  /** undefined: nothing is said. */
  readonly wish?: Redelivery | 'default';
  /** Why a wish cannot be followed. */
  readonly wrongWish?: string;
}

/**
 * null, an empty text, the first value of an enumeration (0) as action, and 0 beside another delay or such an action are what serializers of other
 * languages write for what was not said.
 * @param of for the reason: whose fields they are
 */
function readRedelivery(fields: object, of: string): Wish {
  const {
    delayLevel: level,
    delaySeconds: seconds,
    action: act,
  } = fields as {
    readonly [Name in keyof RocketMQFailureOptions]?: unknown;
  };
  // Languages whose texts are empty when unset have numbers that are 0 when unset.
  const other = act === '' || act === 0 ? 0 : undefined;
  const delayLevel = saidBeside(level, seconds ?? other);
  const delaySeconds = saidBeside(seconds, level ?? other);
  const action = act === null || act === '' || act === 0 ? undefined : act;
  if (delayLevel !== undefined && !isWhole(delayLevel, HIGHEST_LEVEL))
    return wrong(
      `the delayLevel of ${of} is ${describeValue(delayLevel)}, not a whole number from 0 to ${HIGHEST_LEVEL}`,
    );
  if (delaySeconds !== undefined && !isWhole(delaySeconds, LONGEST_DELAY_SECONDS))
    return wrong(
      `the delaySeconds of ${of} is ${describeValue(delaySeconds)}, not a whole number from 0 to ${LONGEST_DELAY_SECONDS}`,
    );
  if (action !== undefined && !ACTIONS.includes(action))
    return wrong(
      `the action of ${of} is ${describeValue(action)}, not one of ${ACTIONS.join(', ')}`,
    );
  if (delayLevel !== undefined && delaySeconds !== undefined)
    return wrong(`${of} has both delayLevel and delaySeconds: give one of them`);
  if (action === 'dlq' || action === 'drop')
    return delayLevel || delaySeconds
      ? wrong(`${of} has a delay, which action ${action} leaves no use for`)
      : { wish: { kind: action } };
  if (delaySeconds !== undefined) return { wish: { kind: 'seconds', seconds: delaySeconds } };
  if (delayLevel !== undefined)
    return { wish: delayLevel === 0 ? { kind: 'auto' } : { kind: 'level', level: delayLevel } };
  return action === 'retry' ? { wish: 'default' } : {};
}

function saidBeside(delay: unknown, other: unknown): unknown {
  if (delay === null) return undefined;
  return delay === 0 && other !== undefined && other !== null ? undefined : delay;
}

/** The message fails all the same, as if nothing were said. */
function wrong(wrongWish: string): Wish {
  return { wish: 'default', wrongWish };
}

function isWhole(value: unknown, most: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= most;
}

interface KafkaIdentifier {
  readonly partition: unknown;
  readonly offset: number;
}

/** Lambda's documents say `{ "topic-partition", offset }`, middy and others send `{ partition, offset }`. */
function readKafkaIdentifier(identifier: unknown): KafkaIdentifier | undefined {
  if (typeof identifier !== 'object' || identifier === null) return undefined;
  const {
    'topic-partition': topicPartition,
    partition = topicPartition,
    offset,
  } = identifier as Record<string, unknown>;
  const number = typeof offset === 'string' && /^\d+$/.test(offset) ? Number(offset) : offset;
  return typeof number === 'number' && partition !== undefined
    ? { partition, offset: number }
    : undefined;
}

/** Which records of the batch an identifier names. */
type PositionsOf = (identifier: KafkaIdentifier | string) => readonly number[] | undefined;

/**
 * By the name of the queue as the event has it, by topic and partition, or by the partition alone:
 * all records of a batch are of one queue. Plain identifiers are read as in other formats.
 */
function positionsInKafka(records: readonly Identified[]): PositionsOf {
  const plainly = positionsByIdentifier(records);
  const byOffset = new Map<string, number[]>();
  records.forEach(({ rocketmq }, position) => {
    note(byOffset, rocketmq.queueOffset, position);
  });
  return (identifier) => {
    if (typeof identifier === 'string') return plainly(identifier);
    const { partition, offset } = identifier;
    const positions = byOffset.get(String(offset))?.filter((position) => {
      const { rocketmq } = records[position] as Identified;
      const { topic, queueId } = rocketmq;
      const names: unknown[] = [
        kafkaPartition(rocketmq),
        `${topic}-${queueId}`,
        String(queueId),
        queueId,
      ];
      return names.includes(partition);
    });
    return positions === undefined || positions.length === 0 ? undefined : positions;
  };
}

/** A receiptHandle names one record, whatever messageIds the producers chose. */
function positionsByIdentifier(records: readonly Identified[]): PositionsOf {
  const byMessageId = new Map<unknown, number[]>();
  const byHandle = new Map<unknown, number[]>();
  records.forEach(({ messageId, receiptHandle }, position) => {
    note(byMessageId, messageId, position);
    note(byHandle, receiptHandle, position);
  });
  return (identifier) => byHandle.get(identifier) ?? byMessageId.get(identifier);
}

function note<Key>(positions: Map<Key, number[]>, identifier: Key, position: number): void {
  const known = positions.get(identifier);
  if (known === undefined) positions.set(identifier, [position]);
  else known.push(position);
}

function invalid(reason: string): Extract<Verdict, { kind: 'invalid' }> {
  return { kind: 'invalid', reason };
}
