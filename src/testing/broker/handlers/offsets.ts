import { ResponseCode } from '../../../remoting/response-code.ts';
import { getEarliestStoreTime } from '../../../requests/get-earliest-store-time.ts';
import type { QueueRequest } from '../../../requests/offset-field.ts';
import { OFFSET_ANSWER } from '../../../requests/offset-field.ts';
import type { QueryConsumerOffsetRequest } from '../../../requests/query-offset.ts';
import type { SearchOffsetRequest } from '../../../requests/search-offset.ts';
import type { UpdateConsumerOffsetRequest } from '../../../requests/update-offset.ts';
import type { Answer } from '../answer.ts';
import { ok, okBody, refuse } from '../answer.ts';
import { queueMap } from '../bodies.ts';
import type { BrokerState } from '../broker-state.ts';

const offsetAnswer = (offset: number | bigint) => ok(OFFSET_ANSWER.encodeAnswer(BigInt(offset)));

/** QUERY_CONSUMER_OFFSET. A queue whose first message is still there answers 0 to a group without an offset. */
export function queryConsumerOffset(
  broker: BrokerState,
  request: QueryConsumerOffsetRequest,
): Answer {
  const { consumerGroup, topic, queueId } = request;
  const offset = broker.offsets.get(consumerGroup, topic, queueId);
  if (offset !== undefined) return offsetAnswer(offset);
  if (request.setZeroIfNotFound === false)
    return refuse(
      ResponseCode.QUERY_NOT_FOUND,
      'Not found, do not set to zero, maybe this group boot first',
    );
  if (
    broker.store.minOffset(topic, queueId) === 0 &&
    broker.store.at(topic, queueId, 0) !== undefined
  )
    return offsetAnswer(0);
  return refuse(
    ResponseCode.QUERY_NOT_FOUND,
    'Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first',
  );
}

/** UPDATE_CONSUMER_OFFSET. No fencing: any caller, any offset, any queue. */
export function updateConsumerOffset(
  broker: BrokerState,
  request: UpdateConsumerOffsetRequest,
): Answer {
  const { consumerGroup, topic, queueId, commitOffset } = request;
  if (!broker.groups.has(consumerGroup))
    return refuse(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, `Group ${consumerGroup} not exist!`);
  if (broker.topics.get(topic) === undefined)
    return refuse(ResponseCode.TOPIC_NOT_EXIST, `Topic ${topic} not exist!`);
  if (broker.offsets.hasReset(consumerGroup, topic, queueId))
    return { code: ResponseCode.SUCCESS, remark: 'Offset has been previously reset' };
  broker.offsets.commit(consumerGroup, topic, queueId, commitOffset);
  return ok();
}

/** SEARCH_OFFSET_BY_TIMESTAMP. */
export function searchOffset(broker: BrokerState, request: SearchOffsetRequest): Answer {
  const boundary = request.boundaryType?.toLowerCase() === 'upper' ? 'upper' : 'lower';
  return offsetAnswer(
    broker.store.searchByTime(request.topic, request.queueId, request.timestamp, boundary),
  );
}

/** GET_MAX_OFFSET. Unknown topics have 0. */
export function getMaxOffset(broker: BrokerState, { topic, queueId }: QueueRequest): Answer {
  return offsetAnswer(broker.store.maxOffset(topic, queueId));
}

/** GET_MIN_OFFSET. */
export function getMinOffset(broker: BrokerState, { topic, queueId }: QueueRequest): Answer {
  return offsetAnswer(broker.store.minOffset(topic, queueId));
}

/** GET_EARLIEST_MSG_STORETIME; −1 when there is none. */
export function getEarliestMsgStoretime(
  broker: BrokerState,
  { topic, queueId }: QueueRequest,
): Answer {
  const first = broker.store.at(topic, queueId, broker.store.minOffset(topic, queueId));
  return ok(getEarliestStoreTime.encodeAnswer(first?.storeTimestamp));
}

interface ResetOffsetRequest {
  readonly topic: string;
  readonly group: string;
  /** −1: the queues' ends. */
  readonly timestamp: bigint;
  readonly queueId?: number | undefined;
  readonly offset?: bigint | undefined;
}

/** INVOKE_BROKER_TO_RESET_OFFSET, server side: works with nobody online and marks each queue until its next pull. Mirrors resetOffsetInner. */
export function resetOffset(broker: BrokerState, request: ResetOffsetRequest): Answer {
  const { topic, group, timestamp, queueId = -1, offset } = request;
  const config = broker.topics.get(topic);
  if (config === undefined)
    return refuse(ResponseCode.TOPIC_NOT_EXIST, `Topic ${topic} does not exist`);
  if (!broker.groups.has(group))
    return refuse(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, `Group ${group} does not exist`);

  const byTime = (id: number) =>
    BigInt(
      timestamp < 0n
        ? broker.store.maxOffset(topic, id)
        : broker.store.searchByTime(topic, id, timestamp, 'lower'),
    );
  const targets = new Map<number, bigint>();
  if (queueId < 0) for (let id = 0; id < config.readQueueNums; id++) targets.set(id, byTime(id));
  else if (offset === undefined || offset === -1n) targets.set(queueId, byTime(queueId));
  else {
    const [min, max] = [
      broker.store.minOffset(topic, queueId),
      broker.store.maxOffset(topic, queueId),
    ];
    if (offset < min || offset > max + 1)
      return refuse(
        ResponseCode.SYSTEM_ERROR,
        `Target offset ${offset} not in consume queue range [${min}-${max}]`,
      );
    targets.set(queueId, offset);
  }
  for (const [id, target] of targets) broker.offsets.reset(group, topic, id, target);
  return okBody(resetBody(broker.brokerName, topic, targets));
}

function resetBody(
  brokerName: string,
  topic: string,
  offsets: ReadonlyMap<number, bigint>,
): string {
  const rows = [...offsets].map(([queueId, offset]) => ({
    queue: { brokerName, queueId, topic },
    value: String(offset),
  }));
  return `{"offsetTable":${queueMap(rows)}}`;
}
