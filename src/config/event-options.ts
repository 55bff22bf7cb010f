import { z } from 'zod';
import { EVENT_FORMATS } from '../model/event-formats.ts';
import { DLQ_TOPIC_PREFIX, RETRY_TOPIC_PREFIX } from '../model/message-queue.ts';
import { TRACINGS } from '../model/source.ts';
import { filterPatterns } from './filter-patterns.ts';
import { onFailure } from './on-failure.ts';
import { s3PointerThreshold } from './s3-pointer-threshold.ts';
import {
  LONGEST_GROUP,
  LONGEST_TOPIC,
  oneOf,
  options,
  rocketmqName,
  text,
  trueOrFalse,
  wholeNumber,
} from './schema-parts.ts';

/** Epoch seconds from here on are taken for milliseconds by mistake: the year 5138. */
const SECONDS_LIMIT = 100_000_000_000;
const TIMESTAMP = 'epoch seconds (1763870400) or an ISO time (2025-11-23T04:00:00Z)';
const FILTER = 'a tag expression such as "paid || refunded", or { sql: "amount > 10" }';

/** timerMaxDelaySec of a stock broker. */
const LONGEST_DELAY_SECONDS = 3 * 24 * 3600;

const filter = z.union(
  [
    text(FILTER).refine((expression) => expression.split('||').some((tag) => tag.trim() !== '')),
    z.strictObject({ sql: text(FILTER) }),
  ],
  { error: FILTER },
);

/** Epoch milliseconds out of epoch seconds, an ISO time, or the Date that YAML makes of one. */
const timestamp = z
  .union([z.number(), z.string(), z.date()], { error: TIMESTAMP })
  .transform((value, context) => {
    const seconds =
      typeof value === 'number' || /^\d+$/.test(String(value)) ? Number(value) : undefined;
    const millis =
      seconds === undefined ? new Date(value as string | Date).getTime() : seconds * 1000;
    if (
      Number.isInteger(millis) &&
      millis >= 0 &&
      (seconds === undefined || seconds < SECONDS_LIMIT)
    )
      return millis;
    context.addIssue({ code: 'custom', message: TIMESTAMP });
    return z.NEVER;
  });

const RETRIES =
  'a whole number from -1 to 10,000 (-1: without end), or { default, tags: { <tag>: such a number } }';
const retries = () => wholeNumber(-1, 10_000, ' (-1: without end)');
const DELAY_SECONDS = LONGEST_DELAY_SECONDS.toLocaleString('en');
const RETRY_DELAY = `auto, a delay level from 1 to 18, { seconds: 0 to ${DELAY_SECONDS} }, or { base, max: 1 to ${DELAY_SECONDS} seconds, jitter: 0 to 1 }`;
const delaySeconds = (from: number) => wholeNumber(from, LONGEST_DELAY_SECONDS);
const SHARE = 'a number from 0 to 1';
const share = z.number({ error: SHARE }).min(0, { error: SHARE }).max(1, { error: SHARE });
const retryDelay = z.union(
  [
    z.literal('auto'),
    wholeNumber(1, 18),
    z.strictObject({ seconds: delaySeconds(0) }),
    z
      .strictObject({
        base: delaySeconds(1),
        max: delaySeconds(1).default(7_200),
        jitter: share.default(0.5),
      })
      .refine(({ base, max }) => base <= max, { error: 'a base that is not above max' }),
  ],
  { error: RETRY_DELAY },
);

const TOPICS =
  'a list of 1 to 32 topics, or a map of such topics to their filters: { orders: "paid || refunded", refunds: { sql: "amount > 10" } }';
const topicName = rocketmqName('topic', LONGEST_TOPIC).refine(
  (name) => !name.startsWith(RETRY_TOPIC_PREFIX),
  {
    error: `the topic itself: the group's ${RETRY_TOPIC_PREFIX} topic is consumed with it`,
  },
);
/** Filters by topic; undefined: the event's `filter`. */
const topics = z
  .union(
    [
      z.array(topicName).transform((names) => new Map(names.map((name) => [name, undefined]))),
      z.record(topicName, filter).transform((map) => new Map(Object.entries(map))),
    ],
    { error: TOPICS },
  )
  .refine((map: ReadonlyMap<string, unknown>) => map.size >= 1 && map.size <= 32, {
    error: TOPICS,
  });

