/** The unit of assignment, lease, pull and offset: one queue of one topic on one broker. Mirrors org.apache.rocketmq.common.message.MessageQueue. */
export interface MessageQueue {
  /** As the broker knows it: a retry queue keeps its `%RETRY%<group>` topic here. */
  readonly topic: string;
  readonly brokerName: string;
  /** 0..n-1 */
  readonly queueId: number;
}

/**
 * A place at a broker in POP mode (decide/pop), assigned and leased like a queue. The broker hands out
 * the messages of all its queues; `queueId` counts the places at the broker, from 0.
 */
export interface PopUnit extends MessageQueue {
  readonly pops: true;
}

/** `topic/brokerName/queueId`, or `topic/brokerName/pop-0`: unique and readable, for maps, logs and handles. */
export function queueKey(queue: MessageQueue): string {
  const { topic, brokerName, queueId } = queue;
  return `${topic}/${brokerName}/${isPopUnit(queue) ? `pop-${queueId}` : queueId}`;
}

/** Java's MessageQueue.compareTo: topic, then broker name (UTF-16 order), then the queue id as a number. */
export function compareQueues(a: MessageQueue, b: MessageQueue): number {
  if (a.topic !== b.topic) return a.topic < b.topic ? -1 : 1;
  if (a.brokerName !== b.brokerName) return a.brokerName < b.brokerName ? -1 : 1;
  return a.queueId - b.queueId;
}

export function isPopUnit(queue: MessageQueue): queue is PopUnit {
  return 'pops' in queue;
}

export const RETRY_TOPIC_PREFIX = '%RETRY%';
export const DLQ_TOPIC_PREFIX = '%DLQ%';

/** The topic that a group's sent-back messages return on (MixAll.getRetryTopic). */
export function retryTopic(consumerGroup: string): string {
  return RETRY_TOPIC_PREFIX + consumerGroup;
}

/** The topic that ends a group's failing messages (MixAll.getDLQTopic). */
export function dlqTopic(consumerGroup: string): string {
  return DLQ_TOPIC_PREFIX + consumerGroup;
}
