import { deflateSync, zstdCompressSync } from 'node:zlib';
import { DialRules } from '../../src/client/dial-rules.ts';
import { bracketed, parseEndpoint } from '../../src/client/endpoint.ts';
import { readPopAnswer } from '../../src/client/popping.ts';
import { readPullAnswer } from '../../src/client/pulling.ts';
import { filterPatterns } from '../../src/config/filter-patterns.ts';
import { matchesAny } from '../../src/decide/filter/matches-pattern.ts';
import { problemOfSql } from '../../src/decide/filter/sql92.ts';
import { commonTrace, traceHeader } from '../../src/delivery/trace-header.ts';
import { parseBrokerEntry } from '../../src/model/broker-entry.ts';
import { printableText } from '../../src/model/printable-text.ts';
import { readableQueues } from '../../src/model/route.ts';
import { decodeBatchItems } from '../../src/records/batch-items.ts';
import { decodeRecords } from '../../src/records/decode-records.ts';
import { parseOffsetMsgId } from '../../src/records/message-id.ts';
import { isCompressed, openMessage } from '../../src/records/open-message.ts';
import {
  parsePopHandle,
  parsePoppedOffsets,
  parseStartOffsets,
} from '../../src/records/pop-handle.ts';
import { countProperties, otherUniqKey, parseProperties } from '../../src/records/properties.ts';
import { readTraceData } from '../../src/records/read-trace-data.ts';
import { buildSubscription } from '../../src/records/subscription.ts';
import { compressionFlag, SystemFlag } from '../../src/records/system-flag.ts';
import type { RemotingCommand } from '../../src/remoting/command.ts';
import { parseFastjson } from '../../src/remoting/fastjson.ts';
import { decodeFrame, encodeFrame } from '../../src/remoting/frame.ts';
import { FrameDecoder } from '../../src/remoting/frame-decoder.ts';
import { getAllOffsets } from '../../src/requests/get-all-offsets.ts';
import { getBrokerInfo } from '../../src/requests/get-broker-info.ts';
import { getCluster } from '../../src/requests/get-cluster.ts';
import { getConsumerConnections } from '../../src/requests/get-consumer-connections.ts';
import { getConsumerList } from '../../src/requests/get-consumer-list.ts';
import { getRoute, toTopicRoute } from '../../src/requests/get-route.ts';
import { getTopicList } from '../../src/requests/get-topic-list.ts';
import { heartbeat } from '../../src/requests/heartbeat.ts';
import { lockQueues } from '../../src/requests/lock-queues.ts';
import {
  consumeDirectly,
  getRunningInfo,
  notifyConsumerIdsChanged,
  resetClientOffsets,
} from '../../src/requests/member-requests.ts';
import { MAX_QUEUES } from '../../src/requests/route-bounds.ts';
import { encodeLz4Frame } from '../support/lz4.ts';
import { record } from '../support/records.ts';
import { frameVectors, messageVectors } from '../support/vectors.ts';

/** One parser of what others send. */
export interface Target {
  readonly name: string;
  /** Captures of Java's clients and brokers, and of formats that those have no capture of. */
  readonly samples: readonly Buffer[];
  /**
   * Reads one input, and gives a short text of what it found: inputs with a new one become samples.
   * @throws RocketMQError for what cannot be read; every other error is a fault
   */
  run(input: Buffer): string;
}

const MAX_BODY_BYTES = 256 * 1024;
const LIMITS = { maxFrameBytes: 64 * 1024, maxDecompressedBytes: MAX_BODY_BYTES };
const FRAMES = frameVectors().map(({ frame }) => Buffer.from(frame, 'base64'));
const BODY = Buffer.from('{"orderId":17,"items":[1,2,3]}'.repeat(20));
const RECORDS = [
  ...messageVectors().map(({ stored }) => Buffer.from(stored, 'base64')),
  record({ body: deflateSync(BODY), sysFlag: SystemFlag.COMPRESSED }),
  record({ body: encodeLz4Frame(BODY), sysFlag: SystemFlag.COMPRESSED | compressionFlag('LZ4') }),
  record({
    body: zstdCompressSync(BODY),
    sysFlag: SystemFlag.COMPRESSED | compressionFlag('ZSTD'),
  }),
];
const texts = (...list: readonly string[]): Buffer[] => list.map((text) => Buffer.from(text));
const size = (count: number): number => Math.ceil(Math.log2(count + 1));

