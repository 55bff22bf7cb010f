import { RequestCode } from '../remoting/request-code.ts';
import { defineRequest, extFields, FieldReader } from './define-request.ts';
import { OFFSET_ANSWER, type QueueRequest, readQueue } from './offset-field.ts';

export interface QueryConsumerOffsetRequest extends QueueRequest {
  readonly consumerGroup: string;
  /** false: answer QUERY_NOT_FOUND also for a young queue (5.x; 4.9 does not read it). */
  readonly setZeroIfNotFound?: boolean | undefined;
}

/*
 * Request => consumerGroup topic queueId:int setZeroIfNotFound?:bool
 */
/*
 * Answer  => offset:long                    QUERY_NOT_FOUND when there is none
 */
export const queryConsumerOffset = defineRequest<QueryConsumerOffsetRequest, bigint>(
  RequestCode.QUERY_CONSUMER_OFFSET,
  {
    encode: (request) => ({ extFields: extFields({ ...request }) }),
    decode: (command) => {
      const fields = new FieldReader(command, 'offset query');
      return {
        consumerGroup: fields.string('consumerGroup'),
        ...readQueue(fields),
        setZeroIfNotFound: fields.optionalBool('setZeroIfNotFound'),
      };
    },
    ...OFFSET_ANSWER,
  },
);
