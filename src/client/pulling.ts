import { RETRY_TOPIC_PREFIX } from '../model/message-queue.ts';
import type { PullRequest, PullResult } from '../ports/rocketmq.ts';
import { decodeRecords } from '../records/decode-records.ts';
import { Property } from '../records/properties.ts';
import { matchesTags } from '../records/subscription.ts';
import type { RemotingCommand } from '../remoting/command.ts';
import type { Limits } from '../remoting/limits.ts';
import { ResponseCode } from '../remoting/response-code.ts';
import { PullFlag, type PullMessageRequest, pullMessage } from '../requests/pull-message.ts';

/** Brokers end a long poll at their next 5 s tick; the rest is for a busy machine. */
const PULL_SLACK_MS = 10_000;
const TAG_SUB_VERSION = 0;
/** GetMessageStatus.OFFSET_RESET. */
const RESET_REMARK = 'OFFSET_RESET';

/** Codes that bring offsets: everything else is an error. */
export const PULL_CODES: readonly number[] = [
  ResponseCode.SUCCESS,
  ResponseCode.PULL_NOT_FOUND,
  ResponseCode.PULL_RETRY_IMMEDIATELY,
  ResponseCode.PULL_OFFSET_MOVED,
];

export function pullTimeout(request: PullRequest): number {
  return request.suspendMs + PULL_SLACK_MS;
}

/** The subscription travels with every pull, so that no heartbeat is needed; the bit that commits is never set. */
export function wirePull({
  consumerGroup,
  queue,
  offset,
  maxMessages,
  suspendMs,
  subscription,
}: PullRequest): PullMessageRequest {
  return {
    consumerGroup,
    topic: queue.topic,
    queueId: queue.queueId,
    queueOffset: offset,
    maxMsgNums: maxMessages,
    sysFlag: PullFlag.SUBSCRIPTION | (suspendMs > 0 ? PullFlag.SUSPEND : 0),
    commitOffset: 0n,
    suspendTimeoutMillis: suspendMs,
    subscription: subscription.subString,
    subVersion: subscription.expressionType === 'TAG' ? TAG_SUB_VERSION : subscription.subVersion,
    expressionType: subscription.expressionType,
  };
}

/** Mirrors MQClientAPIImpl.processPullResponse and PullAPIWrapper.processPullResult. @throws ProtocolError */
export function readPullAnswer(
  answer: RemotingCommand,
  { queue, subscription, keepCompressed = false, maxAnswerBytes }: PullRequest,
  limits: Limits,
): PullResult {
  const { maxDecompressedBytes } = limits;
  const maxBytes = keepCompressed
    ? Math.min(maxDecompressedBytes, maxAnswerBytes ?? maxDecompressedBytes)
    : maxDecompressedBytes;
  const { records, offsetDelta, ...offsets } = pullMessage.decodeAnswer(answer);
  switch (answer.code) {
    case ResponseCode.SUCCESS: {
      const decoded = decodeRecords(records, {
        brokerName: queue.brokerName,
        maxDecompressedBytes: maxBytes,
        maxAnswerBytes: maxBytes,
        keepCompressed,
        nextBeginOffset: offsets.nextBeginOffset,
        ...(offsetDelta === undefined ? {} : { offsetDelta }),
      });
      // The retry topic is subscribed as a whole: a filter that changed must not swallow old redeliveries.
      const filtered =
        subscription.tagsSet.length > 0 && !queue.topic.startsWith(RETRY_TOPIC_PREFIX);
      const messages = filtered
        ? decoded.messages.filter((message) =>
            matchesTags(subscription, message.properties.get(Property.TAGS)),
          )
        : decoded.messages;
      return {
        ...offsets,
        nextBeginOffset: decoded.cutAt ?? offsets.nextBeginOffset,
        status: 'FOUND',
        messages,
        undecodable: decoded.undecodable,
        size: records.length,
        overlapping: decoded.overlapping ?? [],
      };
    }
    case ResponseCode.PULL_NOT_FOUND:
      return { ...offsets, status: 'NO_NEW_MSG' };
    case ResponseCode.PULL_RETRY_IMMEDIATELY:
      return { ...offsets, status: 'NO_MATCHED_MSG' };
    default:
      return { ...offsets, status: 'OFFSET_MOVED', reset: answer.remark === RESET_REMARK };
  }
}
