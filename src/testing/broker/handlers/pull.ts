import { PERM_READ } from '../../../model/route.ts';
import { buildSubscription } from '../../../records/subscription.ts';
import { ResponseCode } from '../../../remoting/response-code.ts';
import type { PullMessageRequest } from '../../../requests/pull-message.ts';
import { PullFlag, pullMessage } from '../../../requests/pull-message.ts';
import type { Answer } from '../answer.ts';
import { refuse, refuseWithFaq } from '../answer.ts';
import type { BrokerState } from '../broker-state.ts';
import type { SubscriptionGroup } from '../group-table.ts';
import type { GetResult } from '../message-store.ts';
import type { TopicConfig } from '../topic-table.ts';

const PARSE_FAILED = "parse the consumer's subscription failed";

/** Who asks, for the remarks. */
export interface PullContext {
  readonly remoteAddress: string;
  /** Called once: now, or when a held pull wakes up. */
  readonly answer: (answer: Answer) => void;
}

interface Allowed {
  readonly group: SubscriptionGroup;
  readonly topic: TopicConfig;
  readonly matches: (tagsCode: number) => boolean;
}

/**
 * PULL_MESSAGE and LITE_PULL_MESSAGE. Mirrors PullMessageProcessor and DefaultPullMessageResultHandler.
 */
export function pull(
  broker: BrokerState,
  request: PullMessageRequest,
  context: PullContext,
  maySuspend = true,
): void {
  const allowed = admit(broker, request, context.remoteAddress);
  if ('code' in allowed) {
    context.answer(allowed);
    return;
  }

  const { consumerGroup, topic, queueId } = request;
  const result = read(broker, request, allowed);
  const code = responseCode(result.status, request.queueOffset);
  broker.offsets.notePull(consumerGroup, topic, queueId, result.nextBeginOffset);
  // The real broker stores the offset that the client sends even when it has just told it of a reset.
  if (maySuspend && (request.sysFlag & PullFlag.COMMIT_OFFSET) !== 0)
    broker.offsets.commit(consumerGroup, topic, queueId, request.commitOffset);

  if (
    code === ResponseCode.PULL_NOT_FOUND &&
    maySuspend &&
    (request.sysFlag & PullFlag.SUSPEND) !== 0
  ) {
    broker.held.hold(topic, queueId, {
      offset: Number(request.queueOffset),
      expiresAt: broker.now() + request.suspendTimeoutMillis,
      matches: allowed.matches,
      resume: () => pull(broker, request, context, false),
    });
    return;
  }
  context.answer(pulled(code, result, allowed));
}

/** What is wrong with the request, or what it may read and by which filter. */
function admit(
  broker: BrokerState,
  request: PullMessageRequest,
  remoteAddress: string,
): Answer | Allowed {
  const group = broker.groups.findOrCreate(request.consumerGroup);
  if (group === undefined)
    return refuseWithFaq(
      ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST,
      `subscription group [${request.consumerGroup}] does not exist, `,
    );
  if (!group.consumeEnable)
    return refuse(
      ResponseCode.NO_PERMISSION,
      `subscription group no permission, ${request.consumerGroup}`,
    );
  const topic = broker.topics.get(request.topic);
  if (topic === undefined)
    return refuseWithFaq(
      ResponseCode.TOPIC_NOT_EXIST,
      `topic[${request.topic}] not exist, apply first please! `,
    );
  if ((topic.perm & PERM_READ) === 0)
    return refuse(
      ResponseCode.NO_PERMISSION,
      `the topic[${request.topic}] pulling message is forbidden`,
    );
  if (request.queueId < 0 || request.queueId >= topic.readQueueNums)
    return refuse(
      ResponseCode.INVALID_PARAMETER,
      `queueId[${request.queueId}] is illegal, topic:[${request.topic}] topicConfig.readQueueNums:[${topic.readQueueNums}] consumer:[/${remoteAddress}]`,
    );
  const matches =
    (request.sysFlag & PullFlag.SUBSCRIPTION) !== 0
      ? inlineFilter(request)
      : memberFilter(broker, request, group);
  return typeof matches === 'function' ? { group, topic, matches } : matches;
}

