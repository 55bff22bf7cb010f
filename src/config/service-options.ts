import { z } from 'zod';
import { BROKER_ENTRY, parseBrokerEntry } from '../model/broker-entry.ts';
import type { SecretReference } from '../model/source.ts';
import { operationOptions } from './operation-options.ts';
import {
  isDeployedValue,
  kmsKeyArn as keyArn,
  LONGEST_TOPIC,
  oneOf,
  options,
  orDeployed,
  rocketmqName,
  text,
  trueOrFalse,
  wholeNumber,
} from './schema-parts.ts';

const TABLE_NAME =
  'the name of a DynamoDB table: 3 to 255 characters out of a-z, A-Z, 0-9, _, . and -';
const ADDRESS = 'host:port (10.0.0.5:9876, ns1.internal:9876 or [2001:db8::1]:9876)';
const NAMESPACE = 'a namespace of 1 to 100 characters out of a-z, A-Z, 0-9, _, - and |';
const BROKERS = 'a list of address blocks and names: ["10.0.0.0/16", "*.mq.internal"]';
const NAME_SERVERS = 'a list of name servers: ["ns1.internal:9876", "ns2.internal:9876"]';

const address = z
  .string({ error: ADDRESS })
  .refine((value) => isAddress(value) || isDeployedValue(value), { error: ADDRESS });
/** RocketMQ's own notation "a:9876;b:9876" counts too: it is what environment variables hold. */
const nameServers = z.preprocess(
  (value) =>
    typeof value === 'string'
      ? value
          .split(/[;,]/)
          .filter((part) => part.trim() !== '')
          .map((part) => part.trim())
      : value,
  z.array(address, { error: NAME_SERVERS }).min(1, { error: NAME_SERVERS }),
);

function isAddress(value: string): boolean {
  const match = /^(\[[0-9a-fA-F:.%]+\]|[^\s:[\]/@]+):(\d{1,5})$/.exec(value);
  return match !== null && Number(match[2]) >= 1 && Number(match[2]) <= 65_535;
}

const pem = (what: string) =>
  text(`${what} as PEM text, for example \${file(./${what.replaceAll(' ', '-')}.pem)}`).refine(
    (value) => value.includes('-----BEGIN '),
    {
      error: `${what} as PEM text, not a path`,
    },
  );

const SECRET_ARN =
  'the whole ARN of a secret, with the six characters at its end: arn:aws:secretsmanager:eu-west-1:123456789012:secret:rocketmq-AbCdEf';
const SSM_PARAMETER =
  'the name or ARN of a parameter: /rocketmq/credentials, or arn:aws:ssm:eu-west-1:123456789012:parameter/rocketmq/credentials';
const secretArn = orDeployed(
  text(SECRET_ARN).regex(
    /^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:.+-[A-Za-z0-9]{6}$/,
    { error: SECRET_ARN },
  ),
);
const ssmParameter = orDeployed(
  text(SSM_PARAMETER).regex(
    /^(arn:aws:ssm:[a-z0-9-]+:\d{12}:parameter\/)?[a-zA-Z0-9_.\-/]*[a-zA-Z0-9_.-]$/,
    { error: SSM_PARAMETER },
  ),
);
const kmsKeyArn = orDeployed(keyArn()).exactOptional();

const CREDENTIALS =
  'accessKey and secretKey, the ARN of a secret or parameter, { secretArn }, or { ssmParameter }';
const keys = options({
  accessKey: text('an access key'),
  secretKey: text('a secret key'),
  securityToken: text('a security token').exactOptional(),
});
/** Which of the forms is meant is seen first, so that a mistake is told in the words of that form. */
const credentials = z
  .unknown()
  .transform((value, context): z.output<typeof keys> | SecretReference => {
    const reference =
      typeof value === 'string'
        ? value.includes(':ssm:')
          ? { ssmParameter: value }
          : { secretArn: value }
        : (value as object | null);
    if (typeof reference !== 'object' || reference === null) {
      context.addIssue({ code: 'custom', message: CREDENTIALS });
      return z.NEVER;
    }
    const form =
      'secretArn' in reference
        ? options({ secretArn, kmsKeyArn })
        : 'ssmParameter' in reference
          ? options({ ssmParameter, kmsKeyArn })
          : keys;
    const parsed = form.safeParse(reference);
    if (parsed.success) return parsed.data;
    for (const { code, message, path } of parsed.error.issues)
      context.addIssue(
        code === 'unrecognized_keys'
          ? { code, keys: [], message, path }
          : { code: 'custom', message, path: typeof value === 'string' ? [] : path },
      );
    return z.NEVER;
  });

