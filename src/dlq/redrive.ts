import {
  GroupNotFoundError,
  RedriveStoppedError,
  RocketMQError,
  TopicNotFoundError,
} from '../errors.ts';
import { type MessageQueue, queueKey, retryTopic } from '../model/message-queue.ts';
import type {
  CallOptions,
  OutgoingMessage,
  OutgoingOptions,
  RocketMQ,
  SendResult,
} from '../ports/rocketmq.ts';
import {
  type DeadLetter,
  type DeadLetterQueue,
  type DeadLetterSelection,
  isReached,
  isSelected,
  peekDeadLetters,
  REDRIVE_GROUP,
  readQueue,
  selectedQueues,
  startOf,
} from './dead-letters.ts';
import { arePlaces, NamedLetters, queuesWithin } from './letter-names.ts';
import {
  type RedriveTarget,
  redrivenMessage,
  whyNotRedriven,
  whyNotToOrigin,
} from './redriven-message.ts';

export interface RedriveOptions extends DeadLetterSelection {
  /** Default `topic`. */
  readonly to?: RedriveTarget;
  /**
   * Topics that the group subscribes to. A dead letter that names another as the one it came from is
   * passed over, unless `to` names a topic. Default: topics in which brokers have an offset of the group.
   */
  readonly topics?: readonly string[];
  /** Most messages that are sent; default without end. */
  readonly limit?: number;
  /** Nothing is sent or noted; the report says what would be. */
  readonly dryRun?: boolean;
  /** A message that cannot be sent: `stop` (default) ends the redrive before it with the error, `skip` reports it and goes on. */
  readonly onFailure?: 'stop' | 'skip';
  /** Ends it after the message that is under way; what was sent is noted. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: RedriveProgress) => void;
}

export interface RedriveProgress {
  readonly queue: MessageQueue;
  readonly offset: bigint;
  /** Where it went, or would go. */
  readonly topic: string;
  readonly msgId: string;
  /** Sent so far, over all queues. */
  readonly redriven: number;
}

export interface RedriveReport {
  readonly redriven: number;
  /** What was passed over, and why: cannot be decoded, nothing tells its topic, could not be sent. */
  readonly skipped: readonly {
    readonly queue: MessageQueue;
    readonly offset: bigint;
    readonly reason: string;
  }[];
  /** It ended before the end of the queues: the limit, or the signal. */
  readonly stopped: boolean;
}

/**
 * Sends dead letters back to where they came from. Each is sent first and noted after (as an offset of the group REDRIVE_GROUP), so that none is
 * lost when this dies in between; up to 32 may be sent twice then, under the same message id. Without a selection it goes on where the last redrive
 * ended. A selection is redriven whatever was noted, and notes nothing itself: it leaves gaps. The dead letters stay stored until they expire.
 * @param isOfGroup does the group consume the topic? Asked where `topics` are not given; default: any is taken
 * @throws DeadLettersUnreadableError; AmbiguousDeadLetterError; with `onFailure: stop` RedriveStoppedError with what the send
 * threw as its cause, after everything before it was noted
 */
export async function redriveDeadLetters(
  client: RocketMQ,
  consumerGroup: string,
  asked: RedriveOptions = {},
  isOfGroup: (topic: string) => boolean | Promise<boolean> = () => true,
): Promise<RedriveReport> {
  const { signal, topics, ids } = asked;
  const options =
    ids === undefined
      ? asked
      : { ...asked, ids: await placesOf(client, consumerGroup, ids, asked) };
  const run: Run = {
    client,
    consumerGroup,
    options,
    isOfGroup: topics === undefined ? isOfGroup : (topic) => topics.includes(topic),
    redriven: 0,
    skipped: [],
    stopped: false,
  };
  const queues = await selectedQueues(client, consumerGroup, options, {});
  for (const place of options.ids === undefined ? queues : queuesWithin(queues, options.ids)) {
    await redriveQueue(run, place);
    if (run.stopped) break;
  }
  const { redriven, skipped } = run;
  return { redriven, skipped, stopped: run.stopped || signal?.aborted === true };
}

/** Each id as the place of the one letter that it names. */
async function placesOf(
  client: RocketMQ,
  consumerGroup: string,
  ids: readonly string[],
  options: RedriveOptions,
): Promise<readonly string[]> {
  if (arePlaces(ids)) return ids;
  const named = new NamedLetters(consumerGroup, ids);
  const { limit: _limit, ...all } = options;
  for await (const letter of peekDeadLetters(client, consumerGroup, all)) named.note(letter);
  return named.places();
}

interface Run {
  readonly client: RocketMQ;
  readonly consumerGroup: string;
  readonly options: RedriveOptions;
  readonly isOfGroup: (topic: string) => boolean | Promise<boolean>;
  redriven: number;
  readonly skipped: { queue: MessageQueue; offset: bigint; reason: string }[];
  stopped: boolean;
}

