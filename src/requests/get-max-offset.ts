import { RequestCode } from '../remoting/request-code.ts';
import { defineRequest, extFields, FieldReader } from './define-request.ts';
import { OFFSET_ANSWER, type QueueRequest, readQueue } from './offset-field.ts';

/*
 * Request => topic queueId:int
 */
/*
 * Answer  => offset:long                    0 for an unknown topic, with SUCCESS
 */
export const getMaxOffset = defineRequest<QueueRequest, bigint>(RequestCode.GET_MAX_OFFSET, {
  encode: (request) => ({ extFields: extFields({ ...request }) }),
  decode: (command) => readQueue(new FieldReader(command, 'max offset request')),
  ...OFFSET_ANSWER,
});
