import { ProtocolError } from '../errors.ts';
import type { PopHandle, PoppedMessage } from '../model/pop.ts';
import type { PopRequest, PopResult } from '../ports/rocketmq.ts';
import { decodeRecords } from '../records/decode-records.ts';
import {
  formatPopHandle,
  parsePopHandle,
  parseStartOffsets,
  poppedTopic,
  startOffsetKey,
} from '../records/pop-handle.ts';
import { Property } from '../records/properties.ts';
import { matchesTags } from '../records/subscription.ts';
import type { RemotingCommand } from '../remoting/command.ts';
import type { Limits } from '../remoting/limits.ts';
import { ResponseCode } from '../remoting/response-code.ts';
import type { AckMessageRequest } from '../requests/ack-message.ts';
import { PopInitMode, type PopMessageRequest, popMessage } from '../requests/pop-message.ts';

/** Codes that are an answer: found, nothing in the time asked for, or too many hold a poll already. */
export const POP_CODES: readonly number[] = [
  ResponseCode.SUCCESS,
  ResponseCode.PULL_NOT_FOUND,
  ResponseCode.POLLING_FULL,
  ResponseCode.POLLING_TIMEOUT,
];

const ANY_QUEUE = -1;
/** See PopMessageRequest.bornTime. */
export const BROKERS_CLOCK = 0;

export function wirePop({
  consumerGroup,
  topic,
  maxMessages,
  invisibleMs,
  pollMs,
  subscription,
  start,
}: PopRequest): PopMessageRequest {
  return {
    consumerGroup,
    topic,
    queueId: ANY_QUEUE,
    maxMsgNums: maxMessages,
    invisibleTime: invisibleMs,
    pollTime: pollMs,
    bornTime: BROKERS_CLOCK,
    initMode: start === 'min' ? PopInitMode.MIN : PopInitMode.MAX,
    expType: subscription.expressionType,
    exp: subscription.subString,
    order: false,
  };
}

export function wirePopped(
  consumerGroup: string,
  topic: string,
  handle: PopHandle,
): AckMessageRequest {
  const { queueId, queueOffset } = handle;
  return {
    consumerGroup,
    topic: poppedTopic(topic, consumerGroup, handle),
    queueId,
    extraInfo: formatPopHandle(handle),
    offset: queueOffset,
  };
}

/** Mirrors MQClientAPIImpl.processPopResponse and DefaultMQPushConsumerImpl.processPopResult. @throws ProtocolError */
export function readPopAnswer(
  answer: RemotingCommand,
  request: PopRequest,
  limits: Limits,
): PopResult {
  if (answer.code !== ResponseCode.SUCCESS)
    return {
      messages: [],
      filteredOut: [],
      undecodable: [],
      full: answer.code === ResponseCode.POLLING_FULL,
    };
  const popped = popMessage.decodeAnswer(answer);
  const { brokerName, keepCompressed = false } = request;
  const { messages, undecodable } = decodeRecords(popped.records, {
    brokerName,
    maxDecompressedBytes: limits.maxDecompressedBytes,
    keepCompressed,
  });
  const starts = parseStartOffsets(popped.startOffsetInfo ?? '');
  const handleOf = (queueId: number, queueOffset: bigint, own: string | undefined): PopHandle => {
    // What comes from the retry topic is rewritten by the broker, and brings its handle along.
    if (own !== undefined) return parsePopHandle(own);
    const ckQueueOffset = starts.get(startOffsetKey(0, queueId));
    if (ckQueueOffset === undefined)
      throw new ProtocolError(
        `the pop answer of ${brokerName} names no start offset of queue ${queueId}`,
      );
    const { popTime, invisibleTime, reviveQid } = popped;
    return {
      ckQueueOffset,
      popTime,
      invisibleTime,
      reviveQid,
      retryMark: 0,
      brokerName,
      queueId,
      queueOffset,
    };
  };
  const all = messages.map(
    (message): PoppedMessage => ({
      message,
      handle: handleOf(
        message.queueId,
        message.queueOffset,
        message.properties.get(Property.POP_CK),
      ),
    }),
  );
  const wanted = ({ message }: PoppedMessage): boolean =>
    matchesTags(request.subscription, message.properties.get(Property.TAGS));
  return {
    messages: all.filter(wanted),
    filteredOut: all.filter((one) => !wanted(one)).map(({ handle }) => handle),
    // A redelivery carries its handle in its properties; the broker has just written those itself, so one that cannot be read is not to be expected.
    undecodable: undecodable.flatMap((record) =>
      starts.has(startOffsetKey(0, record.queueId))
        ? [{ undecodable: record, handle: handleOf(record.queueId, record.queueOffset, undefined) }]
        : [],
    ),
    full: false,
  };
}
