import { ResponseCode } from '../../../remoting/response-code.ts';
import type { CreateGroupRequest } from '../../../requests/create-group.ts';
import type { CreateTopicRequest } from '../../../requests/create-topic.ts';
import type { Answer } from '../answer.ts';
import { ok, okBody, refuse } from '../answer.ts';
import { queueMap } from '../bodies.ts';
import type { BrokerState } from '../broker-state.ts';
import { subscriptionGroup } from '../group-table.ts';
import { groupComplaint, isSystemTopic, topicComplaint } from '../names.ts';

/** UPDATE_AND_CREATE_TOPIC: replaces the whole configuration. */
export function updateAndCreateTopic(broker: BrokerState, request: CreateTopicRequest): Answer {
  const complaint = topicComplaint(request.topic);
  if (complaint !== undefined) return refuse(ResponseCode.INVALID_PARAMETER, complaint);
  if (isSystemTopic(request.topic))
    return refuse(
      ResponseCode.INVALID_PARAMETER,
      `The topic[${request.topic}] is conflict with system topic.`,
    );
  broker.topics.put({
    topicName: request.topic,
    readQueueNums: request.readQueueNums,
    writeQueueNums: request.writeQueueNums,
    perm: request.perm,
    topicFilterType: request.topicFilterType === 'MULTI_TAG' ? 'MULTI_TAG' : 'SINGLE_TAG',
    topicSysFlag: request.topicSysFlag ?? 0,
    order: request.order ?? false,
    attributes: {},
  });
  return { code: ResponseCode.SUCCESS, remark: 'not set any response code' };
}

/** DELETE_TOPIC_IN_BROKER: the messages and all groups' offsets of the topic go with it (brokers up to 4.9 keep the offsets). */
export function deleteTopic(broker: BrokerState, topic: string): Answer {
  broker.topics.remove(topic);
  broker.offsets.forgetTopic(topic);
  broker.store.drop(topic);
  return ok();
}

/** UPDATE_AND_CREATE_SUBSCRIPTIONGROUP. */
export function updateAndCreateGroup(broker: BrokerState, config: CreateGroupRequest): Answer {
  const complaint = groupComplaint(config.groupName);
  if (complaint !== undefined) return refuse(ResponseCode.INVALID_PARAMETER, complaint);
  broker.groups.put(subscriptionGroup(config.groupName, config));
  return ok();
}

/** GET_BROKER_RUNTIME_INFO: the few figures that clients look at. */
export function getBrokerInfo({ now, uptimeMs }: BrokerState): Answer {
  const seconds = Math.floor(uptimeMs() / 1000);
  const runtime = `[ ${Math.floor(seconds / 86_400)} days, ${Math.floor(seconds / 3600) % 24} hours, ${Math.floor(seconds / 60) % 60} minutes, ${seconds % 60} seconds ]`;
  const table = {
    brokerVersionDesc: 'V5_5_0',
    bootTimestamp: String(now() - uptimeMs()),
    runtime,
  };
  return okBody(JSON.stringify({ table }));
}

/** GET_TOPIC_CONFIG. */
export function getTopicConfig(broker: BrokerState, topic: string): Answer {
  const config = broker.topics.get(topic);
  if (config === undefined)
    return refuse(ResponseCode.TOPIC_NOT_EXIST, `No topic in this broker. topic: ${topic}`);
  return okBody(JSON.stringify(config));
}

/** GET_CONSUME_STATS. Queues without a committed offset count from 0. */
export function getConsumeStats(
  broker: BrokerState,
  group: string,
  topic: string | undefined,
): Answer {
  const topics = topic ? [topic] : broker.offsets.topicsOf(group);
  const rows = topics.flatMap((name) => {
    const queues = broker.topics.get(name)?.readQueueNums ?? 0;
    return Array.from({ length: queues }, (_, queueId) =>
      consumeStatsRow(broker, group, name, queueId),
    );
  });
  return okBody(`{"consumeTps":0.0,"offsetTable":${queueMap(rows)}}`);
}

function consumeStatsRow(broker: BrokerState, group: string, topic: string, queueId: number) {
  const consumerOffset = broker.offsets.get(group, topic, queueId) ?? 0n;
  const pulled = broker.offsets.pulled(group, topic, queueId) ?? 0n;
  const lastTimestamp =
    broker.store.at(topic, queueId, Number(consumerOffset) - 1)?.storeTimestamp ?? 0;
  const pullOffset = pulled > consumerOffset ? pulled : consumerOffset;
  const value = `{"brokerOffset":${broker.store.maxOffset(topic, queueId)},"consumerOffset":${consumerOffset},"lastTimestamp":${lastTimestamp},"pullOffset":${pullOffset}}`;
  return { queue: { brokerName: broker.brokerName, queueId, topic }, value };
}
