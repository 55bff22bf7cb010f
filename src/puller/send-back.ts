import type { QueueMemory } from '../decide/pull/memory-budget.ts';
import { backoff } from '../decide/retry/backoff.ts';
import {
  exactLevel,
  LONGEST_DELAY_SECONDS,
  type Redelivery,
  UNLIMITED_RECONSUME_TIMES,
  wireLevel,
} from '../decide/retry/redelivery.ts';
import {
  afterFailedSend,
  MAX_UNANSWERED,
  overallFailure,
  type SendFailure,
} from '../decide/retry/send-steps.ts';
import type { DelayLevel } from '../model/delay-level.ts';
import type { Message, UndecodableRecord } from '../model/message.ts';
import type { MessageQueue } from '../model/message-queue.ts';
import type { SourceConfig } from '../model/source.ts';
import type { Logger } from '../ports/logger.ts';
import type { LifecycleKeeper } from '../queue/lifecycle-keeper.ts';
import { openMessage } from '../records/open-message.ts';
import { whyAsMessage } from '../records/own-retry.ts';
import { userTopic } from '../records/subscription.ts';
import type { HeldLease } from './held-lease.ts';
import type { PullerDeps } from './puller-deps.ts';
import type { QueueSubscriptions } from './queue-subscriptions.ts';
import { sendFailureOf } from './send-failure.ts';

const BUSY_BACKOFF = { firstMs: 200, longestMs: 2_000 };
/** The timer wheel turns by the second and rounds down: a message must not come sooner than it was asked for. */
const TIMER_PRECISION_MS = 1_000;

/** What sends of failed messages need. */
export interface SendParts extends Pick<PullerDeps, 'client' | 'clock' | 'random'> {
  readonly logger: Logger;
  readonly source: SourceConfig;
  readonly queue: MessageQueue;
  readonly subscriptions: Pick<QueueSubscriptions, 'ofTopic'>;
  readonly memory: Pick<QueueMemory, 'maxMessageBytes'>;
  readonly lease: Pick<HeldLease, 'mayAct'>;
  readonly lifecycle: Pick<LifecycleKeeper, 'isLost' | 'signal'>;
}

/** How giving a message to the broker ended. */
export type SendOutcome =
  | { readonly kind: 'taken' }
  /** The lease is lost: the next holder delivers the message. */
  | { readonly kind: 'lease-lost' }
  | {
      readonly kind: 'not-taken';
      readonly failure: SendFailure;
      /** Sends without an answer: as many copies may be stored. */
      readonly unanswered: number;
    };

/** One way to give a message to the broker. */
export interface SendWay {
  readonly name: string;
  /** False: the broker does not have this way, and nothing was sent. */
  readonly send: () => Promise<boolean>;
  /** Log line of a failure, where it is not the general one. */
  readonly warning?: { readonly code: string; readonly text: string; readonly fields: object };
}

const GENERAL_WARNING = {
  code: 'ROCKETMQ_SEND_NOT_CONFIRMED',
  text: 'failed message not taken by the broker',
  fields: {},
};

/**
 * Tries the ways one after the other until one takes the message. A send whose answer is missing may have been carried out: at most one more follows.
 * Mirrors DefaultMQPushConsumerImpl.sendMessageBack.
 * @param maxUnanswered sends without an answer after which nothing more is sent
 */
export async function sendInTurn(
  { clock, random, lifecycle, lease, logger }: SendParts,
  { queueOffset }: Pick<Message, 'queueOffset'>,
  ways: readonly SendWay[],
  maxUnanswered: number,
): Promise<SendOutcome> {
  const failures: SendFailure[] = [];
  let unanswered = 0;
  for (const { name, send, warning: { code, text, fields } = GENERAL_WARNING } of ways)
    for (let attempt = 1; ; attempt++) {
      if (!lease.mayAct()) return { kind: 'lease-lost' };
      try {
        if (await send()) return { kind: 'taken' };
        break;
      } catch (error) {
        if (lifecycle.isLost) return { kind: 'lease-lost' };
        const failure = sendFailureOf(error);
        logger.warn(
          { err: error, code, offset: String(queueOffset), way: name, attempt, failure, ...fields },
          text,
        );
        failures.push(failure);
        if (failure === 'unanswered') unanswered++;
        const step = afterFailedSend(failure, { attempt, unanswered, maxUnanswered });
        if (step === 'stop') return { kind: 'not-taken', failure: 'unanswered', unanswered };
        if (step === 'next-way') break;
        await clock.sleep(backoff(attempt, random(), BUSY_BACKOFF));
      }
    }
  return { kind: 'not-taken', failure: overallFailure(failures), unanswered };
}

/** A failed message on its way back to the broker. */
export interface FailedMessage {
  readonly message: Message;
  /** Failed deliveries that the broker has not counted. */
  readonly localRetries: number;
  /** Sends of earlier failures had no answer: copies may be stored already, so only one more send is made. */
  readonly inDoubt: boolean;
  readonly maxReconsumeTimes: number;
}

/**
 * Gives a failed message to the broker, to come again as asked. Request 36 knows levels only: seconds that no level has go by the timer wheel, or,
 * where the broker has none, by the next longer level. Deliveries that were counted here travel with a send only: request 36 is not used then. Where
 * properties must not be kept, the send comes first or alone (see whyAsMessage).
 */
