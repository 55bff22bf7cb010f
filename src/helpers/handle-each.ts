import type { Context } from 'aws-lambda';
import type {
  RocketMQBatchItemFailure,
  RocketMQBatchResponse,
  RocketMQEvent,
  RocketMQFailureOptions,
  RocketMQRecord,
} from '../model/event.ts';
import { printableError, printableLine } from '../model/printable-text.ts';
import { timerMs } from '../model/timer.ts';
import { failureOptions, isFailure } from './message-failure.ts';
import { laneOf, type Order, strictestOrder } from './order-of-event.ts';
import { report } from './report.ts';

export interface HandleEachOptions {
  /** Messages at once, 1 or more; default 1: one after the other. */
  readonly concurrency?: number;
  /** For events that do not say so themselves: messages of one queue, or of one key, are handled one after the other, and none behind one that failed. */
  readonly order?: Order;
  /** Told of each failure; default: console.error. */
  readonly onFailure?: (error: unknown, record: RocketMQRecord) => void;
}

/** An event with records that have more than they came with. */
export type EventOf<Record extends RocketMQRecord> = Omit<RocketMQEvent, 'Records'> & {
  readonly Records: readonly Record[];
};

/** What is thrown for a message that failed and was reported already. */
export class ReportedFailure extends Error {
  readonly options: RocketMQFailureOptions;
  constructor(options: RocketMQFailureOptions) {
    super('the message failed');
    this.options = options;
  }
}

/** The answer leaves a tenth of the time that a function has when it is called, at most so much, for itself. */
const LONGEST_RESERVE_MS = 1_000;

/** @throws RangeError */
export function checkConcurrency({ concurrency = 1 }: HandleEachOptions): void {
  if (!Number.isInteger(concurrency) || concurrency < 1)
    throw new RangeError(`concurrency is ${concurrency}: give a whole number from 1`);
}

/**
 * Handles the messages of an event one by one, in the order that the event has. What is not done shortly before the function's deadline has failed,
 * and the rest is done.
 */
export async function handleEach<Record extends RocketMQRecord>(
  { Records, rocketmqBatch }: EventOf<Record>,
  context: Context,
  { concurrency = 1, order: wanted, onFailure = logFailure }: HandleEachOptions,
  handle: (record: Record) => unknown,
): Promise<RocketMQBatchResponse> {
  const order = strictestOrder(wanted, rocketmqBatch?.order);
  // Taken before the function for one message, which may change its record, sees any of them.
  const handles = new Map(Records.map((record) => [record, record.receiptHandle]));
  const lanes = lanesOf(Records, order, rocketmqBatch?.order);
  const failures = new Map<Record, RocketMQFailureOptions>();
  const left = new Set(Records);
  const started = new Set<Record>();
  const deadline = deadlineOf(context);
  let isAnswered = false;
  // Messages that are done without a pause let no timer run.
  const isOver = (): boolean => isAnswered || deadline.isOver();
  const next = lanes.values();
  const work = async (): Promise<void> => {
    for (const lane of next) {
      if (isOver()) return;
      await handleLane(lane);
    }
  };
  const workers = Array.from({ length: Math.min(concurrency, lanes.length) }, work);
  await deadline.orBefore(Promise.all(workers));
  isAnswered = true;
  for (const record of started)
    if (left.has(record))
      report(onFailure, new Error('message not handled before the deadline'), record);
  const batchItemFailures = [...handles].flatMap(
    ([record, itemIdentifier]): RocketMQBatchItemFailure[] => {
      const options = failures.get(record);
      return options || left.has(record) ? [{ itemIdentifier, ...options }] : [];
    },
  );
  return {
    batchItemFailures,
    ...(order === 'key' && batchItemFailures.length > 0 ? { othersDone: true } : {}),
  };

  async function handleLane(lane: readonly Record[]): Promise<void> {
    for (const record of lane) {
      if (isOver()) return;
      started.add(record);
      try {
        const returned = await handle(record);
        if (isFailure(returned)) throw returned;
      } catch (error) {
        const isReported = error instanceof ReportedFailure;
        if (!isReported) report(onFailure, error, record);
        failures.set(record, isReported ? error.options : failureOptions(error));
        // Those behind it stay unhandled, and so they fail, too.
        return;
      } finally {
        started.delete(record);
      }
      left.delete(record);
    }
  }
}

function lanesOf<Record extends RocketMQRecord>(
  records: readonly Record[],
  order: Order | undefined,
  ofEvent: Order | undefined,
): (readonly Record[])[] {
  if (order === undefined) return records.map((record) => [record]);
  return [...Map.groupBy(records, (record) => laneOf(record, order, ofEvent)).values()];
}

interface Deadline {
  /** No time is left for another message. */
  isOver(): boolean;
  /** Waits for the work, or for the deadline if that is sooner. */
  orBefore(work: Promise<unknown>): Promise<void>;
}

/** Shortly before the end of the function's time. Without a Lambda context there is none. */
function deadlineOf(context: Partial<Context> | undefined): Deadline {
  const leftMs = (): number => context?.getRemainingTimeInMillis?.() ?? Number.POSITIVE_INFINITY;
  const reserveMs = Math.min(LONGEST_RESERVE_MS, leftMs() / 10);
  return {
    isOver: () => leftMs() <= reserveMs,
    async orBefore(work) {
      const ms = leftMs() - reserveMs;
      let timer: NodeJS.Timeout | undefined;
      const deadline = new Promise<void>((resolve) => {
        if (Number.isFinite(ms)) timer = setTimeout(resolve, timerMs(ms));
      });
      try {
        await Promise.race([work, deadline]);
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

function logFailure(error: unknown, { messageId, receiptHandle }: RocketMQRecord): void {
  // biome-ignore lint/suspicious/noConsole: in a user's function, whose logger we do not know
  console.error(
    `message ${printableLine(messageId)} (${printableLine(receiptHandle)}) failed`,
    printableError(error),
  );
}
