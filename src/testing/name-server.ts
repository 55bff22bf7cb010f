import type { RemotingCommand } from '../remoting/command.ts';
import { RequestCode } from '../remoting/request-code.ts';
import { ResponseCode } from '../remoting/response-code.ts';
import type { Answer } from './broker/answer.ts';
import { okBody, refuse, refuseWithFaq } from './broker/answer.ts';
import type { TopicConfig } from './broker/topic-table.ts';

/** A broker that is registered now. */
export interface RegisteredBroker {
  readonly cluster: string;
  readonly brokerName: string;
  /** `host:port`. */
  readonly address: string;
  topic(name: string): TopicConfig | undefined;
  topics(): Iterable<TopicConfig>;
}

/** From this version on a client gets standard JSON (MQVersion V4_9_4). */
const STANDARD_JSON_VERSION = 401;

/** GET_ROUTEINFO_BY_TOPIC, GET_BROKER_CLUSTER_INFO and GET_ALL_TOPIC_LIST_FROM_NAMESERVER. Mirrors ClientRequestProcessor; what it knows is always up to date. */
export function answerFromNameServer(
  brokers: readonly RegisteredBroker[],
  command: RemotingCommand,
): Answer {
  switch (command.code) {
    case RequestCode.GET_ROUTEINFO_BY_TOPIC:
      return route(brokers, command);
    case RequestCode.GET_BROKER_CLUSTER_INFO:
      return okBody(clusterInfo(brokers));
    case RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER: {
      const names = brokers.flatMap((broker) =>
        [...broker.topics()].map(({ topicName }) => topicName),
      );
      return okBody(JSON.stringify({ topicList: [...new Set(names)] }));
    }
    default:
      return refuse(
        ResponseCode.REQUEST_CODE_NOT_SUPPORTED,
        ` request type ${command.code} not supported`,
      );
  }
}

/** fastjson writes the Map<Long, String> of addresses with bare keys unless told not to. */
function brokerData(
  { cluster, brokerName, address }: RegisteredBroker,
  standardJson: boolean,
): string {
  const masterId = standardJson ? '"0"' : '0';
  const [name, clusterName] = [JSON.stringify(brokerName), JSON.stringify(cluster)];
  return `{"brokerAddrs":{${masterId}:${JSON.stringify(address)}},"brokerName":${name},"cluster":${clusterName},"enableActingMaster":false}`;
}

function route(
  brokers: readonly RegisteredBroker[],
  { extFields, version }: RemotingCommand,
): Answer {
  const topic = extFields.topic ?? '';
  const serving = brokers.flatMap((broker) => {
    const config = broker.topic(topic);
    return config ? [{ broker, config }] : [];
  });
  if (serving.length === 0)
    return refuseWithFaq(
      ResponseCode.TOPIC_NOT_EXIST,
      `No topic route info in name server for the topic: ${topic}`,
    );

  const standardJson =
    version >= STANDARD_JSON_VERSION || extFields.acceptStandardJsonOnly === 'true';
  const brokerDatas = serving.map(({ broker }) => brokerData(broker, standardJson)).join(',');
  const queueDatas = serving.map(
    ({ broker, config: { perm, readQueueNums, topicSysFlag, writeQueueNums } }) => ({
      brokerName: broker.brokerName,
      perm,
      readQueueNums,
      topicSysFlag,
      writeQueueNums,
    }),
  );
  return okBody(
    `{"brokerDatas":[${brokerDatas}],"filterServerTable":{},"queueDatas":${JSON.stringify(queueDatas)}}`,
  );
}

function clusterInfo(brokers: readonly RegisteredBroker[]): string {
  const table = brokers
    .map((broker) => `${JSON.stringify(broker.brokerName)}:${brokerData(broker, false)}`)
    .join(',');
  const clusters = Object.entries(Object.groupBy(brokers, ({ cluster }) => cluster));
  const names = Object.fromEntries(
    clusters.map(([cluster, members = []]) => [
      cluster,
      members.map(({ brokerName }) => brokerName),
    ]),
  );
  return `{"brokerAddrTable":{${table}},"clusterAddrTable":${JSON.stringify(names)}}`;
}
