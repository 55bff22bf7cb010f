import { ProtocolError } from '../errors.ts';
import type { BrokerData, QueueData, TopicRoute } from '../model/route.ts';
import {
  asArray,
  asInteger,
  asObject,
  asString,
  type FastjsonValue,
  parseFastjson,
  stringifyJson,
} from '../remoting/fastjson.ts';
import { RequestCode } from '../remoting/request-code.ts';
import { defineRequest, extFields, FieldReader } from './define-request.ts';

export interface GetRouteRequest {
  readonly topic: string;
}

export interface GetRouteAnswer {
  readonly brokers: readonly BrokerData[];
  readonly queues: readonly QueueData[];
  readonly orderTopicConf?: string;
  /** Broker names of a static topic's mapping; such a topic's queues are not what they seem. */
  readonly mappedBrokers: readonly string[];
}

/*
 * Request => topic acceptStandardJsonOnly?                                     to a name server
 */
/*
 * Answer  => body { brokerDatas: [{ cluster, brokerName, brokerAddrs: { id: "ip:port" } }],
 *                   queueDatas: [{ brokerName, readQueueNums, writeQueueNums, perm, topicSysFlag }], orderTopicConf?, topicQueueMappingByBroker? }
 */
export const getRoute = defineRequest<GetRouteRequest, GetRouteAnswer>(
  RequestCode.GET_ROUTEINFO_BY_TOPIC,
  {
    encode: ({ topic }) => ({ extFields: extFields({ topic, acceptStandardJsonOnly: true }) }),
    decode: (command) => ({ topic: new FieldReader(command, 'route request').string('topic') }),
    encodeAnswer: ({ brokers, queues, orderTopicConf }) => ({
      extFields: {},
      body: Buffer.from(
        stringifyJson({
          brokerDatas: brokers.map(({ cluster, brokerName, brokerAddrs }) => ({
            brokerAddrs: Object.fromEntries(brokerAddrs),
            brokerName,
            cluster,
            enableActingMaster: false,
          })),
          filterServerTable: {},
          ...(orderTopicConf === undefined ? {} : { orderTopicConf }),
          queueDatas: queues,
        }),
      ),
    }),
    decodeAnswer: ({ body }) => {
      const route = asObject(parseFastjson(body), 'the route');
      const orderTopicConf = route.orderTopicConf;
      const mapping = route.topicQueueMappingByBroker;
      return {
        brokers: asArray(route.brokerDatas, 'brokerDatas').map(readBrokerData),
        queues: asArray(route.queueDatas, 'queueDatas').map((item) => {
          const data = asObject(item, 'queueData');
          return {
            brokerName: asString(data.brokerName, 'brokerName'),
            readQueueNums: queueCount(data.readQueueNums, 'readQueueNums'),
            writeQueueNums: queueCount(data.writeQueueNums, 'writeQueueNums'),
            perm: asInteger(data.perm, 'perm'),
            topicSysFlag: asInteger(data.topicSysFlag ?? 0, 'topicSysFlag'),
          };
        }),
        ...(typeof orderTopicConf === 'string' && orderTopicConf !== '' ? { orderTopicConf } : {}),
        mappedBrokers:
          mapping === undefined || mapping === null
            ? []
            : Object.keys(asObject(mapping, 'topicQueueMappingByBroker')),
      };
    },
  },
);

/** Every queue becomes an object: a count beyond all reason must not take the memory. */
const MAX_QUEUES = 65_536;

function queueCount(value: FastjsonValue | undefined, what: string): number {
  const count = asInteger(value, what);
  if (count < 0 || count > MAX_QUEUES)
    throw new ProtocolError(`${what} ${count} is not between 0 and ${MAX_QUEUES}`);
  return count;
}

/** One entry of brokerDatas, or of the cluster's brokerAddrTable. */
export function readBrokerData(item: FastjsonValue): BrokerData {
  const data = asObject(item, 'brokerData');
  const addresses = Object.entries(asObject(data.brokerAddrs ?? {}, 'brokerAddrs'));
  return {
    cluster: typeof data.cluster === 'string' ? data.cluster : '',
    brokerName: asString(data.brokerName, 'brokerName'),
    brokerAddrs: new Map(
      addresses.map(([id, address]) => [brokerId(id), asString(address, 'broker address')]),
    ),
  };
}

function brokerId(text: string): number {
  const id = Number(text);
  if (text === '' || !Number.isSafeInteger(id))
    throw new ProtocolError(`"${text}" is no broker id`);
  return id;
}

/** The route as the model has it. */
export function toTopicRoute(topic: string, answer: GetRouteAnswer): TopicRoute {
  const { brokers, queues, orderTopicConf } = answer;
  return { topic, brokers, queues, ...(orderTopicConf === undefined ? {} : { orderTopicConf }) };
}
