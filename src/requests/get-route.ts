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
import {
  checkAddress,
  checkCount,
  checkName,
  MAX_ADDRESSES,
  MAX_BROKERS,
  MAX_ORDER_CONF_LENGTH,
  MAX_QUEUES,
} from './route-bounds.ts';

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
      const mapping = route.topicQueueMappingByBroker;
      const brokerDatas = asArray(route.brokerDatas, 'brokerDatas');
      const queueDatas = asArray(route.queueDatas, 'queueDatas');
      checkCount(brokerDatas.length, MAX_BROKERS, 'brokers');
      checkCount(queueDatas.length, MAX_BROKERS, 'entries of queue counts');
      const queues = queueDatas.map(readQueueData);
      checkCount(sumOf(queues, 'readQueueNums'), MAX_QUEUES, 'queues to read');
      checkCount(sumOf(queues, 'writeQueueNums'), MAX_QUEUES, 'queues to write');
      return {
        brokers: brokerDatas.map(readBrokerData),
        queues,
        ...orderConf(route.orderTopicConf),
        mappedBrokers:
          mapping === undefined || mapping === null
            ? []
            : Object.keys(asObject(mapping, 'topicQueueMappingByBroker')),
      };
    },
  },
);

function readQueueData(item: FastjsonValue): QueueData {
  const data = asObject(item, 'queueData');
  return {
    brokerName: checkName(asString(data.brokerName, 'brokerName'), 'broker name'),
    readQueueNums: queueCount(data.readQueueNums, 'readQueueNums'),
    writeQueueNums: queueCount(data.writeQueueNums, 'writeQueueNums'),
    perm: asInteger(data.perm, 'perm'),
    topicSysFlag: asInteger(data.topicSysFlag ?? 0, 'topicSysFlag'),
  };
}

function queueCount(value: FastjsonValue | undefined, what: string): number {
  const count = asInteger(value, what);
  if (count < 0) throw new ProtocolError(`${what} ${count} is below 0`);
  return count;
}

function sumOf(queues: readonly QueueData[], field: 'readQueueNums' | 'writeQueueNums'): number {
  return queues.reduce((sum, data) => sum + data[field], 0);
}

function orderConf(value: FastjsonValue | undefined): Pick<GetRouteAnswer, 'orderTopicConf'> {
  if (typeof value !== 'string' || value === '') return {};
  checkCount(value.length, MAX_ORDER_CONF_LENGTH, 'characters of orderTopicConf');
  return { orderTopicConf: value };
}

/** One entry of brokerDatas, or of the cluster's brokerAddrTable. */
export function readBrokerData(item: FastjsonValue): BrokerData {
  const data = asObject(item, 'brokerData');
  const { cluster } = data;
  const addresses = Object.entries(asObject(data.brokerAddrs ?? {}, 'brokerAddrs'));
  checkCount(addresses.length, MAX_ADDRESSES, 'addresses of a broker');
  return {
    cluster:
      typeof cluster === 'string' && cluster !== '' ? checkName(cluster, 'cluster name') : '',
    brokerName: checkName(asString(data.brokerName, 'brokerName'), 'broker name'),
    brokerAddrs: new Map(
      addresses.map(([id, address]) => [
        brokerId(id),
        checkAddress(asString(address, 'broker address')),
      ]),
    ),
  };
}

const BROKER_ID = /^-?\d{1,15}$/;

function brokerId(text: string): number {
  if (!BROKER_ID.test(text))
    throw new ProtocolError(`${JSON.stringify(text.slice(0, 40))} is not a valid broker id`);
  return Number(text);
}

/** The route as the model has it. */
export function toTopicRoute(topic: string, answer: GetRouteAnswer): TopicRoute {
  const { brokers, queues, orderTopicConf } = answer;
  return { topic, brokers, queues, ...(orderTopicConf === undefined ? {} : { orderTopicConf }) };
}
