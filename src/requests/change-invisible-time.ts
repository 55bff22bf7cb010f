import { RequestCode } from '../remoting/request-code.ts';
import { type AckMessageRequest, readPopped } from './ack-message.ts';
import { defineRequest, extFields, FieldReader } from './define-request.ts';

export interface ChangeInvisibleTimeRequest extends AckMessageRequest {
  /** Milliseconds from now. */
  readonly invisibleTime: number;
}

/** What of the handle is new; the old one is dead. */
export interface ChangeInvisibleTimeAnswer {
  readonly popTime: bigint;
  readonly invisibleTime: bigint;
  readonly reviveQid: number;
}

/*
 * Request => consumerGroup topic queueId:int extraInfo offset:long invisibleTime:long
 */
/*
 * Answer  => popTime:long invisibleTime:long reviveQid:int
 */
export const changeInvisibleTime = defineRequest<
  ChangeInvisibleTimeRequest,
  ChangeInvisibleTimeAnswer
>(RequestCode.CHANGE_MESSAGE_INVISIBLETIME, {
  encode: (request) => ({ extFields: extFields({ ...request }) }),
  decode: (command) => {
    const fields = new FieldReader(command, 'change of the invisible time');
    return { ...readPopped(fields), invisibleTime: fields.int('invisibleTime') };
  },
  encodeAnswer: (answer) => ({ extFields: extFields({ ...answer }) }),
  decodeAnswer: (command) => {
    const fields = new FieldReader(command, 'answer to a change of the invisible time');
    return {
      popTime: fields.long('popTime'),
      invisibleTime: fields.long('invisibleTime'),
      reviveQid: fields.int('reviveQid'),
    };
  },
});
