import type { Context } from 'aws-lambda';
import type {
  RocketMQBatchItemFailure,
  RocketMQBatchResponse,
  RocketMQEvent,
  RocketMQFailureOptions,
  RocketMQRecord,
} from '../model/event.ts';
import { printableError, printableLine } from '../model/printable-text.ts';
import { type FetchBody, fetchBodyOf } from './fetch-bodies.ts';

export interface PartialBatchOptions {
  /** Messages at once, 1 or more; default 1: one after the other. */
  readonly concurrency?: number;
  /**
   * For events with `order`: messages of one queue, or of one key, are handled one after the other, and none behind one that failed. Default: no order.
   */
  readonly order?: 'queue' | 'key';
  /** Gets bodies that `s3PointerThreshold` has put into a bucket, before their message is handled. Default: the record has its pointer. */
  readonly fetchBody?: FetchBody;
  /** Told of each failure; default: console.error. */
  readonly onFailure?: (error: unknown, record: RocketMQRecord) => void;
}

/** Throw it to say what becomes of the message: `throw new MessageFailure('not yet paid', { delaySeconds: 60 })`. */
export class MessageFailure extends Error implements RocketMQFailureOptions {
  declare readonly delayLevel?: number;
  declare readonly delaySeconds?: number;
  declare readonly action?: 'retry' | 'dlq' | 'drop';
  constructor(message: string, what: RocketMQFailureOptions = {}, options?: ErrorOptions) {
    super(message, options);
    this.name = 'MessageFailure';
    Object.assign(this, failureOptions(what));
  }
}

/**
 * A handler out of a function for one message. What it throws fails its message alone; `delaySeconds`, `delayLevel` and `action` of the error
 * count, whatever its class.
 */
export function partialBatch<Record extends RocketMQRecord = RocketMQRecord>(
  handle: (record: Record, context: Context) => unknown,
  options: PartialBatchOptions = {},
): (
  event: Omit<RocketMQEvent, 'Records'> & { readonly Records: readonly Record[] },
  context: Context,
) => Promise<RocketMQBatchResponse> {
  const { concurrency = 1, order, onFailure = logFailure, fetchBody } = options;
  if (!Number.isInteger(concurrency) || concurrency < 1)
    throw new RangeError(`concurrency is ${concurrency}: give a whole number from 1`);
  return async ({ Records }, context) => {
    const failures = new Map<Record, RocketMQBatchItemFailure>();
    // Taken before the function for one message, which may change its record, sees any of them.
    const handles = new Map(Records.map((record) => [record, record.receiptHandle]));
    const failed = (record: Record): RocketMQBatchItemFailure => ({
      itemIdentifier: handles.get(record) as string,
    });
    const lanes =
      order === undefined
        ? Records.map((record) => [record])
        : [...Map.groupBy(Records, (record) => laneOf(record, order)).values()];
    const work = async (): Promise<void> => {
      for (let lane = lanes.shift(); lane !== undefined; lane = lanes.shift())
        await handleLane(lane, context);
    };
    await Promise.all(Array.from({ length: Math.min(concurrency, lanes.length) }, work));
    return {
      batchItemFailures: [...handles.keys()].flatMap((record) => failures.get(record) ?? []),
    };

    async function handleLane(lane: readonly Record[], context: Context): Promise<void> {
      for (const [index, record] of lane.entries()) {
        try {
          await handle(
            fetchBody === undefined ? record : await fetchBodyOf(record, fetchBody),
            context,
          );
        } catch (error) {
          onFailure(error, record);
          failures.set(record, { ...failed(record), ...failureOptions(error) });
          for (const behind of lane.slice(index + 1)) failures.set(behind, failed(behind));
          return;
        }
      }
    }
  };
}

function laneOf(
  { attributes, receiptHandle, rocketmq }: RocketMQRecord,
  order: 'queue' | 'key',
): string {
  if (order === 'queue') return `${rocketmq.topic}/${rocketmq.brokerName}/${rocketmq.queueId}`;
  const key = attributes.MessageGroupId ?? rocketmq.keys[0];
  // Without a key there is no order.
  return key === undefined ? receiptHandle : `${rocketmq.brokerName}/${rocketmq.queueId}/${key}`;
}

/** Only what is there: an answer with `delaySeconds: undefined` would be one with a delay. */
function failureOptions(error: unknown): RocketMQFailureOptions {
  const { delayLevel, delaySeconds, action } = (
    typeof error === 'object' && error !== null ? error : {}
  ) as RocketMQFailureOptions;
  return {
    ...(delayLevel === undefined ? {} : { delayLevel }),
    ...(delaySeconds === undefined ? {} : { delaySeconds }),
    ...(action === undefined ? {} : { action }),
  };
}

function logFailure(error: unknown, { messageId, receiptHandle }: RocketMQRecord): void {
  // biome-ignore lint/suspicious/noConsole: in a user's function, whose logger we do not know
  console.error(
    `message ${printableLine(messageId)} (${printableLine(receiptHandle)}) failed`,
    printableError(error),
  );
}
