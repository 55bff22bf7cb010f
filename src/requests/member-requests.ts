import type { DirectResult, MemberInfo, MemberQueue } from '../model/membership.ts';
import type { MessageQueue } from '../model/message-queue.ts';
import {
  asArray,
  asInteger,
  asObject,
  asString,
  type FastjsonValue,
  parseFastjson,
  stringifyJson,
} from '../remoting/fastjson.ts';
import { RequestCode } from '../remoting/request-code.ts';
import { defineRequest, extFields, FieldReader, NOTHING } from './define-request.ts';
import { subscriptionFromJson, subscriptionToJson } from './subscription-data.ts';

/*
 * What brokers ask of the members of a group, each on the connection that the member heartbeats on.
 */

/*
 * Request => consumerGroup                                                   one-way: members or their subscriptions changed
 */
export const notifyConsumerIdsChanged = defineRequest<{ readonly consumerGroup: string }, void>(
  RequestCode.NOTIFY_CONSUMER_IDS_CHANGED,
  {
    encode: ({ consumerGroup }) => ({ extFields: extFields({ consumerGroup }) }),
    decode: (command) => ({
      consumerGroup: new FieldReader(command, 'membership notice').string('consumerGroup'),
    }),
    ...NOTHING,
  },
);

export interface ResetClientOffsets {
  readonly consumerGroup: string;
  readonly topic: string;
  readonly offsets: readonly { readonly queue: MessageQueue; readonly offset: bigint }[];
}

/*
 * Request => topic group timestamp isForce, body { offsetTable: { {brokerName, queueId, topic}: offset } }       one-way
 */
export const resetClientOffsets = defineRequest<ResetClientOffsets, void>(
  RequestCode.RESET_CONSUMER_CLIENT_OFFSET,
  {
    encode: ({ consumerGroup, topic, offsets }) => ({
      extFields: extFields({ topic, group: consumerGroup, timestamp: 0, isForce: true }),
      body: Buffer.from(
        `{"offsetTable":${mapByQueue(offsets.map(({ queue, offset }) => [queue, offset]))}}`,
      ),
    }),
    decode: (command) => {
      const fields = new FieldReader(command, 'reset of offsets');
      const { offsetTable } = asObject(
        command.body.length === 0 ? {} : parseFastjson(command.body),
        'reset of offsets',
      );
      return {
        consumerGroup: fields.string('group'),
        topic: fields.string('topic'),
        offsets: readOffsets(offsetTable),
      };
    },
    ...NOTHING,
  },
);

function readOffsets(table: FastjsonValue | undefined): ResetClientOffsets['offsets'] {
  if (!(table instanceof Map)) return [];
  return [...table].map(([key, offset]) => ({
    queue: readMessageQueue(key),
    offset: asLong(offset),
  }));
}

function readMessageQueue(value: FastjsonValue): MessageQueue {
  const { topic, brokerName, queueId } = asObject(value, 'a queue');
  return {
    topic: asString(topic, 'topic'),
    brokerName: asString(brokerName, 'brokerName'),
    queueId: asInteger(queueId, 'queueId'),
  };
}

function asLong(value: FastjsonValue | undefined): bigint {
  return typeof value === 'bigint' ? value : BigInt(asInteger(value, 'offset'));
}

/** A Map<MessageQueue, …> as fastjson writes it: with objects as keys. */
function mapByQueue(entries: readonly (readonly [MessageQueue, unknown])[]): string {
  const texts = entries.map(([{ brokerName, queueId, topic }, value]) => {
    return `${JSON.stringify({ brokerName, queueId, topic })}:${stringifyJson(value)}`;
  });
  return `{${texts.join(',')}}`;
}

const MIB = 1_048_576;

/*
 * Request => consumerGroup clientId jstackEnable
 */
/*
 * Answer  => body { properties, subscriptionSet, mqTable: { MessageQueue: ProcessQueueInfo }, mqPopTable, statusTable, userConsumerInfo, jstack? }
 */
export const getRunningInfo = defineRequest<
  { readonly consumerGroup: string; readonly clientId: string },
  MemberInfo
