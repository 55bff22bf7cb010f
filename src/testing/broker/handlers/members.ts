import { retryTopic } from '../../../model/message-queue.ts';
import { ResponseCode } from '../../../remoting/response-code.ts';
import { getConsumerConnections } from '../../../requests/get-consumer-connections.ts';
import { getConsumerList } from '../../../requests/get-consumer-list.ts';
import type { HeartbeatData } from '../../../requests/heartbeat.ts';
import type { UnregisterClientRequest } from '../../../requests/unregister-client.ts';
import type { Answer } from '../answer.ts';
import { ok, refuse } from '../answer.ts';
import type { BrokerState } from '../broker-state.ts';
import type { Channel, Member } from '../member-table.ts';
import { isTag, noPropertyFilter } from './pull.ts';

/** HEART_BEAT. A group that may not be created is passed over in silence, and the answer is SUCCESS all the same. */
export function heartbeat(
  broker: BrokerState,
  data: HeartbeatData,
  channel: Channel,
  sender: Omit<Member, 'clientId'>,
): Answer {
  for (const consumer of data.consumers) {
    const group = broker.groups.findOrCreate(consumer.groupName);
    if (group === undefined) continue;
    broker.topics.createForGroup(retryTopic(group.groupName), group.retryQueueNums);
    broker.members.register(
      group.groupName,
      channel,
      { clientId: data.clientId, language: sender.language, version: sender.version },
      consumer,
      broker.now(),
      group.notifyConsumerIdsChangedEnable,
    );
  }
  return ok({ extFields: { IS_SUPPORT_HEART_BEAT_V2: 'true', IS_SUB_CHANGE: 'true' } });
}

/** UNREGISTER_CLIENT: only the channel that it arrives on. */
export function unregisterClient(
  broker: BrokerState,
  request: UnregisterClientRequest,
  channel: Channel,
): Answer {
  if (request.consumerGroup !== undefined)
    broker.members.unregister(request.consumerGroup, channel, true);
  return ok();
}

/** GET_CONSUMER_LIST_BY_GROUP. */
export function consumerList(broker: BrokerState, group: string): Answer {
  const members = broker.members.get(group);
  if (members === undefined)
    return refuse(ResponseCode.SYSTEM_ERROR, `no consumer for this group, ${group}`);
  return ok(
    getConsumerList.encodeAnswer([...members.channels.values()].map((member) => member.clientId)),
  );
}

/** GET_CONSUMER_CONNECTION_LIST. */
export function consumerConnections(broker: BrokerState, group: string): Answer {
  const members = broker.members.get(group);
  if (members === undefined)
    return refuse(ResponseCode.CONSUMER_NOT_ONLINE, `the consumer group[${group}] not online`);
  const connections = [...members.channels].map(([channel, { clientId, language, version }]) => ({
    clientId,
    clientAddr: channel.remoteAddress,
    language,
    version,
  }));
  const { consumeType, messageModel, consumeFromWhere } = members;
  const subscriptions = [...members.subscriptions.values()];
  return ok(
    getConsumerConnections.encodeAnswer({
      connections,
      subscriptions,
      consumeType,
      messageModel,
      consumeFromWhere,
    }),
  );
}

/** CHECK_CLIENT_CONFIG. */
export function checkClientConfig(expressionType: string): Answer {
  return isTag(expressionType) ? ok() : noPropertyFilter(expressionType);
}