/** A `rocketmq` event of a function in serverless.yml. Names: Lambda's and Serverless's. */
export const eventOptions = options({
  cluster: text('a key of custom.rocketmq.clusters')
    .default('default')
    .describe('key of custom.rocketmq.clusters'),
  consumerGroup: rocketmqName('consumer group', LONGEST_GROUP)
    .refine((name) => name !== 'DEFAULT_CONSUMER', {
      error: 'another name: DEFAULT_CONSUMER is reserved by RocketMQ',
    })
    .describe("RocketMQ's consumer group"),
  topic: topicName
    .exactOptional()
    .describe(`topic to consume; ${DLQ_TOPIC_PREFIX}<group> is one too`),
  topics: topics
    .exactOptional()
    .describe(
      'instead of topic: several for the same handler, as a list, or with a filter each: { orders: paid, refunds: "*" }',
    ),
  filter: filter.default('*').describe(FILTER),
  filterPatterns: filterPatterns
    .exactOptional()
    .describe(
      "Lambda's filter patterns over body, tags, keys and properties; a message that none matches is done without its handler",
    ),
  batchSize: wholeNumber(1, 10_000).default(100).describe('most messages in one handler call'),
  parallelizationFactor: wholeNumber(1, 32)
    .default(1)
    .describe('handler calls in flight per queue'),
  startingPosition: oneOf(['TRIM_HORIZON', 'LATEST', 'AT_TIMESTAMP'])
    .default('TRIM_HORIZON')
    .describe(
      'where a group begins that meets the topic for the first time; brokers 4.9 start young queues at their first message',
    ),
  startingPositionTimestamp: timestamp.exactOptional().describe(`with AT_TIMESTAMP: ${TIMESTAMP}`),
  maximumRetryAttempts: z
    .union(
      [
        retries(),
        z.strictObject({
          default: retries().exactOptional(),
          tags: z.record(z.string(), retries()),
        }),
      ],
      { error: RETRIES },
    )
    .exactOptional()
    .describe(
      'redeliveries before the DLQ: a number, or { default, tags: { <tag>: number } }; default 16, with order without end; not with BROADCASTING',
    ),
  retryDelay: retryDelay
    .default('auto')
    .describe(
      'when a failed message comes again, unless its handler says: auto (level 3 + its failures), a delay level, { seconds }, or { base, max, jitter }: twice as long after each failure; not with BROADCASTING',
    ),
  maximumRecordAgeInSeconds: z
    .union([z.literal([-1, '-1']), wholeNumber(60, 604_800)], {
      error: 'a whole number from 60 to 604,800, or -1: no limit',
    })
    .transform(Number)
    .default(-1)
    .describe(
      'older messages, by the time when the broker made them visible, go to the DLQ instead of to the handler; -1: no limit',
    ),
  onFailure: onFailure
    .exactOptional()
    .describe(
      'where messages go that failed for good: dlq (%DLQ%<group>, the default), an ARN of SQS, SNS or S3, or rocketmq://<topic>; a group that takes its own %DLQ%<group> needs another one',
    ),
  s3PointerThreshold: s3PointerThreshold
    .exactOptional()
    .describe(
      "{ bytes, bucket, prefix }: a body of more bytes (as JSON text) is put into the S3 bucket, and its record points there as Amazon's SQS Extended Client has it",
    ),
  bisectBatchOnFunctionError: trueOrFalse()
    .default(true)
    .describe(
      'a batch whose handler failed as a whole is delivered again in halves, without counting a retry, until single messages fail',
    ),
  maximumBatchingWindow: wholeNumber(0, 300)
    .default(0)
    .describe('seconds that a batch waits to become full'),
  consumeTimeout: wholeNumber(1, 900)
    .exactOptional()
    .describe(
      "seconds after which a message that is still with its handler is sent back; default: none but the handler's timeout",
    ),
  maximumConcurrency: wholeNumber(1, 1000)
    .exactOptional()
    .describe(
      'handler calls of this event at once, over all of its topics and queues; the group’s queues share one puller then, or pullers: N',
    ),
  functionResponseType: oneOf(['ReportBatchItemFailures', 'None'])
    .default('ReportBatchItemFailures')
    .describe('None: what the handler answers counts for nothing; only an error fails its batch'),
  eventFormat: oneOf(EVENT_FORMATS)
    .default('sqs')
    .describe(
      "shape of the handler's event: sqs, kafka (Lambda's for self-managed Kafka), cloudevents (Function Compute's), raw (its RawData)",
    ),
  tracing: oneOf(TRACINGS)
    .default('link')
    .describe(
      "link: the producer's trace stands in the record; parent: its trace goes on in the handler's invocation, when all messages of the batch are of one; off",
    ),
  pullBatchSize: wholeNumber(1, 1024)
    .default(32)
    .describe(
      'most messages in one pull; brokers give 32 (maxTransferCountOnMessageInMemory) unless they are told otherwise; not in mode pop',
    ),
  longPolling: wholeNumber(1, 30)
    .default(15)
    .describe(
      'seconds that a broker holds a poll of a quiet queue; brokers round up to their next 5 s; not in mode pop',
    ),
  order: oneOf(['none', 'queue', 'key'])
    .default('none')
    .describe(
      'queue: one batch of a queue at a time, in its order; key: different keys side by side, equal keys in order',
    ),
  orderKey: text('SHARDING_KEY, KEYS (the first of them), or the name of a property')
    .exactOptional()
    .describe(
      'with order: key, where the key is: SHARDING_KEY (default), KEYS (the first of them), or a property; no key: no order',
    ),
  suspendCurrentQueueTimeMillis: wholeNumber(10, 30_000)
    .exactOptional()
    .describe(
      'with order: how long the order waits before what failed is delivered again; default 1,000',
    ),
  invocation: oneOf(['function', 'inline'])
    .default('function')
    .describe('inline bundles the handler into the puller'),
  inlineConcurrency: wholeNumber(1, 1000)
    .default(1)
    .describe(
      'with invocation: inline, calls of the handler at once in one process; above 1 its module state is shared by calls that overlap',
    ),
  enabled: trueOrFalse()
    .default(true)
    .describe(
      'false: assigned, but not consumed. Its redeliveries wait in the retry topic, and those of the other events of the group go on',
    ),
});

type Parsed = z.output<typeof eventOptions>;
/** Of one topic. */
export type EventOptions = Omit<Parsed, 'topic' | 'topics'> & {
  readonly topic: string;
  /** The first topic of an event that has several. */
  readonly firstTopic?: string;
};

/** One set of options per topic. @returns undefined: neither or both of `topic` and `topics` were given */
export function byTopic({ topic, topics, ...options }: Parsed): EventOptions[] | undefined {
  if ((topic === undefined) === (topics === undefined)) return undefined;
  if (topics === undefined) return [{ ...options, topic: topic as string }];
  const [[firstTopic] = ['']] = topics;
  return [...topics].map(([name, own]) => ({
    ...options,
    topic: name,
    firstTopic,
    filter: own ?? options.filter,
  }));
}
