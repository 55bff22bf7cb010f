import type { BrokerData } from '../model/route.ts';
import { asObject, parseFastjson, stringifyJson } from '../remoting/fastjson.ts';
import { RequestCode } from '../remoting/request-code.ts';
import { defineRequest } from './define-request.ts';
import { readBrokerData } from './get-route.ts';
import { checkCount, MAX_BROKERS } from './route-bounds.ts';

/*
 * Request => nothing                                                          to a name server
 */
/*
 * Answer  => body { brokerAddrTable: { name: { cluster, brokerName, brokerAddrs: {0:"ip:port"} } }, clusterAddrTable: { cluster: [name] } }
 *            the ids are never quoted: no switch, at any version
 */
export const getCluster = defineRequest<void, readonly BrokerData[]>(
  RequestCode.GET_BROKER_CLUSTER_INFO,
  {
    encode: () => ({ extFields: {} }),
    decode: () => {},
    encodeAnswer: (brokers) => {
      const addresses = brokers.map(({ brokerName, cluster, brokerAddrs }) => {
        const ids = [...brokerAddrs]
          .map(([id, address]) => `${id}:${JSON.stringify(address)}`)
          .join(',');
        return `${JSON.stringify(brokerName)}:{"brokerAddrs":{${ids}},"brokerName":${JSON.stringify(brokerName)},"cluster":${JSON.stringify(cluster)}}`;
      });
      const clusters = Object.groupBy(brokers, ({ cluster }) => cluster);
      const names = Object.fromEntries(
        Object.entries(clusters).map(([cluster, members]) => [
          cluster,
          members?.map(({ brokerName }) => brokerName),
        ]),
      );
      return {
        extFields: {},
        body: Buffer.from(
          `{"brokerAddrTable":{${addresses.join(',')}},"clusterAddrTable":${stringifyJson(names)}}`,
        ),
      };
    },
    decodeAnswer: ({ body }) => {
      const table = asObject(
        asObject(parseFastjson(body), 'the cluster info').brokerAddrTable ?? {},
        'brokerAddrTable',
      );
      const brokers = Object.values(table);
      checkCount(brokers.length, MAX_BROKERS, 'brokers');
      return brokers.map(readBrokerData);
    },
  },
);
