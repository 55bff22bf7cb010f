import { RequestCode } from '../remoting/request-code.ts';
import { defineRequest, extFields, FieldReader, type RequestDefinition } from './define-request.ts';

export interface SendMessageRequest {
  readonly producerGroup: string;
  readonly topic: string;
  readonly defaultTopic: string;
  readonly defaultTopicQueueNums: number;
  /** −1: the broker picks. */
  readonly queueId: number;
  readonly sysFlag: number;
  readonly bornTimestamp: number;
  readonly flag: number;
  /** As message records carry them (records/properties.ts). */
  readonly properties: string;
  readonly reconsumeTimes: number;
  readonly unitMode: boolean;
  readonly maxReconsumeTimes?: number | undefined;
  readonly batch: boolean;
  readonly body: Buffer;
}

export interface SendMessageAnswer {
  /** offsetMsgId, or several joined by commas for a batch. */
  readonly msgId: string;
  readonly queueId: number;
  readonly queueOffset: bigint;
  /** UNIQ_KEY; absent on 4.9. */
  readonly transactionId?: string | undefined;
}

/*
 * Request => a producerGroup  b topic  c defaultTopic  d defaultTopicQueueNums:int  e queueId:int  f sysFlag:int  g bornTimestamp:long  h flag:int
 *            i properties  j reconsumeTimes:int  k unitMode:bool  l maxReconsumeTimes?:int  m batch:bool, body      (SendMessageRequestHeaderV2)
 */
/*
 * Answer  => msgId queueId:int queueOffset:long transactionId?              also with FLUSH_DISK_TIMEOUT, FLUSH_SLAVE_TIMEOUT, SLAVE_NOT_AVAILABLE
 */
function define(code: number): RequestDefinition<SendMessageRequest, SendMessageAnswer> {
  return defineRequest<SendMessageRequest, SendMessageAnswer>(code, {
    encode: (request) => ({
      extFields: extFields({
        a: request.producerGroup,
        b: request.topic,
        c: request.defaultTopic,
        d: request.defaultTopicQueueNums,
        e: request.queueId,
        f: request.sysFlag,
        g: request.bornTimestamp,
        h: request.flag,
        i: request.properties,
        j: request.reconsumeTimes,
        k: request.unitMode,
        l: request.maxReconsumeTimes,
        m: request.batch,
      }),
      body: request.body,
    }),
    decode: (command) => {
      const fields = new FieldReader(command, 'send request');
      // SEND_MESSAGE spells the same fields out.
      const name = (letter: string, long: string): string =>
        command.extFields[letter] === undefined ? long : letter;
      return {
        producerGroup: fields.string(name('a', 'producerGroup')),
        topic: fields.string(name('b', 'topic')),
        defaultTopic: fields.string(name('c', 'defaultTopic')),
        defaultTopicQueueNums: fields.int(name('d', 'defaultTopicQueueNums')),
        queueId: fields.int(name('e', 'queueId')),
        sysFlag: fields.int(name('f', 'sysFlag')),
        bornTimestamp: fields.int(name('g', 'bornTimestamp')),
        flag: fields.int(name('h', 'flag')),
        properties: fields.optionalString(name('i', 'properties')) ?? '',
        reconsumeTimes: fields.optionalInt(name('j', 'reconsumeTimes')) ?? 0,
        unitMode: fields.optionalBool(name('k', 'unitMode')) ?? false,
        maxReconsumeTimes: fields.optionalInt(name('l', 'maxReconsumeTimes')),
        batch: fields.optionalBool(name('m', 'batch')) ?? false,
        body: command.body,
      };
    },
    encodeAnswer: (answer) => ({ extFields: extFields({ ...answer }) }),
    decodeAnswer: (command) => {
      const fields = new FieldReader(command, 'send answer');
      return {
        msgId: fields.string('msgId'),
        queueId: fields.int('queueId'),
        queueOffset: fields.long('queueOffset'),
        transactionId: fields.optionalString('transactionId'),
      };
    },
  });
}

export const sendMessage = define(RequestCode.SEND_MESSAGE_V2);
export const sendBatchMessage = define(RequestCode.SEND_BATCH_MESSAGE);
/** Long field names; brokers take it, clients send the one above. */
export const sendMessageV1 = define(RequestCode.SEND_MESSAGE);
