import { MAX_CLOCK_SKEW_MS } from '../src/model/clock-skew.ts';
import type { SourceConfig, SubscriptionConfig } from '../src/model/source.ts';
import { drainBound } from './drain-bound.ts';
import { createRandom, type Random } from './kernel/random.ts';
import type { Behaviour, CallFailures, Fault, Plan, PlannedMessage } from './plan.ts';

const TOPIC = 'orders';
const SECOND_TOPIC = 'bills';
const BROKER = 'broker-a';

export interface Shape {
  readonly brokers?: readonly string[];
  readonly queues: number;
  /** Queues that the topic has at first. */
  readonly firstQueues?: number;
  readonly messages: number;
  /** The messages come within this time. */
  readonly withinMs: number;
  readonly behaviours: (random: Random) => Behaviour;
  readonly subscription?: Partial<SubscriptionConfig>;
  readonly source?: Partial<SourceConfig>;
  readonly faults?: readonly Fault[];
  readonly pullerTimeoutMs?: number;
  readonly memoryBytes?: number;
  readonly bodyBytes?: number;
  readonly bornEarlierMs?: number;
  readonly handlerMs?: readonly [number, number];
  readonly callFailures?: CallFailures;
  readonly isolates?: true;
  readonly promptMs?: number;
  /** The group has a second event, of another topic and function, and half of the messages are its. */
  readonly hasSecondEvent?: boolean;
  readonly othersWithinMs?: number;
  readonly maxCalls?: number;
  /** Of each host's clock, either way; default: 900. */
  readonly maxSkewMs?: number;
  readonly options?: Plan['options'];
  readonly programs?: Plan['programs'];
  readonly upgradeAt?: number;
  /** Share of the messages that their producer sends twice: it has no answer to the first send. */
  readonly twice?: number;
  /** A stricter bound than the computed one. */
  readonly drainMs?: number;
}

type Scenario = (random: Random) => Shape;

const OK: Behaviour = { kind: 'ok' };
const always = (): Behaviour => OK;
/** Mostly good, some that fail a few times, one that never succeeds. */
const mixed = (random: Random): Behaviour => {
  const dice = random.int(1, 20);
  if (dice <= 2) return { kind: 'fails', times: random.int(1, 2) };
  if (dice === 3) return { kind: 'fails', times: 99 };
  if (dice === 4) return { kind: 'throws', times: random.int(1, 2) };
  if (dice === 5) return { kind: 'times-out', times: 1 };
  if (dice === 6) return { kind: 'dropped' };
  return OK;
};

const some = <T>(random: Random, min: number, max: number, make: () => T): T[] =>
  Array.from({ length: random.int(min, max) }, make);
const time = (random: Random): number => random.int(1_000, 50_000);
const PROCESSES = ['puller', 'puller', 'puller', 'coordinator'] as const;

function brokerFaults(random: Random, broker: string): Fault[] {
  return some(random, 1, 4, (): Fault => {
    const at = time(random);
    switch (random.int(1, 7)) {
      case 1:
        return {
          kind: 'broker-restart',
          at,
          broker,
          how: random.pick(['TERM', 'KILL']),
          ms: random.int(500, 30_000),
        };
      case 2:
        return { kind: 'broker-silent', at, broker, ms: random.int(500, 20_000) };
      case 3:
        return { kind: 'broker-frozen', at, broker, ms: random.int(500, 20_000) };
      case 4:
        return { kind: 'name-server-away', at, ms: random.int(500, 30_000) };
      default:
        return requestFault(random);
    }
  });
}

function requestFault(random: Random): Extract<Fault, { readonly kind: 'request' }> {
  return {
    kind: 'request',
    code: random.pick([
      'PULL_MESSAGE',
      'UPDATE_CONSUMER_OFFSET',
      'UPDATE_CONSUMER_OFFSET',
      'QUERY_CONSUMER_OFFSET',
      'CONSUMER_SEND_MSG_BACK',
      'GET_MAX_OFFSET',
    ] as const),
    nth: random.int(1, 12),
    fate: random.pick([
      'lost',
      'answer-lost',
      'disconnected',
      'disconnected-after',
      'late',
      'busy',
    ] as const),
    ms: random.int(100, 6_000),
  };
}

function tableFaults(random: Random): Fault[] {
  return some(
    random,
    1,
    5,
    (): Fault =>
      random.chance(0.3)
        ? { kind: 'table-down', at: time(random), ms: random.int(1_000, 25_000) }
        : {
            kind: 'table-request',
            nth: random.int(1, 60),
            fate: random.pick(['throttled', 'lost', 'answer-lost', 'late'] as const),
          },
  );
}

function processFaults(random: Random): Fault[] {
  return some(random, 1, 4, (): Fault => {
    const at = time(random);
    switch (random.int(1, 7)) {
      case 1:
      case 2:
        return { kind: 'kill', at, of: random.pick(PROCESSES), which: random.int(0, 9) };
      case 3:
        return {
          kind: 'kill-at-request',
          of: random.pick(PROCESSES),
          invocation: random.int(1, 4),
          request: random.int(1, 25),
        };
      case 4:
        return {
          kind: 'freeze',
          at,
          of: random.pick(PROCESSES),
          which: random.int(0, 9),
          ms: random.int(1_000, 45_000),
        };
      case 5:
        return { kind: 'lambda-throttled', at, ms: random.int(1_000, 20_000) };
      case 6:
        return {
          kind: 'invocation',
          nth: random.int(1, 6),
          fate: random.pick(['late', 'twice', 'never'] as const),
          ms: random.int(500, 40_000),
        };
      default:
        return {
          kind: 'handler-call',
          nth: random.int(1, 12),
          fate: random.pick(['answer-lost', 'cut-off', 'dies', 'slow'] as const),
        };
    }
  });
}