const ROUTES = texts(
  '{"brokerDatas":[{"brokerAddrs":{0:"10.0.0.1:10911",1:"[::1]:10911"},"brokerName":"broker-a","cluster":"C"}],"queueDatas":[{"brokerName":"broker-a","readQueueNums":8,"writeQueueNums":8,"perm":6,"topicSysFlag":0}],"filterServerTable":{}}',
  '{"brokerDatas":[],"queueDatas":[{"brokerName":"b","readQueueNums":10000,"writeQueueNums":1,"perm":4}],"orderTopicConf":"b:4;c:4","topicQueueMappingByBroker":{"b":{}}}',
);
const CLUSTERS = texts(
  '{"brokerAddrTable":{"broker-a":{"brokerAddrs":{0:"10.0.0.1:10911"},"brokerName":"broker-a","cluster":"C"}},"clusterAddrTable":{"C":["broker-a"]}}',
);
/** An answer's body, and who reads it. */
const BODIES: readonly (readonly [string, (command: RemotingCommand) => unknown])[] = [
  ['{"consumerIdList":["a@1","b@2"]}', getConsumerList.decodeAnswer],
  ['{"topicList":["orders","%RETRY%g"],"brokerAddr":null}', getTopicList.decodeAnswer],
  ['{"lockOKMQSet":[{"topic":"T","brokerName":"b","queueId":1}]}', lockQueues.decodeAnswer],
  ['{"table":{"bootTimestamp":"1","brokerVersionDesc":"V5_5_0"}}', getBrokerInfo.decodeAnswer],
  ['{"offsetTable":{"orders@g":{0:17,1:99999999999999999}}}', getAllOffsets.decodeAnswer],
  [
    '{"connectionSet":[{"clientId":"a","clientAddr":"1.2.3.4:5","language":"JAVA","version":475}],"subscriptionTable":{"T":{"topic":"T","subString":"*","tagsSet":["a"],"codeSet":[97],"subVersion":1,"expressionType":"TAG"}},"consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","consumeFromWhere":"CONSUME_FROM_LAST_OFFSET"}',
    getConsumerConnections.decodeAnswer,
  ],
  [
    '{"clientID":"a","consumerDataSet":[{"groupName":"g","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","subscriptionDataSet":[{"topic":"T","subString":"*","tagsSet":[],"codeSet":[],"subVersion":1}]}],"producerDataSet":[]}',
    heartbeat.decode,
  ],
];
const RULES = new DialRules({
  nameServers: ['10.0.0.9:9876'],
  brokers: ['10.0.0.0/8', '*.svc.local', 'fd00::/8'],
});
const COMMAND: RemotingCommand = {
  code: 0,
  language: 'JAVA',
  version: 475,
  opaque: 1,
  flag: 1,
  remark: undefined,
  extFields: {},
  body: Buffer.alloc(0),
};
const QUEUE = { topic: 'orders', brokerName: 'broker-a', queueId: 3 };
const SUBSCRIPTION = buildSubscription('orders', 'paid || sent');
const PULL_FIELDS = {
  suggestWhichBrokerId: '0',
  nextBeginOffset: '4712',
  minOffset: '0',
  maxOffset: '4800',
};
const POP_FIELDS = {
  popTime: '1700000000000',
  invisibleTime: '60000',
  reviveQid: '1',
  restNum: '5',
  startOffsetInfo: '0 3 4711;1 3 9',
  msgOffsetInfo: '0 3 4711,4712;1 3 9',
  orderCountInfo: '0 3 1',
};
const answer = (code: number, extFields: Record<string, string>, body: Buffer): Buffer =>
  encodeFrame({ ...COMMAND, code, extFields, body });
