import { asObject, parseFastjson } from '../remoting/fastjson.ts';
import { RequestCode } from '../remoting/request-code.ts';
import { defineRequest } from './define-request.ts';

/** Ids of the queues in which a group has an offset, by `topic@group`. */
type OffsetTable = ReadonlyMap<string, ReadonlySet<number>>;

/*
 * Request => nothing                                                          to a broker
 */
/*
 * Answer  => body { offsetTable: { "topic@group": {0:20,1:3} } }              of all groups; the ids are never quoted
 */
export const getAllOffsets = defineRequest<void, OffsetTable>(RequestCode.GET_ALL_CONSUMER_OFFSET, {
  encode: () => ({ extFields: {} }),
  decode: () => {},
  encodeAnswer: (table) => {
    const rows = [...table].map(
      ([name, ids]) => `${JSON.stringify(name)}:{${[...ids].map((id) => `${id}:0`).join(',')}}`,
    );
    return { extFields: {}, body: Buffer.from(`{"offsetTable":{${rows.join(',')}}}`) };
  },
  decodeAnswer: ({ body }) => {
    const table = asObject(
      asObject(parseFastjson(body), 'the offsets').offsetTable ?? {},
      'offsetTable',
    );
    return new Map(
      Object.entries(table).map(([name, queues]) => [
        name,
        new Set(Object.keys(asObject(queues, name)).map(Number)),
      ]),
    );
  },
});
