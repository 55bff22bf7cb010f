import type { HostAndPort } from '../../../model/message.ts';
import { dlqTopic, RETRY_TOPIC_PREFIX } from '../../../model/message-queue.ts';
import { decodeBatchItems } from '../../../records/batch-items.ts';
import { formatProperties, parseProperties } from '../../../records/properties.ts';
import { ResponseCode } from '../../../remoting/response-code.ts';
import type { SendMessageRequest } from '../../../requests/send-message.ts';
import { sendMessage } from '../../../requests/send-message.ts';
import type { Answer } from '../answer.ts';
import { ok, refuse, refuseWithFaq } from '../answer.ts';
import type { BrokerState } from '../broker-state.ts';
import type { MessageToStore } from '../message-store.ts';
import { isSendForbidden, topicComplaint } from '../names.ts';
import type { TopicConfig } from '../topic-table.ts';
import { HONOURS_MAX_RECONSUME_TIMES } from './send-back.ts';

const MAX_MESSAGE_SIZE = 4 * 1024 * 1024;
const MAX_PROPERTIES_SIZE = 32_767;
/** On every answer to a send, also on refusals. */
const TRACE = { MSG_REGION: 'DefaultRegion', TRACE_ON: 'true' };

/** Where a send comes from. */
export interface Sender {
  readonly host: HostAndPort;
  /** Version number of the client's header. */
  readonly version: number;
}

/** SEND_MESSAGE, SEND_MESSAGE_V2 and SEND_BATCH_MESSAGE. Mirrors SendMessageProcessor. */
export function send(broker: BrokerState, request: SendMessageRequest, sender: Sender): Answer {
  // The real broker says NullPointerException: an empty body looks like none.
  if (request.body.length === 0)
    return refuse(
      ResponseCode.SYSTEM_ERROR,
      'java.lang.NullPointerException: the message body is empty',
    );
  const target = chooseTarget(broker, request);
  const answer =
    'code' in target
      ? target
      : request.batch
        ? storeBatch(broker, request, sender, target)
        : storeOne(broker, request, sender, target);
  return { ...answer, extFields: { ...answer.extFields, ...TRACE } };
}

interface Target {
  readonly topic: string;
  readonly queueId: number;
}

/** Checks the topic, creates it when it may, and picks a queue for −1. Mirrors msgCheck. */
function chooseTarget(broker: BrokerState, request: SendMessageRequest): Answer | Target {
  const complaint = topicComplaint(request.topic);
  if (complaint !== undefined) return refuse(ResponseCode.INVALID_PARAMETER, complaint);
  if (isSendForbidden(request.topic))
    return refuse(
      ResponseCode.NO_PERMISSION,
      `Sending message to topic[${request.topic}] is forbidden.`,
    );
  const config = broker.topics.get(request.topic) ?? createTopic(broker, request);
  if (config === undefined)
    return refuseWithFaq(
      ResponseCode.TOPIC_NOT_EXIST,
      `topic[${request.topic}] not exist, apply first please!`,
    );
  if (request.queueId >= Math.max(config.writeQueueNums, config.readQueueNums))
    return refuse(
      ResponseCode.INVALID_PARAMETER,
      `request queueId[${request.queueId}] is illegal, topic ${config.topicName}`,
    );
  const queueId =
    request.queueId >= 0 ? request.queueId : Math.floor(Math.random() * config.writeQueueNums);
  return { topic: request.topic, queueId };
}

function createTopic(
  broker: BrokerState,
  { topic, defaultTopic, defaultTopicQueueNums }: SendMessageRequest,
): TopicConfig | undefined {
  const created = broker.topics.createBySend(topic, defaultTopic, defaultTopicQueueNums, 0);
  return (
    created ??
    (topic.startsWith(RETRY_TOPIC_PREFIX) ? broker.topics.createForGroup(topic, 1) : undefined)
  );
}