const tls = options({
  /** JSON with the PEM texts, fetched at run time. */
  secretArn: secretArn.exactOptional(),
  ssmParameter: ssmParameter.exactOptional(),
  kmsKeyArn,
  enabled: trueOrFalse().default(true),
  caCertificate: pem('ca certificate').exactOptional(),
  clientCertificate: pem('client certificate').exactOptional(),
  clientKey: pem('client key').exactOptional(),
  serverName: text('the name in the server certificate').exactOptional(),
  verify: trueOrFalse().default(true),
})
  .refine((value) => (value.clientCertificate === undefined) === (value.clientKey === undefined), {
    error: 'clientCertificate and clientKey together',
  })
  .refine((value) => value.secretArn === undefined || value.ssmParameter === undefined, {
    error: 'secretArn or ssmParameter, not both',
  });

export const clusterOptions = options({
  nameServers: nameServers.describe('a list of `host:port`'),
  credentials: credentials
    .optional()
    .describe(
      '`{ accessKey, secretKey, securityToken }`, or where they are fetched at run time: the ARN of a secret or parameter, `{ secretArn, kmsKeyArn }`, `{ ssmParameter, kmsKeyArn }`',
    ),
  tls: tls
    .exactOptional()
    .describe(
      '`{ enabled, caCertificate, clientCertificate, clientKey, serverName, verify }`, PEM texts, or `{ secretArn }`, `{ ssmParameter }` with JSON of them',
    ),
  addressMap: z
    .record(address, address, {
      error: `announced broker address → reachable one, both ${ADDRESS}`,
    })
    .exactOptional()
    .describe('announced broker address → reachable one (NAT, load balancers)'),
  brokers: z
    .array(
      text(BROKER_ENTRY).refine((value) => parseBrokerEntry(value) !== undefined, {
        error: BROKER_ENTRY,
      }),
      { error: BROKERS },
    )
    .min(1, { error: BROKERS })
    .exactOptional()
    .describe(
      'the only brokers that are connected to: address blocks (`10.0.0.0/16`), addresses, names, `*.name`',
    ),
  namespace: z
    .string({ error: NAMESPACE })
    .regex(/^[|a-zA-Z0-9_-]{1,100}$/, { error: NAMESPACE })
    .exactOptional()
    .describe(
      'of version 1: brokers know every topic and group of the cluster as `<namespace>%<name>`',
    ),
});

const SIMPLE_STRATEGIES = ['AVG', 'AVG_BY_CIRCLE', 'CONSISTENT_HASH'] as const;
const STRATEGY = `AVG, AVG_BY_CIRCLE, CONSISTENT_HASH, or an object with name and settings for MACHINE_ROOM (rooms), MACHINE_ROOM_NEARBY (inner, slotRooms), CONFIG (queues)`;
const rooms = z
  .array(text('names of machine rooms'), { error: 'a list of machine rooms' })
  .min(1, { error: 'a list of machine rooms' });
const index = wholeNumber(0, 65_535);

const strategy = z.union(
  [
    oneOf(SIMPLE_STRATEGIES).transform(
      (name) =>
        ({ name }) as { name: 'AVG' } | { name: 'AVG_BY_CIRCLE' } | { name: 'CONSISTENT_HASH' },
    ),
    z.strictObject({ name: z.literal('AVG') }),
    z.strictObject({ name: z.literal('AVG_BY_CIRCLE') }),
    z.strictObject({
      name: z.literal('CONSISTENT_HASH'),
      virtualNodes: wholeNumber(1, 10_000).exactOptional(),
    }),
    z.strictObject({ name: z.literal('MACHINE_ROOM'), rooms }),
    z.strictObject({
      name: z.literal('MACHINE_ROOM_NEARBY'),
      inner: oneOf(SIMPLE_STRATEGIES).default('AVG'),
      slotRooms: rooms,
    }),
    z.strictObject({
      name: z.literal('CONFIG'),
      queues: z.array(
        z.strictObject({ slot: index, topic: text(''), brokerName: text(''), queueId: index }),
      ),
    }),
  ],
  { error: STRATEGY },
);

const MODELS = ['CLUSTERING', 'BROADCASTING'] as const;

