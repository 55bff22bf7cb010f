import { RequestCode } from '../remoting/request-code.ts';
import { defineRequest, extFields, FieldReader } from './define-request.ts';
import { type QueueRequest, readQueue } from './offset-field.ts';

export interface UpdateConsumerOffsetRequest extends QueueRequest {
  readonly consumerGroup: string;
  readonly commitOffset: bigint;
}

export interface UpdateConsumerOffsetAnswer {
  /** An operator's reset waits for the next pull: the commit was dropped, and still answered with SUCCESS. */
  readonly resetPending: boolean;
}

const RESET_REMARK = 'reset';

/*
 * Request => consumerGroup topic queueId:int commitOffset:long
 */
/*
 * Answer  => nothing; the remark tells of a dropped commit ("Offset has been previously reset", 5.2 and later)
 */
export const updateConsumerOffset = defineRequest<
  UpdateConsumerOffsetRequest,
  UpdateConsumerOffsetAnswer
>(RequestCode.UPDATE_CONSUMER_OFFSET, {
  encode: (request) => ({ extFields: extFields({ ...request }) }),
  decode: (command) => {
    const fields = new FieldReader(command, 'offset commit');
    return {
      consumerGroup: fields.string('consumerGroup'),
      ...readQueue(fields),
      commitOffset: fields.long('commitOffset'),
    };
  },
  encodeAnswer: () => ({ extFields: {} }),
  decodeAnswer: ({ remark }) => ({ resetPending: remark?.includes(RESET_REMARK) ?? false }),
});
