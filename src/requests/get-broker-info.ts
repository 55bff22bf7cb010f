import { asObject, parseFastjson } from '../remoting/fastjson.ts';
import { RequestCode } from '../remoting/request-code.ts';
import { defineRequest } from './define-request.ts';

/*
 * Request => nothing                                                          to a broker
 */
/*
 * Answer  => body { table: { name: text } }     some sixty figures: brokerVersionDesc, bootTimestamp, runtime, …; all values are texts
 */
export const getBrokerInfo = defineRequest<void, ReadonlyMap<string, string>>(
  RequestCode.GET_BROKER_RUNTIME_INFO,
  {
    encode: () => ({ extFields: {} }),
    decode: () => {},
    encodeAnswer: (table) => ({
      extFields: {},
      body: Buffer.from(JSON.stringify({ table: Object.fromEntries(table) })),
    }),
    decodeAnswer: ({ body }) => {
      const table = asObject(
        asObject(parseFastjson(body), 'the runtime info').table ?? {},
        'table',
      );
      return new Map(
        Object.entries(table).map(([name, value]) => [
          name,
          typeof value === 'string' ? value : JSON.stringify(value),
        ]),
      );
    },
  },
);
