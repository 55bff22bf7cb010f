import type { MessageQueue } from './message-queue.ts';

export const MASTER_ID = 0;
export const PERM_READ = 4;
export const PERM_WRITE = 2;

/** One broker set: a master (id 0) and its slaves, by announced `host:port`. Mirrors BrokerData. */
export interface BrokerData {
  readonly cluster: string;
  readonly brokerName: string;
  /** broker id → announced address. */
  readonly brokerAddrs: ReadonlyMap<number, string>;
}

/** Queue counts of one broker for a topic. Mirrors QueueData. */
export interface QueueData {
  readonly brokerName: string;
  readonly readQueueNums: number;
  readonly writeQueueNums: number;
  readonly perm: number;
  readonly topicSysFlag: number;
}

/** Where a topic lives, as a name server tells it. Mirrors TopicRouteData. */
export interface TopicRoute {
  readonly topic: string;
  readonly brokers: readonly BrokerData[];
  readonly queues: readonly QueueData[];
  readonly orderTopicConf?: string;
}

/** Queues that a consumer may read, in route order (MQClientInstance.topicRouteData2TopicSubscribeInfo). */
export function readableQueues(route: TopicRoute): MessageQueue[] {
  return route.queues
    .filter((data) => (data.perm & PERM_READ) !== 0)
    .flatMap((data) =>
      Array.from({ length: data.readQueueNums }, (_, queueId) => ({
        topic: route.topic,
        brokerName: data.brokerName,
        queueId,
      })),
    );
}