export const groupOptions = options({
  strategy: strategy
    .default({ name: 'AVG' })
    .describe(
      'which slot gets which queue, as Java: AVG, AVG_BY_CIRCLE, CONSISTENT_HASH, MACHINE_ROOM, MACHINE_ROOM_NEARBY, CONFIG',
    ),
  coexist: trueOrFalse()
    .default(false)
    .describe('share the group with Java consumers: every slot is a member that they see'),
  messageModel: oneOf(MODELS)
    .default('CLUSTERING')
    .describe('BROADCASTING: this deployment gets every message, whoever else is in the group'),
  pullers: z
    .union([z.literal('queue'), wholeNumber(1, 1000)], {
      error: 'queue (an invocation per queue), or a number of slots from 1 to 1,000',
    })
    .default('queue')
    .describe(
      'queue: an invocation per queue; 1 to 1,000: that many slots, which share the queues',
    ),
  mode: oneOf(['pull', 'pop'])
    .default('pull')
    .describe('pop: brokers hand out single messages (RocketMQ ≥ 5.0)'),
  idleTimeout: z
    .union([z.literal('never'), wholeNumber(1, 900)], {
      error: 'seconds from 1 to 900, or never (a puller per queue or slot at all times)',
    })
    .exactOptional()
    .describe(
      'seconds without a message after which a puller goes (20), or never: every queue has one from the start',
    ),
  scaling: options({
    activationLagThreshold: wholeNumber(0, 1_000_000_000).default(0),
    maxMessageAgeSeconds: wholeNumber(1, 86_400).default(30),
  })
    .exactOptional()
    .describe(
      '`{ activationLagThreshold, maxMessageAgeSeconds }`: a queue without a puller gets one when more messages wait than that, or the first so long (30); without it, at the first message',
    ),
  trace: z
    .union([trueOrFalse(), z.strictObject({ topic: rocketmqName('topic', LONGEST_TOPIC) })], {
      error:
        'true (topic RMQ_SYS_TRACE_TOPIC, of brokers with traceTopicEnable), false, or { topic }',
    })
    .default(false)
    .describe(
      "every handler call in the message trace, as Java's enableMsgTrace: true, or `{ topic }`",
    ),
});

export type GroupOptions = z.output<typeof groupOptions>;
export const groupDefaults: GroupOptions = groupOptions.parse({});

/** `custom.rocketmq` of serverless.yml. */
export const serviceOptions = options({
  clusters: z
    .record(text('the name of a cluster'), clusterOptions, {
      error: 'a cluster: { default: { nameServers: ["ns1.internal:9876"] } }',
    })
    .refine((clusters) => Object.keys(clusters).length > 0, {
      error: 'a cluster: { default: { nameServers: ["ns1.internal:9876"] } }',
    })
    .describe('RocketMQ clusters by name'),
  groups: z
    .record(text('the name of a consumer group'), groupOptions, {
      error: 'settings by consumer group',
    })
    .default({})
    .describe('settings by consumer group'),
  puller: options({
    timeout: wholeNumber(60, 900).default(840),
    memorySize: wholeNumber(128, 10_240).default(512),
    reservedConcurrency: wholeNumber(1, 1000).exactOptional(),
  })
    .prefault({})
    .describe(
      '`{ timeout, memorySize, reservedConcurrency }` of the puller function; more memory is also more processor',
    ),
  coordinator: options({
    mode: oneOf(['watch', 'schedule']).default('watch'),
    memorySize: wholeNumber(128, 10_240).default(256),
  })
    .prefault({})
    .describe(
      '`{ mode, memorySize }`; mode watch: a run lasts until the next one and sees a message in an idle queue at once; schedule: one look a minute',
    ),
  ...operationOptions,
  allowPlainSecrets: trueOrFalse()
    .default(false)
    .describe(
      'package secretKey, securityToken, clientKey and private keys that stand here as plain texts; for tests and local brokers',
    ),
  table: options({
    name: orDeployed(
      text(TABLE_NAME).regex(/^[a-zA-Z0-9_.-]{3,255}$/, { error: TABLE_NAME }),
    ).exactOptional(),
    pointInTimeRecovery: trueOrFalse().default(false),
    retain: trueOrFalse().default(true),
    deletionProtection: trueOrFalse().default(false),
    kmsKeyArn,
    takeOver: trueOrFalse().exactOptional(),
  })
    .refine(({ name, deletionProtection }) => name === undefined || !deletionProtection, {
      path: ['deletionProtection'],
      error: 'false beside name, and protect the existing table where it is defined',
    })
    .refine(({ name, pointInTimeRecovery }) => name === undefined || !pointInTimeRecovery, {
      path: ['pointInTimeRecovery'],
      error: 'false beside name, and switch it on where the existing table is defined',
    })
    .refine(({ retain, deletionProtection }) => retain || !deletionProtection, {
      path: ['retain'],
      error: 'true beside deletionProtection, which refuses to delete the table with its stack',
    })
    .prefault({})
    .describe(
      '`{ pointInTimeRecovery, retain, deletionProtection, kmsKeyArn }`, or `{ name, kmsKeyArn }` of a table that exists already, with the keys `pk` and `sk`; with `kmsKeyArn` the KMS key encrypts the table. `takeOver`: the items that an earlier build wrote for these groups are this service’s (`true`, the default without `name`) or another service’s (`false`); with `name` and without `takeOver`, a group that finds such items does not begin',
    ),
});

export type ServiceOptions = z.output<typeof serviceOptions>;