>(RequestCode.GET_CONSUMER_RUNNING_INFO, {
  encode: ({ consumerGroup, clientId }) => ({
    extFields: extFields({ consumerGroup, clientId, jstackEnable: false }),
  }),
  decode: (command) => {
    const fields = new FieldReader(command, 'question for running info');
    return {
      consumerGroup: fields.string('consumerGroup'),
      clientId: fields.optionalString('clientId') ?? '',
    };
  },
  encodeAnswer: (info) => ({ extFields: {}, body: Buffer.from(runningInfoJson(info)) }),
  decodeAnswer: ({ body }) => {
    const info = asObject(parseFastjson(body), 'running info');
    const notes = asObject(info.userConsumerInfo ?? {}, 'userConsumerInfo');
    const properties = asObject(info.properties ?? {}, 'properties');
    return {
      startedAt: Number(properties.PROP_CONSUMER_START_TIMESTAMP ?? 0),
      nameServers: asString(properties.PROP_NAMESERVER_ADDR ?? '', 'name servers').split(';'),
      subscriptions: asArray(info.subscriptionSet, 'subscriptionSet').map(subscriptionFromJson),
      queues:
        info.mqTable instanceof Map
          ? [...info.mqTable].map(([queue, figures]) => readQueue(queue, figures))
          : [],
      notes: Object.fromEntries(
        Object.entries(notes).map(([key, value]) => [key, asString(value, key)]),
      ),
    };
  },
});

function readQueue(queue: FastjsonValue, figures: FastjsonValue): MemberQueue {
  const info = asObject(figures, 'figures of a queue');
  return {
    queue: readMessageQueue(queue),
    committedOffset: asLong(info.commitOffset),
    cachedCount: asInteger(info.cachedMsgCount, 'cachedMsgCount'),
    cachedBytes: asInteger(info.cachedMsgSizeInMiB, 'cachedMsgSizeInMiB') * MIB,
    // On the wire, 0 is never.
    lastPullAt: asInteger(info.lastPullTimestamp, 'lastPullTimestamp') || undefined,
    lastConsumeAt: asInteger(info.lastConsumeTimestamp, 'lastConsumeTimestamp') || undefined,
  };
}

function runningInfoJson({
  startedAt,
  nameServers,
  subscriptions,
  queues,
  notes,
}: MemberInfo): string {
  const rest = {
    properties: {
      PROP_NAMESERVER_ADDR: nameServers.join(';'),
      PROP_CONSUME_TYPE: 'CONSUME_PASSIVELY',
      PROP_CONSUMEORDERLY: 'false',
      PROP_THREADPOOL_CORE_SIZE: '1',
      PROP_CLIENT_VERSION: 'V5_3_1',
      PROP_CONSUMER_START_TIMESTAMP: String(startedAt),
    },
    subscriptionSet: subscriptions.map(subscriptionToJson),
    statusTable: {},
    userConsumerInfo: notes,
  };
  const table = mapByQueue(
    queues.map(
      ({ queue, committedOffset, cachedCount, cachedBytes, lastPullAt, lastConsumeAt }) => [
        queue,
        {
          commitOffset: committedOffset,
          cachedMsgCount: cachedCount,
          cachedMsgSizeInMiB: Math.floor(cachedBytes / MIB),
          droped: false,
          locked: false,
          lastPullTimestamp: lastPullAt ?? 0,
          lastConsumeTimestamp: lastConsumeAt ?? 0,
        },
      ],
    ),
  );
  return `${JSON.stringify(rest).slice(0, -1)},"mqTable":${table}}`;
}

/*
 * Request => consumerGroup clientId msgId brokerName, body: the message as stored
 */
/*
 * Answer  => body { order, autoCommit, consumeResult, remark, spentTimeMills }
 */
export const consumeDirectly = defineRequest<
  { readonly consumerGroup: string; readonly brokerName: string; readonly stored: Buffer },
  DirectResult
>(RequestCode.CONSUME_MESSAGE_DIRECTLY, {
  encode: ({ consumerGroup, brokerName, stored }) => ({
    extFields: extFields({ consumerGroup, brokerName }),
    body: stored,
  }),
  decode: (command) => {
    const fields = new FieldReader(command, 'direct delivery');
    return {
      consumerGroup: fields.string('consumerGroup'),
      brokerName: fields.optionalString('brokerName') ?? '',
      stored: command.body,
    };
  },
  encodeAnswer: ({ result, remark, spentMs }) => ({
    extFields: {},
    body: Buffer.from(
      JSON.stringify({
        order: false,
        autoCommit: true,
        consumeResult: result,
        remark,
        spentTimeMills: spentMs,
      }),
    ),
  }),
  decodeAnswer: ({ body }) => {
    const answer = asObject(parseFastjson(body), 'result of a direct delivery');
    const remark = answer.remark;
    return {
      result: asString(answer.consumeResult, 'consumeResult') as DirectResult['result'],
      ...(typeof remark === 'string' ? { remark } : {}),
      spentMs: asInteger(answer.spentTimeMills ?? 0, 'spentTimeMills'),
    };
  },
});
