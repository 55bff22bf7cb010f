import { RequestCode } from '../remoting/request-code.ts';
import { defineRequest, extFields, FieldReader } from './define-request.ts';
import { OFFSET_ANSWER, type QueueRequest, readQueue } from './offset-field.ts';

export interface SearchOffsetRequest extends QueueRequest {
  /** Epoch milliseconds. */
  readonly timestamp: bigint;
  readonly boundaryType?: string | undefined;
}

/*
 * Request => topic queueId:int timestamp:long boundaryType?:lower|upper
 */
/*
 * Answer  => offset:long                    of the first message stored then or later; behind the last one when all are older (4.9: the last one)
 */
export const searchOffset = defineRequest<SearchOffsetRequest, bigint>(
  RequestCode.SEARCH_OFFSET_BY_TIMESTAMP,
  {
    encode: (request) => ({ extFields: extFields({ ...request }) }),
    decode: (command) => {
      const fields = new FieldReader(command, 'offset search');
      return {
        ...readQueue(fields),
        timestamp: fields.long('timestamp'),
        boundaryType: fields.optionalString('boundaryType'),
      };
    },
    ...OFFSET_ANSWER,
  },
);
