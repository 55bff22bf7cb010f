import type { EventFormatName } from './event-formats.ts';
import type { OnFailure } from './failure.ts';
import type { FilterPattern } from './filter-pattern.ts';
import { retryTopic } from './message-queue.ts';
import type { MetricGroup } from './metrics.ts';
import type { OperatorRules } from './operator-commands.ts';
import type { ExpressionType } from './subscription.ts';

/** Who may read the brokers, as RocketMQ's SessionCredentials. */
export interface Credentials {
  readonly accessKey: string;
  readonly secretKey: string;
  readonly securityToken?: string;
}

/** TLS towards name servers and brokers. PEM texts, not paths. */
export interface TlsOptions {
  readonly enabled: boolean;
  /** Trusted authorities; the system's when absent. */
  readonly caCertificate?: string;
  readonly clientCertificate?: string;
  readonly clientKey?: string;
  /** Name to check in the server's certificate; the host of the address when absent. */
  readonly serverName?: string;
  /** false accepts any certificate (a stock broker's is self-signed). Default true. */
  readonly verify?: boolean;
}

/** Where a secret is kept: Secrets Manager or SSM Parameter Store. Its value is JSON. `kmsKeyArn`: of a key of the user's own. */
export type SecretReference = (
  | { readonly secretArn: string }
  | { readonly ssmParameter: string }
) & { readonly kmsKeyArn?: string };

/** What an invocation fetches: `credentials` with accessKey and secretKey, `tls` with PEM texts. */
export interface ClusterSecrets {
  readonly credentials?: SecretReference;
  readonly tls?: SecretReference;
}

/** How to reach one RocketMQ cluster. */
export interface ClusterConfig {
  /** `host:port` of every name server. */
  readonly nameServers: readonly string[];
  readonly credentials?: Credentials;
  readonly tls?: TlsOptions;
  /** Instead of, or for `tls` besides, what stands above. */
  readonly secrets?: ClusterSecrets;
  /** Announced broker address → address that is reachable from here (NAT, load balancers). */
  readonly addressMap?: Readonly<Record<string, string>>;
  /** The only brokers that are connected to: address blocks, addresses, names, `*.name`. Absent: all but local and metadata addresses. */
  readonly brokers?: readonly string[];
  /** Prefix of every topic and group at the brokers (`<namespace>%<name>`), which nothing here sees. Without `%`. */
  readonly namespace?: string;
}

export type StartingPosition = 'TRIM_HORIZON' | 'LATEST' | 'AT_TIMESTAMP';

export type AllocationStrategy =
  | { readonly name: 'AVG' }
  | { readonly name: 'AVG_BY_CIRCLE' }
  | { readonly name: 'CONSISTENT_HASH'; readonly virtualNodes?: number }
  | { readonly name: 'MACHINE_ROOM'; readonly rooms: readonly string[] }
  | {
      readonly name: 'MACHINE_ROOM_NEARBY';
      readonly inner: 'AVG' | 'AVG_BY_CIRCLE' | 'CONSISTENT_HASH';
      readonly slotRooms: readonly string[];
    }
  | {
      readonly name: 'CONFIG';
      readonly queues: readonly {
        readonly slot: number;
        readonly topic: string;
        readonly brokerName: string;
        readonly queueId: number;
      }[];
    };

/** The function that takes a topic's messages. */
export interface HandlerConfig {
  readonly invocation: 'function' | 'inline';
  /** Key under `functions:` in serverless.yml; names an inline handler in the puller's bundle. */
  readonly functionKey: string;
  /** Deployed name or ARN, for `invocation: function`. */
  readonly functionName: string;
  /** The handler's own timeout in seconds. */
  readonly timeout: number;
}

/** What is delivered strictly one after the other: everything of a queue, or what has the same key within a queue. */
export interface OrderConfig {
  readonly by: 'queue' | 'key';
  /** With `key`: SHARDING_KEY, KEYS, or the name of a property. */
  readonly key?: string;
  /** How long the order waits before a message that failed is delivered again, 10..30,000. */
  readonly suspendCurrentQueueTimeMillis: number;
}

