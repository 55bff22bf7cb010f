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
import { defineRequest, NOTHING, type Wire } from './define-request.ts';

export interface LockQueuesRequest {
  readonly consumerGroup: string;
  /** The owner: locks belong to this text, not to a connection. */
  readonly clientId: string;
  readonly queues: readonly MessageQueue[];
}

/*
 * Request => body { consumerGroup, clientId, mqSet: [{ topic, brokerName, queueId }], onlyThisBroker: false }
 */
function encodeLocks({ consumerGroup, clientId, queues }: LockQueuesRequest): Wire {
  return {
    extFields: {},
    body: Buffer.from(
      stringifyJson({ consumerGroup, clientId, mqSet: queues, onlyThisBroker: false }),
    ),
  };
}

function decodeLocks({ body }: { readonly body: Buffer }): LockQueuesRequest {
  const request = asObject(parseFastjson(body), 'lock request');
  return {
    consumerGroup: asString(request.consumerGroup, 'consumerGroup'),
    clientId: asString(request.clientId, 'clientId'),
    queues: readQueues(request.mqSet),
  };
}

function readQueues(value: FastjsonValue | undefined): MessageQueue[] {
  return asArray(value, 'queue set').map((item) => {
    const queue = asObject(item, 'queue');
    return {
      topic: asString(queue.topic, 'topic'),
      brokerName: asString(queue.brokerName, 'brokerName'),
      queueId: asInteger(queue.queueId, 'queueId'),
    };
  });
}

/*
 * Answer  => body { lockOKMQSet: [queue] }        a queue that somebody else holds is simply missing
 */
export const lockQueues = defineRequest<LockQueuesRequest, readonly MessageQueue[]>(
  RequestCode.LOCK_BATCH_MQ,
  {
    encode: encodeLocks,
    decode: decodeLocks,
    encodeAnswer: (lockOKMQSet) => ({
      extFields: {},
      body: Buffer.from(stringifyJson({ lockOKMQSet })),
    }),
    decodeAnswer: ({ body }) =>
      readQueues(asObject(parseFastjson(body), 'lock answer').lockOKMQSet),
  },
);

/** 42; an owner's unlock counts, anybody else's is passed over, both SUCCESS. */
export const unlockQueues = defineRequest<LockQueuesRequest, void>(RequestCode.UNLOCK_BATCH_MQ, {
  encode: encodeLocks,
  decode: decodeLocks,
  ...NOTHING,
});