function storeOne(
  broker: BrokerState,
  request: SendMessageRequest,
  sender: Sender,
  target: Target,
): Answer {
  const properties = parseProperties(request.properties);
  properties
    .set('MSG_REGION', TRACE.MSG_REGION)
    .set('TRACE_ON', TRACE.TRACE_ON)
    .set('CLUSTER', broker.cluster);
  if (!properties.get('UNIQ_KEY')) properties.set('UNIQ_KEY', broker.createUniqKey());

  const retry = request.topic.startsWith(RETRY_TOPIC_PREFIX)
    ? retryVerdict(broker, request, sender.version)
    : 'retry';
  if (typeof retry === 'object') return retry;
  const message: MessageToStore = {
    ...target,
    ...(retry === 'dlq' && { topic: dlqTopic(groupOf(request)), queueId: 0 }),
    body: request.body,
    flag: request.flag,
    sysFlag: request.sysFlag,
    bornTimestamp: request.bornTimestamp,
    bornHost: sender.host,
    reconsumeTimes: request.reconsumeTimes,
    properties: retry === 'dlq' ? properties.set('DELAY', '-1') : properties,
  };
  const illegal = sizeComplaint(message) ?? timerComplaint(properties);
  if (illegal) return illegal;
  const stored = broker.store.put(message);
  return ok(
    sendMessage.encodeAnswer({
      msgId: stored.offsetMsgId,
      queueId: target.queueId,
      queueOffset: BigInt(stored.queueOffset),
      transactionId: properties.get('UNIQ_KEY'),
    }),
  );
}

const groupOf = (request: SendMessageRequest) => request.topic.slice(RETRY_TOPIC_PREFIX.length);

/**
 * An ordinary send to a retry topic: over the limit, or while the group holds any queue lock here (orderly consumers), it goes to the DLQ.
 * Mirrors handleRetryAndDLQ.
 */
function retryVerdict(
  broker: BrokerState,
  request: SendMessageRequest,
  version: number,
): Answer | 'retry' | 'dlq' {
  const name = groupOf(request);
  const group = broker.groups.findOrCreate(name);
  if (group === undefined)
    return refuseWithFaq(
      ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST,
      `subscription group not exist, ${name} `,
    );
  const limit =
    (version >= HONOURS_MAX_RECONSUME_TIMES ? request.maxReconsumeTimes : undefined) ??
    group.retryMaxTimes;
  if (request.reconsumeTimes <= limit && !broker.locks.anyAlive(name, broker.now())) return 'retry';
  broker.topics.createForGroup(dlqTopic(name), 1);
  return 'dlq';
}

const TIMERS = ['TIMER_DELAY_SEC', 'TIMER_DELAY_MS', 'TIMER_DELIVER_MS'];

/** There is no timer wheel here: it refuses as a broker with timerWheelEnable=false does, instead of delivering at once. */
function timerComplaint(properties: ReadonlyMap<string, string>): Answer | undefined {
  if (
    Number(properties.get('DELAY') ?? 0) !== 0 ||
    properties.has('TIMER_OUT_MS') ||
    !TIMERS.some((name) => properties.has(name))
  )
    return undefined;
  return refuse(
    ResponseCode.SYSTEM_ERROR,
    'accurate timer message is not enabled, timerWheelEnable is false',
  );
}

function sizeComplaint(message: MessageToStore): Answer | undefined {
  const propertiesSize = Buffer.byteLength(formatProperties(message.properties));
  if (message.body.length <= MAX_MESSAGE_SIZE && propertiesSize <= MAX_PROPERTIES_SIZE)
    return undefined;
  return refuse(
    ResponseCode.MESSAGE_ILLEGAL,
    `the message is illegal, maybe msg body or properties length not matched. msg body length limit ${MAX_MESSAGE_SIZE}B, msg properties length limit 32KB.`,
  );
}

/** The broker takes a batch apart: consumers see ordinary messages. */
function storeBatch(
  broker: BrokerState,
  request: SendMessageRequest,
  sender: Sender,
  target: Target,
): Answer {
  if (request.topic.startsWith(RETRY_TOPIC_PREFIX))
    return refuse(
      ResponseCode.MESSAGE_ILLEGAL,
      `batch request does not support retry group ${request.topic}`,
    );
  const stored = decodeBatchItems(request.body).map((item) =>
    broker.store.put({
      ...target,
      body: item.body,
      flag: item.flag,
      sysFlag: request.sysFlag,
      bornTimestamp: request.bornTimestamp,
      bornHost: sender.host,
      reconsumeTimes: request.reconsumeTimes,
      properties: parseProperties(item.propertyBytes.toString()),
    }),
  );
  return ok(
    sendMessage.encodeAnswer({
      msgId: stored.map((message) => message.offsetMsgId).join(','),
      queueId: target.queueId,
      queueOffset: BigInt(stored[0]?.queueOffset ?? 0),
    }),
  );
}