/** Seconds, except a level of the broker's. `base`: the delay after the first failure, doubled after each further one up to `max`; `jitter`: the share of it that is chance, 0..1. */
export type RetryDelay =
  | { readonly level: number }
  | { readonly seconds: number }
  | { readonly base: number; readonly max: number; readonly jitter: number };

/** What becomes of a producer's trace: left out, told in the record, or gone on with by the handler's invocation. */
export const TRACINGS = ['off', 'link', 'parent'] as const;
export type Tracing = (typeof TRACINGS)[number];

/** Bodies of more than `bytes` (as JSON text) go into a bucket, and their records point there. */
export interface S3PointerThreshold {
  readonly bytes: number;
  /** ARN. */
  readonly bucket: string;
  /** Of the keys, without a slash at its end. */
  readonly prefix: string;
}

/** One `rocketmq` event of serverless.yml with every default filled in. Names: Lambda's and Serverless's. */
export interface SubscriptionConfig {
  readonly topic: string;
  readonly filter: { readonly type: ExpressionType; readonly expression: string };
  /** A message that none of these matches is done without its handler. Absent: all go to it. */
  readonly filterPatterns?: readonly FilterPattern[];
  readonly handler: HandlerConfig;
  /** Most messages in one handler call, 1..10,000. */
  readonly batchSize: number;
  /** Handler calls in flight per queue, 1..32. */
  readonly parallelizationFactor: number;
  readonly startingPosition: StartingPosition;
  /** Epoch milliseconds, with AT_TIMESTAMP. */
  readonly startingPositionTimestamp?: number;
  /** Redeliveries before the DLQ, 0..10,000; −1 = without end. */
  readonly maximumRetryAttempts: number;
  /** The same for messages of some tags. */
  readonly maximumRetryAttemptsByTag?: Readonly<Record<string, number>>;
  /** When a message that failed comes again, unless its handler says so. Absent: the broker decides (level 3 + failures). */
  readonly retryDelay?: RetryDelay;
  /** A message that was born longer ago goes to the DLQ instead of to its handler, 60..604,800. Absent: no limit. */
  readonly maximumRecordAgeInSeconds?: number;
  /** Is a batch that failed as a whole delivered again in halves, until single messages fail? Absent: yes. */
  readonly bisectBatchOnFunctionError?: boolean;
  /** Where messages go that failed for good. Absent: to `%DLQ%<group>`. */
  readonly onFailure?: OnFailure;
  /** Absent: every body is in its event. */
  readonly s3PointerThreshold?: S3PointerThreshold;
  /** 'None': what the handler answers counts for nothing. Absent: ReportBatchItemFailures. */
  readonly functionResponseType?: 'None';
  /** Absent: link. */
  readonly tracing?: Tracing;
  /** Most messages in one pull, 1..1,024. Absent: 32, which is what brokers give. */
  readonly pullBatchSize?: number;
  /** The shape of the handler's event. Absent: sqs. */
  readonly eventFormat?: EventFormatName;
  /** Seconds that a broker holds a poll, 1..30. Absent: 15. */
  readonly longPolling?: number;
  /** Seconds that a batch waits to become full, 0..300. Absent: 0. */
  readonly maximumBatchingWindow?: number;
  /** Seconds after which a message that is still with its handler is sent back, whatever the handler says later. Absent: the handler's timeout alone. */
  readonly consumeTimeout?: number;
  /** Handler calls of its event at once, over all queues, 1..1,000. Absent: as many as the queues allow. */
  readonly maximumConcurrency?: number;
  /** Topic of the subscription with which this one shares the limit: that of their event. Absent: it has a limit of its own. */
  readonly limitedWith?: string;
  /** Calls of an inline handler at once in one process; default 1, as of a Lambda function. */
  readonly inlineConcurrency?: number;
  /** Absent: messages are delivered in any order. All subscriptions of a group agree in `by`. */
  readonly order?: OrderConfig;
  readonly enabled: boolean;
}