async function redriveQueue(run: Run, place: DeadLetterQueue): Promise<void> {
  const { client, options } = run;
  const selects = (['ids', 'offsets', 'since', 'offset'] as const).some(
    (name) => options[name] !== undefined,
  );
  const notes = !selects && options.dryRun !== true;
  const start = await startOf(
    client,
    place,
    options,
    selects ? place.minOffset : place.redrivenUpTo,
    {},
  );
  let noted = start;
  let done = start;
  const note = async (): Promise<void> => {
    if (!notes || done === noted) return;
    await noteRedriven(client, place.queue, done);
    noted = done;
  };
  try {
    for await (const letters of readQueue(client, place, start, {})) {
      for (const letter of letters) {
        if (options.signal?.aborted === true || isReached(options.limit, run.redriven)) {
          run.stopped = true;
          return;
        }
        if (isSelected(letter, options)) await redriveLetter(run, letter);
        done = letter.offset + 1n;
      }
      await note();
    }
  } finally {
    await note();
  }
}

async function redriveLetter(run: Run, letter: DeadLetter): Promise<void> {
  const { client, consumerGroup, options, skipped } = run;
  const { message, queue, offset } = letter;
  const unfit = whyNotRedriven(letter);
  if (message === undefined || unfit !== undefined) {
    skipped.push({ queue, offset, reason: unfit ?? 'it cannot be decoded' });
    return;
  }
  const to = options.to ?? 'topic';
  let foreign: string | undefined;
  try {
    foreign = await whyNotToOrigin(letter, to, run.isOfGroup);
  } catch (error) {
    notSent(run, letter, error);
    return;
  }
  if (foreign !== undefined) {
    skipped.push({
      queue,
      offset,
      reason: `${foreign}: name one (to: { topic }), or add it to topics`,
    });
    return;
  }
  const outgoing = redrivenMessage(letter, message, consumerGroup, to);
  if (outgoing === undefined) {
    skipped.push({
      queue,
      offset,
      reason: 'nothing tells the topic that it came from: name one (to: { topic })',
    });
    return;
  }
  if (options.dryRun !== true) {
    try {
      await sendDeadLetter(client, outgoing, consumerGroup, queue);
    } catch (error) {
      notSent(run, letter, error);
      return;
    }
  }
  run.redriven++;
  options.onProgress?.({
    queue,
    offset,
    topic: outgoing.topic,
    msgId: message.msgId,
    redriven: run.redriven,
  });
}

/** @throws RedriveStoppedError unless such letters are skipped */
function notSent(
  { consumerGroup, options, skipped }: Run,
  { queue, offset }: DeadLetter,
  error: unknown,
): void {
  const cause = error instanceof Error ? error : new Error(String(error));
  if (options.onFailure !== 'skip')
    throw new RedriveStoppedError(consumerGroup, queueKey(queue), offset, cause);
  skipped.push({ queue, offset, reason: cause.message });
}

/**
 * @param orderKey chooses the queue in place of the sharding key
 * @throws what the client throws; RocketMQError ROCKETMQ_NOT_SAFELY_STORED
 */
export async function sendDeadLetter(
  client: RocketMQ,
  message: OutgoingMessage,
  consumerGroup: string,
  { brokerName }: MessageQueue,
  orderKey?: string,
): Promise<void> {
  const options = { forwarded: true, orderKey };
  const sent = await trySend(client, message, consumerGroup, brokerName, options);
  if (sent.status !== 'SEND_OK' && sent.status !== 'SLAVE_NOT_AVAILABLE')
    throw new RocketMQError(
      'ROCKETMQ_NOT_SAFELY_STORED',
      `${queueKey(sent.queue)} took the message but answered ${sent.status}: it may be lost if that broker fails now; look at its disks and slaves, and redrive again`,
    );
}

/** A group whose messages went to the dead-letter queue at once has no retry topic yet. */
async function trySend(
  client: RocketMQ,
  message: OutgoingMessage,
  consumerGroup: string,
  brokerName: string,
  options: OutgoingOptions,
): Promise<SendResult> {
  try {
    return await client.send(message, options);
  } catch (error) {
    if (!(error instanceof TopicNotFoundError) || message.topic !== retryTopic(consumerGroup))
      throw error;
    await client.createTopic(message.topic, {
      readQueueNums: 1,
      writeQueueNums: 1,
      brokerNames: [brokerName],
    });
    return client.send(message, options);
  }
}

/** Everything before the offset is done. */
export async function noteRedriven(
  client: RocketMQ,
  queue: MessageQueue,
  offset: bigint,
  call: CallOptions = {},
): Promise<void> {
  try {
    await client.commitOffset(REDRIVE_GROUP, queue, offset, call);
  } catch (error) {
    if (!(error instanceof GroupNotFoundError)) throw error;
    await client.createGroup(REDRIVE_GROUP, { brokerNames: [queue.brokerName] }, call);
    await client.commitOffset(REDRIVE_GROUP, queue, offset, call);
  }
}