export async function redeliver(
  parts: SendParts,
  failed: FailedMessage,
  redelivery: Exclude<Redelivery, { kind: 'drop' | 'dlq' }>,
): Promise<SendOutcome> {
  const timed = timerWay(parts, failed, redelivery);
  const ways = waysBack(parts, failed, wireLevel(redelivery));
  return sendInTurn(
    parts,
    failed.message,
    [...timed, ...ways],
    failed.inDoubt ? 1 : MAX_UNANSWERED,
  );
}

/** A failure that its puller's death tells: the broker decides when the message, or its record, comes again. */
export async function sendBack(
  parts: SendParts,
  record: Message | UndecodableRecord,
  delayLevel: DelayLevel,
  maxReconsumeTimes: number,
  localRetries: number,
  maxUnanswered: number,
): Promise<SendOutcome> {
  const ways =
    'topic' in record
      ? waysBack(parts, { message: record, localRetries, maxReconsumeTimes }, delayLevel)
      : // A record that cannot be decoded cannot be sent as a message.
        [requestWay(parts, record, delayLevel, maxReconsumeTimes)];
  return sendInTurn(parts, record, ways, maxUnanswered);
}

/**
 * The ways of a failed message to its next delivery: request 36, and a send to the retry topic.
 * `misleading` properties would bring it back under another topic, or dead-letter it by another
 * group's count. Deliveries that were counted here would be lost for its limit.
 */
function waysBack(
  parts: SendParts,
  { message, localRetries, maxReconsumeTimes }: Omit<FailedMessage, 'inDoubt'>,
  level: DelayLevel,
): SendWay[] {
  const back = requestWay(parts, message, level, maxReconsumeTimes);
  const send = messageWay(parts, message, level, maxReconsumeTimes, localRetries);
  const why = messageFirst(parts, message);
  // Java consumers of the group may hold queue locks: retries that are sent as messages would go to the DLQ.
  const counted = localRetries > 0 && parts.source.coexist !== true;
  if (why === 'misleading' || (counted && maxReconsumeTimes !== UNLIMITED_RECONSUME_TIMES))
    return [send];
  return counted || why !== undefined ? [send, back] : [back, send];
}

/** Must the message go back as a message, because of properties that request 36 would keep? Why, or undefined. */
export function messageFirst(
  { source, subscriptions }: Pick<SendParts, 'source' | 'subscriptions'>,
  message: Message,
): ReturnType<typeof whyAsMessage> {
  const subscription = subscriptions.ofTopic(userTopic(message, source.consumerGroup));
  const why = whyAsMessage(message, source, subscription?.maximumRecordAgeInSeconds !== undefined);
  // Java consumers of the group may hold queue locks: brokers would dead-letter the message at once.
  return why === 'inexact' && source.coexist === true ? undefined : why;
}

/** Request 36: the broker copies the message that it stores. */
export function requestWay(
  { client, queue, source, lifecycle }: SendParts,
  message: Message | UndecodableRecord,
  delayLevel: DelayLevel,
  maxReconsumeTimes: number,
): SendWay {
  const request = {
    consumerGroup: source.consumerGroup,
    brokerName: queue.brokerName,
    commitLogOffset: message.commitLogOffset,
    delayLevel,
    maxReconsumeTimes,
    originMsgId: message.offsetMsgId,
    originTopic: 'topic' in message ? message.topic : queue.topic,
  };
  return {
    name: 'send-back',
    send: () => client.sendBack(request, { signal: lifecycle.signal('requests') }).then(isTaken),
  };
}

/** The frame limit: a larger body cannot be sent. */
const MAX_SENT_BYTES = 16 * 1024 * 1024;

/** Java's fallback: an ordinary send to the retry topic. */
export function messageWay(
  { client, source, lifecycle, memory }: SendParts,
  message: Message,
  delayLevel: DelayLevel,
  maxReconsumeTimes: number,
  localRetries: number,
): SendWay {
  // What no handler got may still be compressed, and goes decompressed.
  const maxBytes = Math.min(memory.maxMessageBytes, MAX_SENT_BYTES);
  const opened = (): Message => openMessage(message, maxBytes);
  return {
    name: 'message',
    send: async () =>
      client
        .sendBackAsNormalMessage(source.consumerGroup, opened(), delayLevel, maxReconsumeTimes, {
          signal: lifecycle.signal('requests'),
          localRetries,
        })
        .then(isTaken),
  };
}

/** The broker's timer wheel, for seconds that no level has. */
function timerWay(
  { client, source, lifecycle }: SendParts,
  { message, localRetries, maxReconsumeTimes }: FailedMessage,
  redelivery: Redelivery,
): SendWay[] {
  const { consumerGroup, coexist = false } = source;
  if (coexist || redelivery.kind !== 'seconds' || exactLevel(redelivery.seconds) !== undefined)
    return [];
  const { seconds } = redelivery;
  // Beyond the longest delay the wheel refuses the message, and a level would bring it after two hours.
  const delayMs =
    seconds === 0 ? 0 : Math.min(seconds * 1000 + TIMER_PRECISION_MS, LONGEST_DELAY_SECONDS * 1000);
  return [
    {
      name: 'timer',
      send: () =>
        client.sendBackTimed(consumerGroup, message, delayMs, maxReconsumeTimes, {
          signal: lifecycle.signal('requests'),
          localRetries,
        }),
      warning: {
        code: 'ROCKETMQ_TIMER_REFUSED',
        text: 'message not taken by the timer wheel of the broker, trying the next longer delay level',
        fields: { delaySeconds: seconds },
      },
    },
  ];
}

/** The broker confirmed that it stores the message. */
function isTaken(): boolean {
  return true;
}