/** One consumer group with its subscriptions and the handlers that take them. */
export interface SourceConfig {
  readonly cluster: string;
  readonly consumerGroup: string;
  readonly strategy: AllocationStrategy;
  /** 'queue': as many slots as the widest topic has queues, an invocation per queue; N: N slots, an invocation per slot. */
  readonly pullers: 'queue' | number;
  /** 'pop': the broker hands out messages one by one (5.x), instead of queues; absent or 'pull': queues are assigned here. */
  readonly mode?: 'pull' | 'pop';
  /** 'BROADCASTING': this deployment gets every message of its topics, whoever else is in the group, and keeps its offsets in its table. Absent: CLUSTERING. */
  readonly messageModel?: 'CLUSTERING' | 'BROADCASTING';
  /** Each slot is a member of the group beside others (Java consumers): it heartbeats, and takes what the allocation over all members gives it. */
  readonly coexist?: boolean;
  /** Handler calls are noted in this topic, in the format of Java's message trace. */
  readonly trace?: { readonly topic: string };
  /** Seconds without a message after which a puller goes, 1..900; 'never': it stays, and each queue has one from the start. Absent: 20. */
  readonly idleTimeout?: number | 'never';
  /** A queue without a puller gets one when more messages wait than `activationLagThreshold`, or the first for `maxMessageAgeSeconds`. Absent: at the first. */
  readonly scaling?: {
    readonly activationLagThreshold: number;
    readonly maxMessageAgeSeconds: number;
  };
  readonly subscriptions: readonly SubscriptionConfig[];
}

/** All that coordinator and puller need to know at run time. The plugin writes it into their bundles as JSON. */
/**
 * What happens to items of earlier builds, whose keys name a cluster and a group and no service: they are taken over, or the
 * group does not begin, or they are left to whoever wrote them.
 */
export type EarlierItems = 'take-over' | 'refuse' | 'ignore';

export interface ServiceConfig {
  readonly service: string;
  readonly stage: string;
  readonly clusters: Readonly<Record<string, ClusterConfig>>;
  readonly sources: readonly SourceConfig[];
  /** 'schedule': a run of the coordinator is one look, once a minute. Absent: it lasts until the next one and watches idle queues. */
  readonly coordinatorMode?: 'schedule';
  /** Metrics that are told to CloudWatch. Absent: the default groups. */
  readonly metrics?: readonly MetricGroup[];
  /** Absent: every command, and the service's own topics. */
  readonly operator?: OperatorRules;
  /** Absent: taken over. */
  readonly earlierItems?: Exclude<EarlierItems, 'take-over'>;
}

/** May messages of the topic be delivered? The retry topic's may while any subscription is enabled. */
export function isEnabled({ subscriptions, consumerGroup }: SourceConfig, topic: string): boolean {
  return subscriptions.some(
    (subscription) =>
      subscription.enabled && (topic === subscription.topic || topic === retryTopic(consumerGroup)),
  );
}

/** The stable client id of a slot: the name that allocation and broker locks know it by. */
export function slotClientId(
  service: string,
  stage: string,
  consumerGroup: string,
  slot: number,
): string {
  return `${service}-${stage}@${consumerGroup}@${slot}`;
}

/** Has the source an event whose handler calls are limited over all queues (`maximumConcurrency`)? Then each slot is one invocation at a time. */
export function isLimited({
  subscriptions,
}: {
  readonly subscriptions: readonly Pick<SubscriptionConfig, 'maximumConcurrency'>[];
}): boolean {
  return subscriptions.some(({ maximumConcurrency }) => maximumConcurrency !== undefined);
}

/** Names a handler among those of a service. */
export function handlerKey({
  invocation,
  functionKey,
  functionName,
}: Pick<HandlerConfig, 'invocation' | 'functionKey' | 'functionName'>): string {
  return `${invocation} ${functionKey} ${functionName}`;
}

/** The source of a group; undefined: the service has none. */
export function findSource(
  { sources }: Pick<ServiceConfig, 'sources'>,
  group: { readonly cluster: string | null; readonly consumerGroup: string | null },
): SourceConfig | undefined {
  return sources.find(
    ({ cluster, consumerGroup }) =>
      cluster === group.cluster && consumerGroup === group.consumerGroup,
  );
}