function popFaults(random: Random): Fault[] {
  return some(
    random,
    1,
    4,
    (): Fault => ({
      ...requestFault(random),
      code: random.pick(['POP_MESSAGE', 'ACK_MESSAGE', 'CHANGE_MESSAGE_INVISIBLETIME'] as const),
    }),
  );
}

/** Sometimes every attempt of one message, so that it goes to the DLQ. */
function destinationFaults(random: Random): Fault[] {
  const first = random.int(1, 8);
  const nths = random.chance(0.5)
    ? [first, first + 1, first + 2]
    : some(random, 1, 6, () => random.int(1, 12));
  return [
    ...nths.map(
      (nth): Fault => ({
        kind: 'destination-request',
        nth,
        fate: random.pick(['throttled', 'lost', 'answer-lost', 'hangs'] as const),
      }),
    ),
    ...(random.chance(0.5) ? processFaults(random) : []),
  ];
}

function anyFaults(random: Random): Fault[] {
  return [
    ...(random.chance(0.6) ? brokerFaults(random, BROKER) : []),
    ...(random.chance(0.5) ? tableFaults(random) : []),
    ...(random.chance(0.8) ? processFaults(random) : []),
  ];
}

/** Programs end and die, their brokers are away, and their topic has more queues. */
function programFaults(random: Random): Fault[] {
  const ends = some(
    random,
    0,
    4,
    (): Fault => ({
      kind: 'program-ends',
      at: time(random),
      which: random.int(0, 9),
      how: random.pick(['loop-left', 'loop-aborted', 'exit', 'close'] as const),
    }),
  );
  const deaths = some(random, 0, 2, (): Fault => {
    const at = time(random);
    const which = random.int(0, 9);
    return random.chance(0.6)
      ? { kind: 'kill', at, of: 'puller', which }
      : { kind: 'freeze', at, of: 'puller', which, ms: random.int(1_000, 45_000) };
  });
  return [
    ...ends,
    ...deaths,
    ...(random.chance(0.6) ? brokerFaults(random, BROKER) : []),
    { kind: 'queues-added', at: time(random), topic: TOPIC, broker: BROKER, queues: 4 },
  ];
}

/** Another deployment: some options are others, whatever runs goes on with the old ones. */
function redeployment(random: Random): Fault {
  return {
    kind: 'redeploy',
    at: time(random),
    subscription: {
      batchSize: random.int(1, 20),
      maximumRetryAttempts: 3,
      ...(random.chance(0.5) && { parallelizationFactor: random.int(1, 3) }),
      ...(random.chance(0.3) && {
        order: random.chance(0.3) ? undefined : order(random.pick(['queue', 'key'] as const)).order,
      }),
      ...(random.chance(0.3) && {
        filter: { type: 'TAG', expression: random.pick(['*', 't0', 't0||t1']) },
      }),
    },
    source: random.chance(0.5) ? { pullers: random.pick(['queue', 1, 2] as const) } : {},
  };
}

const order = (by: 'queue' | 'key'): Partial<SubscriptionConfig> => ({
  order: {
    by,
    suspendCurrentQueueTimeMillis: 500,
    ...(by === 'key' ? { key: 'SHARDING_KEY' } : {}),
  },
});

/** Messages that end their puller however often they come. */
const poisoned = (
  random: Random,
  messages: number,
  isPoison: (random: Random) => boolean,
): Shape => ({
  queues: 1,
  messages,
  withinMs: 5_000,
  behaviours: (own) => (isPoison(own) ? { kind: 'kills', times: 99 } : OK),
  subscription: {
    maximumRetryAttempts: 0,
    batchSize: random.int(1, 4),
    handler: { invocation: 'inline', functionKey: 'handler', functionName: 'handler', timeout: 5 },
  },
});

