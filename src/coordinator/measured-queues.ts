import type { QueueLag } from '../decide/lag/lag-figures.ts';
import { isLive } from '../decide/lease/lease.ts';
import { TopicNotFoundError } from '../errors.ts';
import type { Assignment } from '../model/assignment.ts';
import { isPopUnit, type MessageQueue } from '../model/message-queue.ts';
import { readableQueues } from '../model/route.ts';
import { isEnabled, type SubscriptionConfig } from '../model/source.ts';
import { poppedTopic } from '../records/pop-handle.ts';
import type { GroupRun } from './group-run.ts';

/** A queue whose lag is measured, with what is known of it before its brokers are asked. */
export interface MeasuredQueue extends Pick<QueueLag, 'progressAt' | 'owned' | 'rests'> {
  readonly queue: MessageQueue;
  /** What the table has as the committed offset. */
  readonly own: bigint | undefined;
  /** Where the group begins that has no offset. */
  readonly start: bigint | 'min' | 'max';
  /** Who reads a message to know its age. */
  readonly reader: string;
}

/**
 * Ages of popped queues are read by a group that is nobody's: a pull in the group's own name moves the place that it pops from, on brokers that keep
 * that as a pull offset (popConsumerKVServiceEnable).
 */
const AGE_READER = 'serverless-rocketmq-ages';

/** What is to be measured. */
interface ToMeasure {
  readonly queues: readonly MeasuredQueue[];
  /** Topics whose queues could not be found out. */
  readonly unknownTopics: number;
}

/** The queues that the group pulls, as its assignments have them, and those that it pops from, as its brokers have them. */
export async function measuredQueues(
  run: GroupRun,
  assignments: readonly Assignment[],
  now: number,
): Promise<ToMeasure> {
  const pulled = assignments
    .filter(({ queue }) => !isPopUnit(queue))
    .map(
      ({ queue, startOffset, committedOffset, pausedUntil, progressAt, lease }): MeasuredQueue => {
        const rests =
          (pausedUntil !== undefined && pausedUntil > now) || !isEnabled(run.source, queue.topic);
        const owned = isLive(lease, now);
        return {
          queue,
          own: committedOffset,
          start: committedOffset ?? startOffset,
          progressAt,
          owned,
          rests,
          reader: run.group.consumerGroup,
        };
      },
    );
  if (run.source.mode !== 'pop') return { queues: pulled, unknownTopics: 0 };
  const popped = await Promise.all(
    run.source.subscriptions.map((subscription) => poppedQueues(run, subscription)),
  );
  return {
    queues: [...pulled, ...popped.flatMap(({ queues }) => queues)],
    unknownTopics: popped.reduce((sum, { unknownTopics }) => sum + unknownTopics, 0),
  };
}

/** Those of the topic, and of the topics to which brokers put what was popped and not acknowledged. Mirrors ConsumerLagCalculator, which adds both. */
async function poppedQueues(
  run: GroupRun,
  { topic, startingPosition }: SubscriptionConfig,
): Promise<ToMeasure> {
  const retries = ([1, 2] as const).map((retryMark) =>
    poppedTopic(topic, run.group.consumerGroup, { retryMark }),
  );
  const found = await Promise.all([topic, ...retries].map((name) => readable(run, name)));
  const known = found.filter((queues) => queues !== undefined);
  const queues = known.flat().map(
    (queue): MeasuredQueue => ({
      queue,
      own: undefined,
      start: queue.topic === topic && startingPosition === 'LATEST' ? 'max' : 'min',
      // Nobody holds a queue that is popped from, and nobody notes when its offset moves.
      progressAt: undefined,
      owned: true,
      rests: true,
      reader: AGE_READER,
    }),
  );
  return { queues, unknownTopics: found.length - known.length };
}

/**
 * None of a topic that does not exist: a retry topic comes into being with the first message that
 * comes again. undefined: no name server responds.
 */
async function readable(
  { rocketmq, signal, logger }: GroupRun,
  topic: string,
): Promise<MessageQueue[] | undefined> {
  try {
    return readableQueues(await rocketmq.topicRoute(topic, { signal }));
  } catch (error) {
    if (error instanceof TopicNotFoundError) return [];
    if (!signal.aborted)
      logger.debug({ err: error, topic }, 'the lag of a topic cannot be measured');
    return undefined;
  }
}
