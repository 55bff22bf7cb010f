import { RocketMQError } from '../errors.ts';
import { type MessageQueue, queueKey } from '../model/message-queue.ts';
import type { PullerRequest } from '../ports/invoke.ts';

/** More queues than a coordinator asks for at once. */
const MAX_QUEUES = 10_000;
/** More than brokers take: a retry topic of mode pop has the names of group and topic. */
const MAX_NAME_LENGTH = 1_000;
const MAX_NUMBER = 65_535;

/**
 * What a puller was invoked with. Whoever may invoke the function chooses it, so only the known fields of the right types are kept, each queue once.
 * @throws RocketMQError ROCKETMQ_PULLER_REQUEST, without what stood there
 */
export function parsePullerRequest(event: unknown): PullerRequest {
  const { cluster, consumerGroup, slot, asMember, queues, notAfter } = fieldsOf(event, 'it');
  if (!Array.isArray(queues) || queues.length > MAX_QUEUES)
    throw refusal(`queues must be a list of at most ${MAX_QUEUES}`);
  if (asMember !== undefined && asMember !== true) throw refusal('asMember must be true');
  if (notAfter !== undefined && !Number.isFinite(notAfter))
    throw refusal('notAfter must be a number');
  const parsed = queues.map((queue) => queueOf(queue));
  return {
    cluster: nameOf(cluster, 'cluster'),
    consumerGroup: nameOf(consumerGroup, 'consumerGroup'),
    slot: numberOf(slot, 'slot'),
    ...(asMember === undefined ? {} : { asMember }),
    queues: [...new Map(parsed.map((queue) => [queueKey(queue), queue])).values()],
    ...(notAfter === undefined ? {} : { notAfter: notAfter as number }),
  };
}

function queueOf(given: unknown): MessageQueue {
  const { topic, brokerName, queueId, pops } = fieldsOf(given, 'a queue');
  const queue = {
    topic: nameOf(topic, 'topic'),
    brokerName: nameOf(brokerName, 'brokerName'),
    queueId: numberOf(queueId, 'queueId'),
  };
  return pops === true ? ({ ...queue, pops } as MessageQueue) : queue;
}

function fieldsOf(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw refusal(`${what} must be an object`);
  return value as Readonly<Record<string, unknown>>;
}

function nameOf(value: unknown, field: string): string {
  if (typeof value !== 'string' || value === '' || value.length > MAX_NAME_LENGTH)
    throw refusal(`${field} must be a text of 1 to ${MAX_NAME_LENGTH} characters`);
  return value;
}

function numberOf(value: unknown, field: string): number {
  if (!Number.isInteger(value) || (value as number) < 0 || (value as number) > MAX_NUMBER)
    throw refusal(`${field} must be a whole number from 0 to ${MAX_NUMBER}`);
  return value as number;
}

function refusal(why: string): RocketMQError {
  return new RocketMQError(
    'ROCKETMQ_PULLER_REQUEST',
    `the request of this invocation is not one of the coordinator: ${why}. Only the coordinator of the service invokes its puller`,
  );
}
