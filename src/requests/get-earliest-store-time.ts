import { RequestCode } from '../remoting/request-code.ts';
import { defineRequest, extFields, FieldReader } from './define-request.ts';
import { type QueueRequest, readQueue } from './offset-field.ts';

/*
 * Request => topic queueId:int
 */
/*
 * Answer  => timestamp:long                 store time of the first message that is left; −1 when the queue has none
 */
export const getEarliestStoreTime = defineRequest<QueueRequest, number | undefined>(
  RequestCode.GET_EARLIEST_MSG_STORETIME,
  {
    encode: (request) => ({ extFields: extFields({ ...request }) }),
    decode: (command) => readQueue(new FieldReader(command, 'earliest store time request')),
    encodeAnswer: (timestamp) => ({ extFields: extFields({ timestamp: BigInt(timestamp ?? -1) }) }),
    decodeAnswer: (command) => {
      const timestamp = new FieldReader(command, 'earliest store time answer').long('timestamp');
      return timestamp > 0n ? Number(timestamp) : undefined;
    },
  },
);
