import { RequestCode } from '../remoting/request-code.ts';
import { defineRequest, extFields, FieldReader } from './define-request.ts';
import { type QueueRequest, readQueue } from './offset-field.ts';

export interface NotificationRequest extends QueueRequest {
  readonly consumerGroup: string;
  /** Milliseconds; 0 answers at once. */
  readonly pollTime: number;
  /** 0: the broker takes its own clock. */
  readonly bornTime: number;
}

/*
 * Request => consumerGroup topic queueId:int pollTime:long bornTime:long
 */
/*
 * Answer  => hasMsg:bool pollingFull:bool    is there something to pop, of the topic or of its pop retry topic?
 */
export const notification = defineRequest<
  NotificationRequest,
  { readonly hasMsg: boolean; readonly pollingFull: boolean }
>(RequestCode.NOTIFICATION, {
  encode: (request) => ({ extFields: extFields({ ...request }) }),
  decode: (command) => {
    const fields = new FieldReader(command, 'question for messages to pop');
    return {
      consumerGroup: fields.string('consumerGroup'),
      ...readQueue(fields),
      pollTime: fields.int('pollTime'),
      bornTime: fields.int('bornTime'),
    };
  },
  encodeAnswer: (answer) => ({ extFields: extFields({ ...answer }) }),
  decodeAnswer: (command) => {
    const fields = new FieldReader(command, 'answer about messages to pop');
    return {
      hasMsg: fields.optionalBool('hasMsg') ?? false,
      pollingFull: fields.optionalBool('pollingFull') ?? false,
    };
  },
});
