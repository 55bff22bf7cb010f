import { RequestCode } from '../remoting/request-code.ts';
import { defineRequest, extFields, FieldReader, NOTHING } from './define-request.ts';

export interface SendMessageBackRequest {
  readonly group: string;
  /** Physical offset in the commit log. */
  readonly offset: bigint;
  /** 0 = broker decides, −1 = DLQ, n = that level. */
  readonly delayLevel: number;
  readonly originMsgId?: string | undefined;
  readonly originTopic?: string | undefined;
  readonly unitMode?: boolean | undefined;
  readonly maxReconsumeTimes?: number | undefined;
}

/*
 * Request => group offset:long delayLevel:int originMsgId? originTopic? unitMode?:bool maxReconsumeTimes?:int
 *            The short form (first three) fails with a NullPointerException on 5.x at the retry limit, and the message is not
 *            dead-lettered: always send all.
 */
/*
 * Answer  => nothing; SYSTEM_ERROR "look message by offset failed" when the message is gone or on another broker
 */
export const sendMessageBack = defineRequest<SendMessageBackRequest, void>(
  RequestCode.CONSUMER_SEND_MSG_BACK,
  {
    encode: (request) => ({ extFields: extFields({ ...request }) }),
    decode: (command) => {
      const fields = new FieldReader(command, 'send-back');
      return {
        group: fields.string('group'),
        offset: fields.long('offset'),
        delayLevel: fields.int('delayLevel'),
        originMsgId: fields.optionalString('originMsgId'),
        originTopic: fields.optionalString('originTopic'),
        unitMode: fields.optionalBool('unitMode'),
        maxReconsumeTimes: fields.optionalInt('maxReconsumeTimes'),
      };
    },
    ...NOTHING,
  },
);