const PATTERNS = texts(
  '[{"body":{"state":["paid",{"prefix":"x"}],"n":[{"numeric":[">",0,"<=",100]}]},"tags":["a",{"exists":false}]}]',
  '[{"body":{"list":{"state":["x"],"a":{"b":[{"exists":false}]}},"$or":[{"n":[5]},{"list.n":[{"anything-but":1}]}]}}]',
  '[{"$or":[{"keys":[{"exists":false}]},{"properties":{"p":[{"anything-but":["a","b"]}]}}]},{"body":["text",{"suffix":"}"},{"equals-ignore-case":"A"}]}]',
);
const FILTERED = [
  { body: '{"state":"paid","n":5,"list":[[{"state":"x"}]]}', tags: 'a', keys: ['k'] },
  { body: 'text', tags: undefined, keys: [] },
].map((message) => ({ ...message, bodyBytes: message.body.length, properties: { p: '1' } }));

export const TARGETS: readonly Target[] = [
  {
    name: 'frames',
    samples: [...FRAMES, Buffer.concat(FRAMES.slice(0, 3))],
    run(input) {
      const decoder = new FrameDecoder({
        maxFrameBytes: 64 * 1024,
        readOversized: (input[0] ?? 0) % 2 === 0,
        wants: (_head, bytes) => bytes % 3 !== 0,
      });
      // The chunks' sizes come from the input, so that a failure can be repeated.
      const chunk = 1 + (input.at(-1) ?? 0) * (input.length % 7);
      const commands: RemotingCommand[] = [];
      for (let at = 0; at < input.length && decoder.failure === undefined; at += chunk)
        commands.push(...decoder.push(input.subarray(at, at + chunk)));
      if (decoder.buffered > input.length) throw new Error('buffers more than arrived');
      const kinds = commands.map(({ code, droppedBytes }) => `${code}${droppedBytes ? 'd' : ''}`);
      return `${kinds.slice(0, 3).join()} ${decoder.failure?.message.replace(/\d+/g, '') ?? ''}`;
    },
  },
  {
    name: 'fastjson',
    samples: [...ROUTES, ...CLUSTERS, ...texts(...BODIES.map(([body]) => body))],
    run: (input) =>
      String(JSON.stringify(parseFastjson(input), bigints)?.length.toString(2).length),
  },
  {
    name: 'routes',
    samples: ROUTES,
    run(input) {
      const route = getRoute.decodeAnswer({ ...COMMAND, body: input });
      const queues = readableQueues(toTopicRoute('orders', route));
      if (queues.length > MAX_QUEUES) throw new Error(`${queues.length} queues`);
      return `${route.brokers.length} ${size(queues.length)} ${route.mappedBrokers.length}`;
    },
  },
  {
    name: 'addresses',
    samples: texts(
      ...['10.0.0.1:10911', 'fe80::1%eth0:10911', '[::ffff:127.0.0.1]:1', '64:ff9b::a9fe:a9fe:1'],
      ...[
        'broker-0.broker.svc.local:10911',
        '0x7f.1:1',
        '*.mq.internal',
        'fd00::/8',
        '10.0.0.0/16',
      ],
    ),
    run(input) {
      const text = input.toString('utf8');
      const entry = parseBrokerEntry(text)?.type;
      const { host } = parseEndpoint(bracketed(text));
      return `${entry} ${RULES.refusal(host, ['10.0.0.1', host])?.replaceAll(host, '')}`;
    },
  },
  {
    name: 'clusters',
    samples: CLUSTERS,
    run: (input) => `${getCluster.decodeAnswer({ ...COMMAND, body: input }).length}`,
  },
  {
    name: 'answers',
    samples: BODIES.map(([body], kind) => Buffer.concat([Buffer.from([kind]), Buffer.from(body)])),
    run(input) {
      const kind = (input[0] ?? 0) % BODIES.length;
      const [, read] = BODIES[kind]!;
      const found = read({ ...COMMAND, body: input.subarray(1) });
      return `${kind} ${JSON.stringify(found, bigints)?.length.toString(2).length}`;
    },
  },
  {
    name: 'pulls',
    samples: RECORDS.map((body) => answer(0, PULL_FIELDS, body)),
    run(input) {
      const request = {
        ...{ consumerGroup: 'g', queue: QUEUE, offset: 4711n, subscription: SUBSCRIPTION },
        ...{ maxMessages: 32, suspendMs: 0, keepCompressed: (input.at(-1) ?? 0) % 2 === 0 },
      };
      const result = readPullAnswer(decodeFrame(input), request, LIMITS);
      return result.status === 'FOUND'
        ? `${size(result.messages.length)} ${result.undecodable.length}`
        : result.status;
    },
  },
  {
    name: 'pops',
    samples: RECORDS.map((body) => answer(0, POP_FIELDS, body)),
    run(input) {
      const request = {
        ...{ consumerGroup: 'g', topic: 'orders', brokerName: 'broker-a' },
        ...{ subscription: SUBSCRIPTION, maxMessages: 32, invisibleMs: 60_000, pollMs: 0 },
        start: 'min' as const,
      };
      const { messages, filteredOut, undecodable } = readPopAnswer(
        decodeFrame(input),
        request,
        LIMITS,
      );
      return `${messages.length} ${filteredOut.length} ${undecodable.length}`;
    },
  },
  {
    name: 'members',
    samples: [
      answer(40, { consumerGroup: 'g' }, Buffer.alloc(0)),
      answer(
        220,
        { topic: 'orders', group: 'g', timestamp: '1', isForce: 'true' },
        Buffer.from('{"offsetTable":{{"brokerName":"b","queueId":1,"topic":"orders"}:5}}'),
      ),
      answer(309, { consumerGroup: 'g', brokerName: 'b', clientId: 'c' }, RECORDS[0]!),
    ],
    run(input) {
      const command = decodeFrame(input);
      switch (Math.abs(command.code) % 3) {
        case 0:
          return `changed ${size(notifyConsumerIdsChanged.decode(command).consumerGroup.length)}`;
        case 1:
          return `reset ${size(resetClientOffsets.decode(command).offsets.length)}`;
        default: {
          const { stored } = consumeDirectly.decode(command);
          const { messages } = decodeRecords(stored, { brokerName: 'b' });
          return `directly ${messages.length} ${size(getRunningInfo.decode(command).consumerGroup.length)}`;
        }
      }
    },
  },
  {
    name: 'records',
    samples: [...RECORDS, Buffer.concat(RECORDS.slice(0, 4))],
    run(input) {
      const { messages, undecodable } = decodeRecords(input, {
        brokerName: 'b',
        keepCompressed: true,
        maxDecompressedBytes: MAX_BODY_BYTES,
        checkCrc: (input.at(-1) ?? 0) % 2 === 0,
      });
      let opened = 0;
      for (const message of messages) {
        opened += message.properties.size;
        if (!isCompressed(message)) continue;
        const { body } = openMessage(message, MAX_BODY_BYTES);
        if (body.length > MAX_BODY_BYTES) throw new Error(`a body of ${body.length} bytes`);
        opened += body.length;
      }
      return `${size(messages.length)} ${size(undecodable.length)} ${size(opened)} ${undecodable[0]?.error.message.replace(/\d+/g, '')}`;
    },
  },
  {
    name: 'batches',
    samples: [record(), Buffer.alloc(30)],
    run: (input) => `${size(decodeBatchItems(input).length)}`,
  },
  {
    name: 'properties',
    samples: texts(
      'KEYS\u0001order-17\u0002TAGS\u0001paid\u0002UNIQ_KEY\u0001AC1A2B3C\u0002',
      'UNIQ_KEY\u0001own\u0002k\u0001v\u0002UNIQ_KEY\u0001batch\u0002RETRY_TOPIC\u0001x',
    ),
    run(input) {
      const text = input.toString('utf8');
      const { size: names } = parseProperties(text);
      return `${names} ${size(countProperties(input))} ${otherUniqKey(text) === undefined}`;
    },
  },
  {
    name: 'handles',
    samples: texts(
      '4711 1700000000000 60000 1 0 broker-a 3 4712',
      '0 3 4711;1 3 9',
      '0 3 4711,4712;1 qo3%17 9',
      '7F00000100002A9F000000000006F855',
    ),
    run(input) {
      const text = input.toString('utf8');
      switch (text.length % 4) {
        case 0:
          return `h${parsePopHandle(text).queueId}`;
        case 1:
          return `s${parseStartOffsets(text).size}`;
        case 2:
          return `p${parsePoppedOffsets(text).size}`;
        default:
          return `m${parseOffsetMsgId(text).storeHost.address.length}`;
      }
    },
  },
  {
    name: 'traces',
    samples: texts(
      'Pub\u00011700000000000\u0001DefaultRegion\u0001g\u0001orders\u0001AC1A\u0001paid\u0001k\u000110.0.0.1:10911\u000117\u00013\u00010\u00017F00\u0001true\u00011.2.3.4\u0002',
      'SubBefore\u00011700000000000\u0001R\u0001g\u0001req\u0001AC1A\u00010\u0001k\u0002SubAfter\u0001req\u0001AC1A\u00013\u0001true\u0001k\u00010\u00011700000000000\u0001g\u0002',
      '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      'Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1',
    ),
    run(input) {
      const text = input.toString('utf8');
      const header = traceHeader(new Map([['traceparent', text]]));
      const own = traceHeader(new Map([['AWSTraceHeader', text]]));
      const common = commonTrace([text, own, header]);
      return `${size(readTraceData(text).length)} ${header === undefined} ${common === undefined}`;
    },
  },
  {
    name: 'sql',
    samples: texts(
      "price BETWEEN 10 AND 20 AND region IN ('eu', 'us') OR NOT (vip IS NULL)",
      "a > 5 AND b <> 'x''y' /* c */ AND c CONTAINS 'z' AND d NOT STARTSWITH 'q' -- e\n AND TRUE",
      '(a = 1.5e10) OR (b <= -3L) AND (a IS NOT NULL)',
    ),
    run: (input) => problemOfSql(input.toString('utf8'))?.replace(/".*"|\d+/g, '') ?? 'compiles',
  },
  {
    name: 'patterns',
    samples: PATTERNS,
    run(input) {
      let value: unknown;
      try {
        value = JSON.parse(input.toString('utf8'));
      } catch {
        // A body that is no JSON, under patterns that are.
        const [first] = FILTERED;
        const body = input.toString('utf8');
        return `${matchesAny(VALID_PATTERNS, { ...first!, body, bodyBytes: input.length })}`;
      }
      const parsed = filterPatterns.safeParse(value);
      if (!parsed.success) return parsed.error.issues.map(({ message }) => message).join();
      return FILTERED.map((message) => matchesAny(parsed.data, message)).join();
    },
  },
  {
    name: 'filtered',
    samples: texts(...FILTERED.map(({ body }) => body)),
    run(input) {
      const body = input.toString('utf8');
      const message = { ...FILTERED[0]!, body, bodyBytes: input.length, tags: body };
      return `${matchesAny(VALID_PATTERNS, message)} ${size(printableText(body).length)}`;
    },
  },
];

const VALID_PATTERNS = PATTERNS.flatMap((text) =>
  filterPatterns.parse(JSON.parse(text.toString('utf8'))),
);

function bigints(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
