import { ProtocolError, RouteRefusedError } from '../errors.ts';
import type { BrokerData } from '../model/route.ts';
import type { RemotingCommand } from '../remoting/command.ts';
import { asObject, parseFastjson, stringifyJson } from '../remoting/fastjson.ts';
import { RequestCode } from '../remoting/request-code.ts';
import { defineRequest } from './define-request.ts';
import { readBrokerData } from './get-route.ts';
import { checkCount, MAX_BROKERS, shown } from './route-bounds.ts';

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
    decodeAnswer: (answer) => readClusterInfo(answer).brokers,
  },
);

export interface ClusterInfo {
  readonly brokers: readonly BrokerData[];
  /** Brokers that cannot be used: the name in printable characters, and what is wrong. */
  readonly leftOut: readonly { readonly broker: string; readonly reason: string }[];
}

/** One broker with an odd name or address takes no other broker with it. @throws ProtocolError when the table itself cannot be read */
export function readClusterInfo({ body }: Pick<RemotingCommand, 'body'>): ClusterInfo {
  const table = asObject(
    asObject(parseFastjson(body), 'the cluster info').brokerAddrTable ?? {},
    'brokerAddrTable',
  );
  const entries = Object.entries(table);
  checkCount(entries.length, MAX_BROKERS, 'brokers');
  const brokers: BrokerData[] = [];
  const leftOut: { broker: string; reason: string }[] = [];
  for (const [name, item] of entries)
    try {
      brokers.push(readBrokerData(item));
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      const reason = error instanceof RouteRefusedError ? error.reason : error.message;
      leftOut.push({ broker: shown(name), reason });
    }
  return { brokers, leftOut };
}