/** Every scenario by its name: a seed's random numbers in, what is to happen out. */
export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  steady: () => ({ queues: 2, messages: 30, withinMs: 40_000, behaviours: always }),
  retries: (random) => ({
    queues: 2,
    messages: 24,
    withinMs: 15_000,
    behaviours: mixed,
    subscription: { maximumRetryAttempts: random.int(0, 3) },
  }),
  bisect: (random) => ({
    queues: 1,
    messages: 24,
    withinMs: 1_000,
    behaviours: (own) =>
      own.chance(0.15) ? { kind: 'throws', times: random.pick([1, 2, 99]) } : OK,
    subscription: { maximumRetryAttempts: 1, batchSize: random.int(4, 16) },
  }),
  broker: (random) => ({
    queues: 2,
    messages: 24,
    withinMs: 45_000,
    behaviours: mixed,
    faults: brokerFaults(random, BROKER),
  }),
  table: (random) => ({
    queues: 2,
    messages: 24,
    withinMs: 45_000,
    behaviours: always,
    faults: tableFaults(random),
  }),
  // A deployment whose items have neither service nor stage in their keys is replaced while its pullers run.
  upgrade: (random) => ({
    queues: 3,
    messages: 60,
    withinMs: 150_000,
    behaviours: mixed,
    upgradeAt: random.int(20_000, 100_000),
    source: random.pick<Partial<SourceConfig>>([
      {},
      { pullers: 2 },
      { messageModel: 'BROADCASTING' },
      { coexist: true, pullers: 2 },
    ]),
    subscription: random.pick<Partial<SubscriptionConfig>>([
      {},
      { batchSize: 3 },
      { parallelizationFactor: 2 },
    ]),
    faults: random.chance(0.6) ? [...tableFaults(random), ...processFaults(random)] : [],
  }),
  // The same where the slots have leases too.
  'upgrade-limited': (random) => ({
    queues: 3,
    messages: 60,
    withinMs: 150_000,
    behaviours: mixed,
    upgradeAt: random.int(20_000, 100_000),
    source: { pullers: random.int(1, 2) },
    subscription: { maximumConcurrency: random.int(2, 3), batchSize: random.int(1, 3) },
    faults: random.chance(0.6) ? [...tableFaults(random), ...processFaults(random)] : [],
  }),
  // The same where the leases are those of pops.
  'upgrade-pop': (random) => ({
    queues: 2,
    messages: 40,
    withinMs: 150_000,
    behaviours: mixed,
    upgradeAt: random.int(20_000, 100_000),
    source: { mode: 'pop', pullers: random.pick(['queue', 1, 2] as const) },
    subscription: { maximumRetryAttempts: random.int(1, 3), batchSize: random.int(1, 10) },
    options: { popInvisibleMs: 15_000 },
    faults: random.chance(0.6) ? [...tableFaults(random), ...processFaults(random)] : [],
  }),
  lambda: (random) => ({
    queues: 2,
    messages: 24,
    withinMs: 45_000,
    behaviours: mixed,
    faults: processFaults(random),
  }),
  everything: (random) => ({
    queues: random.int(1, 3),
    messages: 30,
    withinMs: 50_000,
    behaviours: mixed,
    subscription: {
      maximumRetryAttempts: random.int(1, 3),
      parallelizationFactor: random.int(1, 2),
    },
    source: { pullers: random.pick(['queue', 1, 2] as const) },
    faults: anyFaults(random),
    pullerTimeoutMs: random.pick([45_000, 90_000]),
  }),
  'ordered-by-queue': (random) => ({
    queues: 2,
    messages: 20,
    withinMs: 45_000,
    behaviours: mixed,
    subscription: { ...order('queue'), maximumRetryAttempts: 2, batchSize: random.int(1, 5) },
    faults: random.chance(0.8) ? anyFaults(random) : [],
  }),
  'ordered-by-key': (random) => ({
    queues: 2,
    messages: 24,
    withinMs: 45_000,
    behaviours: mixed,
    subscription: {
      ...order('key'),
      maximumRetryAttempts: 2,
      batchSize: random.int(1, 5),
      parallelizationFactor: random.int(1, 3),
    },
    faults: random.chance(0.8) ? anyFaults(random) : [],
  }),
  rebalance: (random) => ({
    queues: 3,
    messages: 30,
    withinMs: 60_000,
    behaviours: always,
    source: { pullers: random.int(1, 3) },
    faults: [
      ...some(
        random,
        1,
        3,
        (): Fault => ({ kind: 'slots', at: time(random), pullers: random.int(1, 4) }),
      ),
      ...(random.chance(0.5)
        ? [
            {
              kind: 'queues-added',
              at: time(random),
              topic: TOPIC,
              broker: BROKER,
              queues: 4,
            } as const,
          ]
        : []),
      ...(random.chance(0.5) ? processFaults(random) : []),
    ],
  }),
  redeploy: (random) => ({
    queues: 2,
    messages: 24,
    withinMs: 45_000,
    behaviours: mixed,
    faults: [
      ...some(random, 1, 3, () => redeployment(random)),
      ...(random.chance(0.5) ? processFaults(random) : []),
    ],
  }),
  'java-members': (random) => ({
    queues: 3,
    messages: 60,
    withinMs: 150_000,
    behaviours: mixed,
    source: { coexist: true, pullers: random.int(1, 2) },
    faults: [
      ...some(
        random,
        1,
        2,
        (): Fault => ({
          kind: 'java-member',
          at: random.int(500, 30_000),
          ms: random.int(40_000, 150_000),
          dies: random.chance(0.5),
        }),
      ),
      ...(random.chance(0.4) ? processFaults(random) : []),
    ],
  }),
  'two-deployments': (random) => ({
    queues: 3,
    messages: 40,
    withinMs: 120_000,
    behaviours: mixed,
    source: { coexist: random.chance(0.7), pullers: random.int(1, 2) },
    faults: [
      { kind: 'second-deployment', at: random.int(500, 40_000), ms: random.int(30_000, 100_000) },
      ...(random.chance(0.5) ? processFaults(random) : []),
    ],
  }),
  recreated: (random) => ({
    queues: 2,
    messages: 40,
    withinMs: 120_000,
    behaviours: mixed,
    faults: [
      {
        kind: 'topic-recreated',
        at: random.int(10_000, 60_000),
        ms: random.chance(0.5) ? random.int(500, 8_000) : random.int(8_000, 100_000),
        keepsOffsets: random.chance(0.5),
      },
      ...(random.chance(0.4) ? processFaults(random) : []),
    ],
  }),
  pop: (random) => ({
    queues: 2,
    messages: 24,
    withinMs: 45_000,
    behaviours: mixed,
    source: { mode: 'pop', pullers: random.pick(['queue', 1, 2] as const) },
    subscription: {
      maximumRetryAttempts: random.int(1, 3),
      batchSize: random.int(1, 10),
      parallelizationFactor: random.int(1, 2),
    },
    options: { popInvisibleMs: 15_000 },
    faults: random.chance(0.7) ? [...popFaults(random), ...processFaults(random)] : [],
  }),
  // A handler takes longer than the invisible time.
  'pop-slow': (random) => ({
    queues: 1,
    messages: 6,
    withinMs: 20_000,
    behaviours: always,
    source: { mode: 'pop' },
    subscription: {
      batchSize: random.int(1, 3),
      handler: {
        invocation: 'function',
        functionKey: 'handler',
        functionName: 'handler',
        timeout: 30,
      },
    },
    handlerMs: [16_000, 28_000],
    // Prolonged at its half, and ours until 5 s before its end: so more than 10 s.
    options: { popInvisibleMs: 15_000 },
    pullerTimeoutMs: 120_000,
  }),
  'sent-twice': (random) => ({
    queues: 2,
    messages: 16,
    withinMs: 20_000,
    behaviours: mixed,
    twice: 0.5,
    subscription: { maximumRetryAttempts: random.int(0, 2), ...random.pick([{}, order('key')]) },
    faults: random.chance(0.5) ? anyFaults(random) : [],
  }),
  operator: (random) => ({
    queues: 2,
    messages: 30,
    withinMs: 45_000,
    behaviours: mixed,
    faults: [
      ...some(
        random,
        1,
        2,
        (): Fault => ({
          kind: 'operator',
          at: time(random),
          command: random.pick(['pause', 'skip', 'reset'] as const),
          queueId: random.int(0, 1),
          ms: random.int(2_000, 60_000),
        }),
      ),
      ...(random.chance(0.3)
        ? [{ kind: 'mqadmin-reset', at: time(random), queueId: 0, isLost: false } as const]
        : []),
      ...(random.chance(0.3) ? processFaults(random) : []),
    ],
  }),
  skips: (random) => ({
    queues: 1,
    messages: 40,
    withinMs: 45_000,
    behaviours: always,
    subscription: { batchSize: random.int(1, 3) },
    handlerMs: [500, 4_000],
    faults: some(
      random,
      1,
      2,
      (): Fault => ({ kind: 'operator', at: time(random), command: 'skip', queueId: 0, ms: 5_000 }),
    ),
  }),
  mqadmin: (random) => ({
    queues: 1,
    messages: 40,
    withinMs: 50_000,
    behaviours: (own) => (own.chance(0.1) ? { kind: 'fails', times: 1 } : OK),
    subscription: { batchSize: random.int(1, 3), parallelizationFactor: random.int(1, 2) },
    handlerMs: [500, 4_000],
    faults: some(
      random,
      1,
      2,
      (): Fault => ({
        kind: 'mqadmin-reset',
        at: time(random),
        queueId: 0,
        isLost: random.chance(0.7),
      }),
    ),
  }),
  sparse: () => ({
    queues: 2,
    messages: 6,
    withinMs: 400_000,
    behaviours: always,
    promptMs: 12_000,
  }),
  deadline: (random) => ({
    queues: 2,
    messages: 60,
    withinMs: 150_000,
    behaviours: (own) => (own.chance(0.2) ? { kind: 'times-out', times: 1 } : OK),
    faults: [{ kind: 'no-coordinator', at: random.int(4_000, 8_000), ms: 130_000 }],
  }),
  memory: (random) => ({
    queues: 1,
    messages: 100,
    withinMs: 2_000,
    behaviours: (own) => (own.chance(0.1) ? { kind: 'fails', times: 1 } : OK),
    subscription: { batchSize: random.int(1, 4) },
    memoryBytes: 20 * 1024 * 1024,
    bodyBytes: 130_000,
    handlerMs: [500, 1_500],
  }),
  // What the deliverers can take is several times the memory for answers.
  'pop-memory': (random) => ({
    queues: 2,
    messages: 72,
    withinMs: 1_000,
    behaviours: (own) => (own.chance(0.1) ? { kind: 'fails', times: 1 } : OK),
    source: { mode: 'pop', pullers: random.int(1, 2) },
    subscription: { batchSize: 16, parallelizationFactor: random.int(2, 4) },
    memoryBytes: 4 * 1024 * 1024,
    bodyBytes: 60_000,
    handlerMs: [500, 1_500],
  }),
  coexist: (random) => ({
    queues: 3,
    messages: 24,
    withinMs: 45_000,
    behaviours: mixed,
    source: { coexist: true, pullers: random.int(1, 2) },
    faults: random.chance(0.6) ? anyFaults(random) : [],
  }),
  limited: (random) => ({
    queues: 3,
    messages: 30,
    withinMs: 45_000,
    behaviours: mixed,
    source: { pullers: random.int(1, 2) },
    subscription: { maximumConcurrency: random.int(2, 3), batchSize: random.int(1, 3) },
    faults: random.chance(0.6) ? anyFaults(random) : [],
  }),
  mute: (random) => ({
    queues: 2,
    messages: 30,
    withinMs: 60_000,
    behaviours: always,
    promptMs: 45_000,
    faults: some(
      random,
      1,
      2,
      (): Fault => ({
        kind: 'connections-mute',
        at: time(random),
        broker: BROKER,
      }),
    ),
  }),
  growth: (random) => ({
    queues: 4,
    firstQueues: random.int(1, 3),
    messages: 24,
    withinMs: 40_000,
    behaviours: always,
    faults: [
      {
        kind: 'queues-added',
        at: random.int(1_000, 20_000),
        topic: TOPIC,
        broker: BROKER,
        queues: 4,
      },
    ],
  }),
  // Queues that appear while the group is paused are paused, whoever makes their items.
  'paused-growth': (random) => ({
    queues: 4,
    firstQueues: random.int(1, 3),
    messages: 24,
    withinMs: 40_000,
    behaviours: always,
    source: { coexist: random.chance(0.7), pullers: random.int(1, 2) },
    faults: [
      {
        kind: 'operator',
        at: random.int(1_000, 20_000),
        command: 'pause',
        queueId: 0,
        ms: random.int(30_000, 60_000),
      },
      {
        kind: 'queues-added',
        at: random.int(1_000, 30_000),
        topic: TOPIC,
        broker: BROKER,
        queues: 4,
      },
    ],
  }),
  broadcasting: (random) => ({
    queues: 2,
    messages: 24,
    withinMs: 45_000,
    behaviours: mixed,
    source: { messageModel: 'BROADCASTING' },
    faults: random.chance(0.7) ? [...tableFaults(random), ...processFaults(random)] : [],
  }),
  // Pullers die one after the other, and the next one goes on from what the table has.
  'broadcasting-deaths': (random) => ({
    queues: 2,
    messages: 60,
    withinMs: 120_000,
    behaviours: always,
    source: { messageModel: 'BROADCASTING' },
    faults: Array.from({ length: 6 }, () => ({
      kind: 'kill',
      at: random.int(10_000, 150_000),
      of: 'puller',
      which: random.int(0, 9),
    })),
  }),
  // The broker loses commits that it confirmed, at work and between two pullers. A coordinator that is killed explains no repeat.
  'lost-commits': (random) => ({
    queues: 2,
    messages: 60,
    withinMs: 110_000,
    behaviours: always,
    pullerTimeoutMs: random.int(28_000, 45_000),
    faults: [
      ...[random.int(15_000, 40_000), random.int(110_000, 115_000)].map(
        (at): Fault => ({
          kind: 'broker-restart',
          at,
          broker: BROKER,
          how: 'KILL',
          ms: random.int(2_000, 10_000),
        }),
      ),
      { kind: 'kill', at: time(random), of: 'coordinator', which: 0 },
    ],
  }),
  'unseen-restart': (random) => {
    const at = random.int(8_000, 30_000);
    return {
      queues: 2,
      messages: 40,
      withinMs: 45_000,
      behaviours: always,
      faults: [
        {
          kind: 'freeze',
          at,
          of: 'puller',
          which: random.int(0, 2),
          ms: random.int(6_000, 12_000),
        },
        {
          kind: 'broker-restart',
          at: at + random.int(200, 2_000),
          broker: BROKER,
          how: 'KILL',
          ms: random.int(500, 2_000),
        },
      ],
    };
  },
  'two-brokers': (random) => ({
    brokers: [BROKER, 'broker-b'],
    queues: 2,
    messages: 24,
    withinMs: 45_000,
    behaviours: mixed,
    faults: brokerFaults(random, random.pick([BROKER, 'broker-b'])),
  }),
  'short-lived': () => ({
    queues: 2,
    messages: 40,
    withinMs: 120_000,
    behaviours: (own) => (own.chance(0.2) ? { kind: 'times-out', times: 1 } : OK),
    pullerTimeoutMs: 30_000,
  }),
  'short-lived-order': () => ({
    queues: 1,
    messages: 12,
    withinMs: 60_000,
    behaviours: (own) => (own.chance(0.3) ? { kind: 'fails', times: own.pick([2, 99]) } : OK),
    subscription: {
      order: { by: 'queue', suspendCurrentQueueTimeMillis: 9_000 },
      maximumRetryAttempts: 4,
      batchSize: 1,
    },
    pullerTimeoutMs: 30_000,
  }),
  'refused-sends': (random) => ({
    queues: 1,
    messages: 12,
    withinMs: 20_000,
    behaviours: (own) => (own.chance(0.5) ? { kind: 'fails', times: own.pick([1, 99]) } : OK),
    subscription: { maximumRetryAttempts: random.int(0, 4) },
    pullerTimeoutMs: random.pick([30_000, 60_000]),
    faults: [
      {
        kind: 'sends-fail',
        at: random.int(1_000, 10_000),
        ms: random.int(20_000, 90_000),
        fate: random.pick(['busy', 'answer-lost'] as const),
      },
      ...some(
        random,
        0,
        2,
        (): Fault => ({ kind: 'kill', at: time(random), of: 'puller', which: 0 }),
      ),
    ],
  }),
  // Pullers die between a dead letter and its commit.
  'dying-ends': (random) => ({
    queues: 1,
    messages: 30,
    withinMs: 20_000,
    behaviours: (own) => (own.chance(0.8) ? { kind: 'fails', times: 99 } : OK),
    subscription: {
      maximumRetryAttempts: 0,
      batchSize: random.int(1, 4),
      ...(random.chance(0.3) ? order('queue') : {}),
    },
    faults: [1, 2, 3].map(
      (invocation): Fault =>
        random.chance(0.7)
          ? { kind: 'kill-at-request', of: 'puller', invocation, request: random.int(5, 60) }
          : { kind: 'kill', at: random.int(3_000, 40_000), of: 'puller', which: 0 },
    ),
  }),
  'on-failure': (random) => ({
    queues: 1,
    messages: 14,
    withinMs: 20_000,
    behaviours: (own) => (own.chance(0.5) ? { kind: 'fails', times: own.pick([1, 99]) } : OK),
    subscription: {
      maximumRetryAttempts: random.int(0, 2),
      batchSize: random.int(1, 6),
      onFailure: random.pick([
        { type: 'sqs', arn: 'arn:aws:sqs:eu-central-1:123456789012:failed' },
        { type: 's3', arn: 'arn:aws:s3:::failed' },
      ] as const),
      ...(random.chance(0.3) ? order('queue') : {}),
    },
    faults: random.chance(0.8) ? destinationFaults(random) : [],
  }),
  aged: (random) => ({
    queues: 2,
    messages: 20,
    withinMs: 30_000,
    behaviours: (own) => (own.chance(0.2) ? { kind: 'fails', times: own.pick([1, 999]) } : OK),
    bornEarlierMs: random.pick([0, 3_600_000]),
    subscription: { maximumRecordAgeInSeconds: random.int(30, 90), maximumRetryAttempts: -1 },
  }),
  'slow-failures': (random) => ({
    queues: 1,
    messages: 10,
    withinMs: 1_000,
    behaviours: (own) => (own.chance(0.4) ? { kind: 'times-out', times: 99 } : OK),
    subscription: {
      maximumRetryAttempts: 0,
      batchSize: random.int(5, 10),
      handler: {
        invocation: 'function',
        functionKey: 'handler',
        functionName: 'handler',
        timeout: 10,
      },
    },
    // After a call that took its whole timeout a second one fits with luck, or never.
    pullerTimeoutMs: random.pick([28_000, 28_200, 28_400, 28_600]),
  }),
  // Each lease ends while its holder still waits for the function that the first one may have called.
  'deaths-in-a-row': (random) => ({
    queues: 1,
    messages: 4,
    withinMs: 60_000,
    behaviours: always,
    subscription: {
      ...order('key'),
      handler: {
        invocation: 'function',
        functionKey: 'handler',
        functionName: 'handler',
        timeout: 100,
      },
    },
    pullerTimeoutMs: 240_000,
    source: { pullers: 1 },
    faults: [10_000, 45_000, 80_000].map(
      (at): Fault => ({ kind: 'kill', at: at + random.int(0, 2_000), of: 'puller', which: 0 }),
    ),
    drainMs: 90_000,
  }),
  'stale-holders': (random) => ({
    queues: 2,
    messages: 100,
    withinMs: 100_000,
    behaviours: always,
    faults: some(random, 1, 4, (): Fault => {
      const at = random.int(5_000, 60_000);
      const ofPuller = { of: 'puller', which: random.int(0, 9), at } as const;
      switch (random.int(1, 4)) {
        case 1:
          return { kind: 'table-down', at, ms: random.int(20_000, 40_000) };
        case 2:
          return { kind: 'freeze', ...ofPuller, ms: random.int(20_000, 45_000) };
        default:
          return { kind: 'table-cut', ...ofPuller, ms: random.int(20_000, 60_000) };
      }
    }),
  }),
  'slow-functions': (random) => ({
    queues: 1,
    messages: 20,
    withinMs: 60_000,
    behaviours: always,
    subscription: {
      ...order(random.pick(['queue', 'key'] as const)),
      handler: {
        invocation: 'function',
        functionKey: 'handler',
        functionName: 'handler',
        timeout: 40,
      },
    },
    pullerTimeoutMs: 120_000,
    faults: some(
      random,
      2,
      4,
      (): Fault => ({
        kind: 'handler-call',
        nth: random.int(1, 8),
        fate: random.pick(['slow', 'cut-off'] as const),
      }),
    ).concat(
      some(
        random,
        0,
        2,
        (): Fault => ({ kind: 'kill', at: time(random), of: 'puller', which: random.int(0, 9) }),
      ),
    ),
  }),
  throttled: (random) => ({
    queues: 2,
    messages: 30,
    withinMs: 40_000,
    behaviours: always,
    subscription: { maximumRetryAttempts: random.int(0, 1) },
    faults: some(
      random,
      1,
      2,
      (): Fault => ({
        kind: 'lambda-throttled',
        at: time(random),
        ms: random.int(5_000, 20_000),
      }),
    ),
  }),
  // Redeliveries of both events are in one queue, and one event cannot be called for minutes.
  'absent-event': (random) => {
    const at = random.int(2_000, 15_000);
    const hasFaults = random.chance(0.4);
    return {
      queues: 1,
      messages: 40,
      withinMs: 90_000,
      behaviours: (own) =>
        own.chance(0.6) ? { kind: 'fails', times: own.pick([1, 1, 2, 99]) } : OK,
      hasSecondEvent: true,
      source: { coexist: random.chance(0.2), pullers: random.pick(['queue', 1] as const) },
      subscription: {
        maximumRetryAttempts: random.int(1, 3),
        batchSize: random.int(1, 10),
        parallelizationFactor: random.int(1, 2),
      },
      faults: [
        {
          kind: 'event-absent',
          at,
          ms: random.int(30_000, 240_000),
          topic: random.pick([TOPIC, SECOND_TOPIC]),
          how: random.pick(['disabled', 'throttled', 'missing'] as const),
        },
        ...(hasFaults ? anyFaults(random) : []),
      ],
      ...(!hasFaults && { othersWithinMs: 45_000 }),
    };
  },
  programs: (random) => {
    const [processes, consumers] = random.pick([
      [1, 1],
      [1, 1],
      [1, 2],
      [2, 1],
    ] as const);
    const isOnly = processes * consumers === 1;
    return {
      queues: 4,
      firstQueues: isOnly ? random.int(2, 4) : 4,
      messages: 40,
      withinMs: 45_000,
      behaviours: mixed,
      programs: {
        processes,
        consumers,
        commits: random.pick(['interval', 'interval', 'by-hand'] as const),
        maxCachedBytes: random.pick([200, 256 * 1024 * 1024]),
      },
      handlerMs: [2, 150],
      faults: programFaults(random),
    };
  },
  // The broker loses its last commits when no message follows, and programs start around its return.
  'programs-without-a-broker': (random) => {
    const at = random.int(2_000, 12_000);
    const ms = random.int(2_000, 15_000);
    return {
      queues: 4,
      messages: 24,
      withinMs: 10_000,
      behaviours: always,
      programs: { processes: 2, consumers: 1, commits: 'interval', maxCachedBytes: 1_000_000 },
      handlerMs: [2, 150],
      faults: [
        { kind: 'broker-restart', at, broker: BROKER, how: random.pick(['TERM', 'KILL']), ms },
        ...some(
          random,
          1,
          4,
          (): Fault => ({
            kind: 'program-ends',
            at: at + random.int(0, ms),
            which: random.int(0, 1),
            how: random.pick(['loop-aborted', 'exit', 'close'] as const),
          }),
        ),
      ],
    };
  },
  // Two clocks differ by up to 30 s, and no fault explains a repeat.
  skewed: (random) => {
    const modes: readonly Partial<Shape>[] = [
      {},
      { subscription: order('queue') },
      { subscription: order('key') },
      { subscription: { maximumConcurrency: 2 }, source: { pullers: 1 } },
      { source: { pullers: 2 } },
      { source: { messageModel: 'BROADCASTING' } },
      { source: { mode: 'pop' }, options: { popInvisibleMs: 30_000 } },
    ];
    return {
      queues: 2,
      messages: 60,
      withinMs: 120_000,
      behaviours: mixed,
      pullerTimeoutMs: random.pick([45_000, 90_000]),
      ...random.pick(modes),
      maxSkewMs: MAX_CLOCK_SKEW_MS / 2,
      faults: random.chance(0.3)
        ? [{ kind: 'kill', at: time(random), of: 'puller', which: random.int(0, 9) }]
        : [],
    };
  },
  // One batch that fails as a whole: in 2·log2(n) + 1 calls its messages have failed or are done.
  isolation: (random) => {
    const messages = random.int(8, 60);
    const calls = 2 * Math.ceil(Math.log2(messages)) + 1;
    const bad = random.pick([
      { kind: 'throws', times: 99 },
      { kind: 'times-out', times: 99 },
      { kind: 'throws', times: 1 },
    ] as const);
    let left = 1;
    return {
      queues: 1,
      messages,
      withinMs: 10,
      behaviours: () => (left-- > 0 ? bad : OK),
      subscription: { batchSize: 100, maximumRetryAttempts: 1 },
      pullerTimeoutMs: 300_000,
      handlerMs: [2, 500],
      // The last delivery of the message that failed goes alone.
      maxCalls: calls + 1,
      isolates: true,
    };
  },
  // Every message fails alike, fast or by its timeout: the halves are not split further.
  'all-poison': (random) => {
    const kind = random.pick(['throws', 'times-out'] as const);
    return {
      queues: 1,
      messages: random.int(8, 20),
      withinMs: 10,
      behaviours: () => ({ kind, times: 99 }),
      subscription: { batchSize: 100, maximumRetryAttempts: random.int(1, 2) },
      pullerTimeoutMs: 300_000,
      isolates: true,
    };
  },
  // What the handler needs is away for minutes: no message is lost, and none is in the DLQ.
  'dependency-away': (random) => {
    const untilMs = random.int(10_000, 120_000);
    return {
      queues: 1,
      messages: random.int(20, 50),
      withinMs: random.pick([10, 30_000]),
      behaviours: always,
      subscription: { batchSize: 100, maximumRetryAttempts: 16, retryDelay: { level: 4 } },
      callFailures: { kind: 'away', untilMs },
      handlerMs: random.pick([
        [2, 150],
        [3_000, 4_900],
      ] as const),
      pullerTimeoutMs: 300_000,
      isolates: true,
      drainMs: untilMs + 240_000,
    };
  },
  intermittent: (random) => ({
    queues: 1,
    messages: random.int(10, 40),
    withinMs: 5_000,
    behaviours: always,
    subscription: { batchSize: random.int(5, 50), maximumRetryAttempts: 16 },
    callFailures: { kind: 'sometimes', chance: random.pick([0.1, 0.3]) },
    drainMs: 600_000,
  }),
  // One bad message, and a tool that says that all failed: redeliveries find the one.
  'blaming-tools': (random) => {
    let left = 1;
    const modes: readonly Partial<Shape>[] = [
      {},
      {},
      { subscription: order('queue') },
      { subscription: order('key') },
      { source: { mode: 'pop' }, options: { popInvisibleMs: 15_000 } },
    ];
    const { subscription, ...mode } = random.pick(modes);
    const isAny = subscription === undefined && mode.source === undefined;
    // Where there is no last delivery by number, the age or the 16th failure isolates.
    const [times, limits] = random.pick([
      [99, { maximumRetryAttempts: random.int(1, 3) }],
      [99, { maximumRetryAttempts: random.int(1, 3) }],
      isAny
        ? [999, { maximumRetryAttempts: -1, maximumRecordAgeInSeconds: 60 }]
        : [20, { maximumRetryAttempts: -1 }],
    ] as const);
    return {
      ...mode,
      queues: 1,
      messages: random.int(5, 20),
      withinMs: random.pick([10, 10_000]),
      behaviours: () => (left-- > 0 ? { kind: 'fails', times } : OK),
      subscription: { ...subscription, batchSize: random.int(5, 100), ...limits },
      callFailures: { kind: 'blames-all', how: random.pick(['names', 'throws'] as const) },
      pullerTimeoutMs: 300_000,
    };
  },
  // All is there before the first pull, and a pull brings 32: each call but the last is full.
  backlog: (random) => {
    const batchSize = random.int(40, 90);
    const isFiltered = random.chance(0.6);
    const modes: readonly Partial<Shape>[] = [
      {},
      { subscription: order('key') },
      { source: { messageModel: 'BROADCASTING' } },
      { source: { mode: 'pop' }, options: { popInvisibleMs: 30_000 } },
    ];
    const { subscription, ...mode } = random.pick(modes);
    const messages = 300;
    // Every third message has the tag.
    const wanted = isFiltered ? messages / 3 : messages;
    return {
      ...mode,
      queues: 1,
      messages,
      withinMs: 10,
      behaviours: always,
      subscription: {
        ...subscription,
        batchSize,
        ...(isFiltered && {
          maximumBatchingWindow: random.int(1, 5),
          filterPatterns: [{ tags: ['t0'] }],
        }),
      },
      maxCalls: Math.ceil(wanted / batchSize),
    };
  },
  poison: (random) => poisoned(random, 1, () => true),
  'pop-poison': (random) => ({
    ...poisoned(random, 2, (own) => own.chance(0.7)),
    source: { mode: 'pop' },
    options: { popInvisibleMs: 15_000 },
  }),
  poisons: (random) => poisoned(random, 4, (own) => own.chance(0.5)),
  // Queues of one process die together: whoever was only beside a deadly message is not failed for it.
  'poisons-beside-others': (random) => ({
    ...poisoned(random, 10, (own) => own.chance(0.2)),
    queues: 3,
    source: random.pick([{ pullers: 1 }, { coexist: true, pullers: 1 }] as const),
  }),
  inline: (random) => ({
    queues: 2,
    messages: 20,
    withinMs: 20_000,
    behaviours: (own) =>
      own.chance(0.05) ? { kind: 'kills', times: random.int(1, 2) } : mixed(own),
    subscription: {
      handler: {
        invocation: 'inline',
        functionKey: 'handler',
        functionName: 'handler',
        timeout: 5,
      },
    },
  }),
};

