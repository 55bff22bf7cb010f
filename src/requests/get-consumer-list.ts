import { asArray, asObject, asString, parseFastjson } from '../remoting/fastjson.ts';
import { RequestCode } from '../remoting/request-code.ts';
import { defineRequest, extFields, FieldReader } from './define-request.ts';

/*
 * Request => consumerGroup
 */
/*
 * Answer  => body { consumerIdList: [clientId] }     an id per connection: the same one may stand twice
 */
export const getConsumerList = defineRequest<{ readonly consumerGroup: string }, readonly string[]>(
  RequestCode.GET_CONSUMER_LIST_BY_GROUP,
  {
    encode: ({ consumerGroup }) => ({ extFields: extFields({ consumerGroup }) }),
    decode: (command) => ({
      consumerGroup: new FieldReader(command, 'consumer list request').string('consumerGroup'),
    }),
    encodeAnswer: (consumerIdList) => ({
      extFields: {},
      body: Buffer.from(JSON.stringify({ consumerIdList })),
    }),
    decodeAnswer: ({ body }) =>
      asArray(asObject(parseFastjson(body), 'consumer list').consumerIdList, 'consumerIdList').map(
        (id) => asString(id, 'client id'),
      ),
  },
);