function inlineFilter(request: PullMessageRequest): Answer | Allowed['matches'] {
  const { subscription, expressionType = 'TAG' } = request;
  if (!isTag(expressionType))
    return subscription
      ? noPropertyFilter(expressionType)
      : refuse(ResponseCode.SUBSCRIPTION_PARSE_FAILED, PARSE_FAILED);
  try {
    return tagFilter(
      subscription ?? '*',
      buildSubscription(request.topic, subscription ?? '*').codeSet,
    );
  } catch {
    return refuse(ResponseCode.SUBSCRIPTION_PARSE_FAILED, PARSE_FAILED);
  }
}
/** Without the SUBSCRIPTION flag a live member's subscription counts, whoever pulls. */
function memberFilter(
  broker: BrokerState,
  request: PullMessageRequest,
  group: SubscriptionGroup,
): Answer | Allowed['matches'] {
  const members = broker.members.get(request.consumerGroup);
  if (members === undefined)
    return refuseWithFaq(
      ResponseCode.SUBSCRIPTION_NOT_EXIST,
      "the consumer's group info not exist",
    );
  if (!group.consumeBroadcastEnable && members.messageModel === 'BROADCASTING')
    return refuse(
      ResponseCode.NO_PERMISSION,
      `the consumer group[${request.consumerGroup}] can not consume by broadcast way`,
    );
  const subscription = members.subscriptions.get(request.topic);
  if (subscription === undefined)
    return refuseWithFaq(
      ResponseCode.SUBSCRIPTION_NOT_EXIST,
      "the consumer's subscription not exist",
    );
  if (subscription.subVersion < request.subVersion)
    return refuse(ResponseCode.SUBSCRIPTION_NOT_LATEST, "the consumer's subscription not latest");
  if (!isTag(subscription.expressionType))
    return refuse(
      ResponseCode.FILTER_DATA_NOT_EXIST,
      "The broker's consumer filter data is not exist!Your expression may be wrong!",
    );
  return tagFilter(subscription.subString, subscription.codeSet);
}

/** Empty means TAG, as ExpressionType.isTagType says. */
export function isTag(expressionType: string): boolean {
  return expressionType === '' || expressionType === 'TAG';
}

/** A stock broker (enablePropertyFilter=false) refuses every other expression type. */
export function noPropertyFilter(expressionType: string): Answer {
  return refuse(
    ResponseCode.SYSTEM_ERROR,
    `The broker does not support consumer to filter message by ${expressionType}`,
  );
}

/** Hashes only, so collisions get through: the client checks the text. */
function tagFilter(expression: string, codeSet: readonly number[]): Allowed['matches'] {
  if (expression === '*' || expression === '') return () => true;
  const codes = new Set(codeSet);
  return (tagsCode) => codes.has(tagsCode);
}

type ReadResult = Omit<GetResult, 'status'> & {
  readonly status: GetResult['status'] | 'OFFSET_RESET';
};

function read(broker: BrokerState, request: PullMessageRequest, { matches }: Allowed): ReadResult {
  const { consumerGroup, topic, queueId, queueOffset, maxMsgNums } = request;
  const reset = broker.offsets.takeReset(consumerGroup, topic, queueId);
  if (reset === undefined)
    return broker.store.get(topic, queueId, queueOffset, maxMsgNums, matches);
  return {
    status: 'OFFSET_RESET',
    nextBeginOffset: reset,
    minOffset: BigInt(broker.store.minOffset(topic, queueId)),
    maxOffset: BigInt(broker.store.maxOffset(topic, queueId)),
    messages: [],
  };
}

function responseCode(status: ReadResult['status'], queueOffset: bigint): number {
  switch (status) {
    case 'FOUND':
      return ResponseCode.SUCCESS;
    case 'NO_MATCHED_MESSAGE':
      return ResponseCode.PULL_RETRY_IMMEDIATELY;
    case 'NO_MESSAGE_IN_QUEUE':
      return queueOffset === 0n ? ResponseCode.PULL_NOT_FOUND : ResponseCode.PULL_OFFSET_MOVED;
    case 'OFFSET_OVERFLOW_ONE':
      return ResponseCode.PULL_NOT_FOUND;
    case 'OFFSET_OVERFLOW_BADLY':
    case 'OFFSET_TOO_SMALL':
    case 'OFFSET_RESET':
      return ResponseCode.PULL_OFFSET_MOVED;
  }
}

function pulled(code: number, result: ReadResult, { group, topic }: Allowed): Answer {
  const { nextBeginOffset, minOffset, maxOffset, messages, status } = result;
  const records = Buffer.concat(messages.map((message) => message.record));
  const { extFields, ...wire } = pullMessage.encodeAnswer({
    suggestWhichBrokerId: 0,
    nextBeginOffset,
    minOffset,
    maxOffset,
    records,
  });
  const flags = {
    topicSysFlag: String(topic.topicSysFlag),
    groupSysFlag: String(group.groupSysFlag),
  };
  return { code, remark: status, ...wire, extFields: { ...extFields, ...flags } };
}