/** The plan of a scenario and a seed. */
export function planOf(scenario: string, seed: number): Plan {
  const create = SCENARIOS[scenario];
  if (create === undefined)
    throw new RangeError(
      `no scenario "${scenario}": choose from ${Object.keys(SCENARIOS).join(', ')}`,
    );
  const random = createRandom(seed, `plan of ${scenario}`);
  return planFrom(create(random.fork('shape')), scenario, seed, random);
}

/** The plan of a shape: what it leaves open follows from the random numbers. */
export function planFrom(shape: Shape, scenario: string, seed: number, random: Random): Plan {
  const { brokers = [BROKER], queues } = shape;
  const ofMessages = random.fork('messages');
  const messages = Array.from(
    { length: shape.messages },
    (_, number): PlannedMessage => ({
      number,
      at: ofMessages.int(0, shape.withinMs),
      topic: shape.hasSecondEvent === true && number % 2 === 1 ? SECOND_TOPIC : TOPIC,
      brokerName: ofMessages.pick(brokers),
      queueId: ofMessages.int(0, queues - 1),
      key: `k${ofMessages.int(0, 4)}`,
      tag: `t${number % 3}`,
      behaviour: shape.behaviours(ofMessages),
    }),
  );
  const ofCopies = random.fork('copies');
  const copies = messages
    .filter(() => ofCopies.chance(shape.twice ?? 0))
    .map(
      (message, index): PlannedMessage => ({
        ...message,
        number: shape.messages + index,
        copyOf: message.number,
        at: message.at + ofCopies.int(0, 3_000),
        queueId: ofCopies.int(0, queues - 1),
        behaviour: shape.behaviours(ofCopies),
      }),
    );
  const first: SubscriptionConfig = {
    topic: TOPIC,
    filter: { type: 'TAG', expression: '*' },
    handler: {
      invocation: 'function',
      functionKey: 'handler',
      functionName: 'handler',
      timeout: 5,
    },
    batchSize: 10,
    parallelizationFactor: 1,
    startingPosition: 'TRIM_HORIZON',
    maximumRetryAttempts: 3,
    retryDelay: { level: 2 },
    enabled: true,
    ...shape.subscription,
  };
  const second: SubscriptionConfig = {
    ...first,
    topic: SECOND_TOPIC,
    handler: { ...first.handler, functionKey: SECOND_TOPIC, functionName: SECOND_TOPIC },
  };
  const subscriptions = shape.hasSecondEvent === true ? [first, second] : [first];
  const plan: Omit<Plan, 'drainMs'> = {
    scenario,
    seed,
    brokers,
    topics: subscriptions.map(({ topic: name }) => ({
      name,
      queues: shape.firstQueues ?? queues,
    })),
    source: {
      cluster: 'default',
      consumerGroup: 'workers',
      strategy: { name: 'AVG' },
      pullers: 'queue',
      ...shape.source,
      subscriptions,
    },
    messages: [...messages, ...copies],
    faults: shape.faults ?? [],
    pullerTimeoutMs: shape.pullerTimeoutMs ?? 90_000,
    maxSkewMs: shape.maxSkewMs ?? 900,
    memoryBytes: shape.memoryBytes ?? 512 * 1024 * 1024,
    bodyBytes: shape.bodyBytes ?? 10,
    bornEarlierMs: shape.bornEarlierMs ?? 0,
    ...(shape.handlerMs !== undefined && { handlerMs: shape.handlerMs }),
    ...(shape.callFailures !== undefined && { callFailures: shape.callFailures }),
    ...(shape.isolates !== undefined && { isolates: shape.isolates }),
    ...(shape.promptMs !== undefined && { promptMs: shape.promptMs }),
    ...(shape.othersWithinMs !== undefined && { othersWithinMs: shape.othersWithinMs }),
    ...(shape.maxCalls !== undefined && { maxCalls: shape.maxCalls }),
    ...(shape.options !== undefined && { options: shape.options }),
    ...(shape.programs !== undefined && { programs: shape.programs }),
    ...(shape.upgradeAt !== undefined && { upgradeAt: shape.upgradeAt }),
  };
  return { ...plan, drainMs: shape.drainMs ?? drainBound(plan) };
}
