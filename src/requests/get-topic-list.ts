import { asArray, asObject, asString, parseFastjson } from '../remoting/fastjson.ts';
import { RequestCode } from '../remoting/request-code.ts';
import { defineRequest } from './define-request.ts';

/*
 * Request => nothing                                                          to a name server
 */
/*
 * Answer  => body { topicList: [name], brokerAddr? }     system topics, retry and dead-letter topics among them
 */
export const getTopicList = defineRequest<void, readonly string[]>(
  RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER,
  {
    encode: () => ({ extFields: {} }),
    decode: () => {},
    encodeAnswer: (topicList) => ({
      extFields: {},
      body: Buffer.from(JSON.stringify({ topicList })),
    }),
    decodeAnswer: ({ body }) =>
      asArray(asObject(parseFastjson(body), 'the list of topics').topicList ?? [], 'topicList').map(
        (topic) => asString(topic, 'a topic'),
      ),
  },
);
