import { dlqTopic, retryTopic } from '../../../model/message-queue.ts';
import { PERM_WRITE } from '../../../model/route.ts';
import { ResponseCode } from '../../../remoting/response-code.ts';
import type { SendMessageBackRequest } from '../../../requests/send-back.ts';
import type { Answer } from '../answer.ts';
import { ok, refuse, refuseWithFaq } from '../answer.ts';
import type { BrokerState } from '../broker-state.ts';
import type { StoredMessage } from '../message-store.ts';

/** Clients from 3.4.9 on may name their own retry limit. */
export const HONOURS_MAX_RECONSUME_TIMES = 121;

/** CONSUMER_SEND_MSG_BACK. Mirrors AbstractSendMessageProcessor.consumerSendMsgBack. */
export function sendBack(
  broker: BrokerState,
  request: SendMessageBackRequest,
  clientVersion: number,
): Answer {
  const group = broker.groups.findOrCreate(request.group);
  if (group === undefined)
    return refuseWithFaq(
      ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST,
      `subscription group not exist, ${request.group} `,
    );
  // The real broker says SUCCESS and drops the message.
  if (group.retryQueueNums <= 0) return ok();

  const topic = broker.topics.createForGroup(retryTopic(request.group), group.retryQueueNums);
  if ((topic.perm & PERM_WRITE) === 0)
    return refuse(
      ResponseCode.NO_PERMISSION,
      `the topic[${topic.topicName}] sending message is forbidden`,
    );
  const message = broker.store.atPhysicalOffset(request.offset);
  if (message === undefined)
    return refuse(ResponseCode.SYSTEM_ERROR, `look message by offset failed, ${request.offset}`);

  const limit =
    (clientVersion >= HONOURS_MAX_RECONSUME_TIMES ? request.maxReconsumeTimes : undefined) ??
    group.retryMaxTimes;
  const toDlq = message.reconsumeTimes >= limit || request.delayLevel < 0;
  if (!toDlq) {
    const queueId = Math.floor(Math.random() * group.retryQueueNums);
    const delayLevel = request.delayLevel === 0 ? 3 + message.reconsumeTimes : request.delayLevel;
    broker.store.put({ ...again(message, delayLevel), topic: topic.topicName, queueId });
    return ok();
  }
  // The real broker creates the DLQ's attributes from the original topic and fails on a null one (the old, short form of the request).
  if (request.originTopic === undefined)
    return refuse(ResponseCode.SYSTEM_ERROR, 'java.lang.NullPointerException: originTopic is null');
  const dlq = broker.topics.createForGroup(dlqTopic(request.group), 1);
  broker.store.put({ ...again(message, 0), topic: dlq.topicName, queueId: 0 });
  return ok();
}

/** The message as it is stored again: body, hosts and birth unchanged, one failure more. */
function again(message: StoredMessage, delayLevel: number): StoredMessage {
  const properties = new Map(message.properties);
  if (!properties.has('RETRY_TOPIC')) properties.set('RETRY_TOPIC', message.topic);
  if (!properties.get('ORIGIN_MESSAGE_ID')?.trim())
    properties.set('ORIGIN_MESSAGE_ID', message.offsetMsgId);
  properties.set('WAIT', 'false').set('DELAY', String(delayLevel));
  return { ...message, properties, reconsumeTimes: message.reconsumeTimes + 1 };
}
