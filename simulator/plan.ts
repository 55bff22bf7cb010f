import type { SourceConfig, SubscriptionConfig } from '../src/model/source.ts';
import type { PullerOptions } from '../src/puller/puller-deps.ts';
import type { RequestCode } from '../src/remoting/request-code.ts';

/** How a handler treats one message, by its number. */
export type Behaviour =
  | { readonly kind: 'ok' }
  /** Reported in batchItemFailures the first times. */
  | { readonly kind: 'fails'; readonly times: number }
  /** The whole call throws the first times. */
  | { readonly kind: 'throws'; readonly times: number }
  /** Its function takes longer than its timeout the first times. */
  | { readonly kind: 'times-out'; readonly times: number }
  /** Its process ends while the handler runs (inline: the puller's) the first times. */
  | { readonly kind: 'kills'; readonly times: number }
  /** `action: drop`. */
  | { readonly kind: 'dropped' };

export interface PlannedMessage {
  /** ms after the start. */
  readonly at: number;
  readonly number: number;
  readonly topic: string;
  readonly brokerName: string;
  readonly queueId: number;
  readonly key: string;
  readonly tag: string;
  /** Sent twice: the number of the first copy, whose UNIQ_KEY it has. */
  readonly copyOf?: number;
  readonly behaviour: Behaviour;
}

/** A fault at a time (ms after the start), or at the nth request of a kind. */
export type Fault =
  | { readonly kind: 'kill'; readonly at: number; readonly of: ProcessKind; readonly which: number }
  /** Before or after its nth request to broker or table goes out. */
  | {
      readonly kind: 'kill-at-request';
      readonly of: ProcessKind;
      readonly invocation: number;
      readonly request: number;
    }
  | {
      readonly kind: 'freeze';
      readonly at: number;
      readonly of: ProcessKind;
      readonly which: number;
      readonly ms: number;
    }
  | {
      readonly kind: 'request';
      readonly code: keyof typeof RequestCode;
      readonly nth: number;
      readonly fate:
        | 'lost'
        | 'answer-lost'
        | 'disconnected'
        | 'disconnected-after'
        | 'late'
        | 'busy';
      readonly ms: number;
    }
  | {
      readonly kind: 'broker-restart';
      readonly at: number;
      readonly broker: string;
      readonly how: 'TERM' | 'KILL';
      readonly ms: number;
    }
  | {
      readonly kind: 'broker-silent';
      readonly at: number;
      readonly broker: string;
      readonly ms: number;
    }
  | {
      readonly kind: 'broker-frozen';
      readonly at: number;
      readonly broker: string;
      readonly ms: number;
    }
  | { readonly kind: 'name-server-away'; readonly at: number; readonly ms: number }
  /** Whatever a process gives to a broker meanwhile: failed messages and dead letters. */
  | {
      readonly kind: 'sends-fail';
      readonly at: number;
      readonly ms: number;
      readonly fate: 'busy' | 'answer-lost';
    }
  /** Connections of the broker go dead without a word; new ones work. */
  | { readonly kind: 'connections-mute'; readonly at: number; readonly broker: string }
  | { readonly kind: 'table-down'; readonly at: number; readonly ms: number }
  | {
      readonly kind: 'table-request';
      readonly nth: number;
      readonly fate: 'throttled' | 'lost' | 'answer-lost' | 'late';
    }
  /** The nth attempt to give a message to the destination of `onFailure`. */
  | {
      readonly kind: 'destination-request';
      readonly nth: number;
      readonly fate: 'throttled' | 'lost' | 'answer-lost' | 'hangs';
    }
  | { readonly kind: 'lambda-throttled'; readonly at: number; readonly ms: number }
  /** Messages of one event have no handler meanwhile. */
  | {
      readonly kind: 'event-absent';
      readonly at: number;
      readonly ms: number;
      readonly topic: string;
      readonly how: 'disabled' | 'throttled' | 'missing';
    }
  /** The nth asynchronous invocation. */
  | {
      readonly kind: 'invocation';
      readonly nth: number;
      readonly fate: 'late' | 'twice' | 'never';
      readonly ms: number;
    }
  /** The nth handler call. */
  | {
      readonly kind: 'handler-call';
      readonly nth: number;
      readonly fate: 'answer-lost' | 'cut-off' | 'dies' | 'slow';
    }
  | {
      readonly kind: 'queues-added';
      readonly at: number;
      readonly topic: string;
      readonly broker: string;
      readonly queues: number;
    }
  /** The topic is deleted, with its messages, and created again after `ms`. Older brokers keep its offsets. */
  | {
      readonly kind: 'topic-recreated';
      readonly at: number;
      readonly ms: number;
      readonly keepsOffsets: boolean;
    }
  /** A member of the group that is none of ours. */
  | {
      readonly kind: 'java-member';
      readonly at: number;
      readonly ms: number;
      readonly dies: boolean;
    }
  /** Another stage with a table of its own works in the same group: its schedule is on for `ms`. */
  | { readonly kind: 'second-deployment'; readonly at: number; readonly ms: number }
  | { readonly kind: 'slots'; readonly at: number; readonly pullers: number }
  | {
      readonly kind: 'redeploy';
      readonly at: number;
      /** undefined: the option is taken away. */
      readonly subscription: {
        readonly [Name in keyof SubscriptionConfig]?: SubscriptionConfig[Name] | undefined;
      };
      readonly source?: Partial<SourceConfig>;
    }
  | {
      readonly kind: 'operator';
      readonly at: number;
      readonly command: 'pause' | 'skip' | 'reset';
      readonly queueId: number;
      readonly ms: number;
    }
  | {
      readonly kind: 'mqadmin-reset';
      readonly at: number;
      readonly queueId: number;
      /** The answer that tells the holder of it does not arrive. */
      readonly isLost: boolean;
    }
  /** One process does not reach the table. */
  | {
      readonly kind: 'table-cut';
      readonly at: number;
      readonly of: ProcessKind;
      readonly which: number;
      readonly ms: number;
    }
  /** One of the plan's programs ends its loops, or itself; then it starts again. */
  | {
      readonly kind: 'program-ends';
      readonly at: number;
      readonly which: number;
      readonly how: 'loop-left' | 'loop-aborted' | 'exit' | 'close';
    }
  /** Coordinators end, and the schedule starts none. */
  | { readonly kind: 'no-coordinator'; readonly at: number; readonly ms: number };

export type ProcessKind = 'puller' | 'coordinator' | 'handler';

/** All that a run depends on. Made from a seed by a scenario; a shrunk one has fewer faults. */
export interface Plan {
  readonly scenario: string;
  readonly seed: number;
  readonly brokers: readonly string[];
  readonly topics: readonly { readonly name: string; readonly queues: number }[];
  readonly source: SourceConfig;
  readonly messages: readonly PlannedMessage[];
  readonly faults: readonly Fault[];
  readonly pullerTimeoutMs: number;
  /** What a handler call takes, at least and at most. Absent: mostly milliseconds. */
  readonly handlerMs?: readonly [number, number];
  readonly maxSkewMs: number;
  /** Of a puller. */
  readonly memoryBytes: number;
  readonly bodyBytes: number;
  /** Of a puller, where they are not the default ones. */
  readonly options?: Partial<PullerOptions>;
  /** Until then, ms after the start, processes start with the version whose keys have no service and stage. */
  readonly upgradeAt?: number;
  /** Programs with PullConsumers consume instead of coordinators and pullers. */
  readonly programs?: {
    readonly processes: number;
    /** Of each process. More than one in all: each reads its share of the queues. */
    readonly consumers: number;
    readonly commits: 'interval' | 'by-hand';
    readonly maxCachedBytes: number;
  };
  /** So long before its store each message was made, by its producer's clock. */
  readonly bornEarlierMs: number;
  /** Without a fault a message is with its handler within this. Absent: no promise. */
  readonly promptMs?: number;
  /** While an event is absent, redeliveries of the others are with their handlers within this. Absent: no promise. */
  readonly othersWithinMs?: number;
  /** Handler calls in the whole run, at most. Absent: no promise. */
  readonly maxCalls?: number;
  /** After the last fault and the last message everything has its end within this (drain-bound). */
  readonly drainMs: number;
}

/** When the fault is over, ms after the start; those without a time are counted from the requests that they wait for. */
export function endOf(fault: Fault): number {
  const at = 'at' in fault ? fault.at : 0;
  return at + ('ms' in fault ? fault.ms : 0);
}

/** undefined: none, or it changes on the way. */
export function expectedOrder({ source, faults }: Plan): SubscriptionConfig['order'] {
  return faults.some((fault) => fault.kind === 'redeploy' && 'order' in fault.subscription)
    ? undefined
    : source.subscriptions[0]?.order;
}

/** Offsets mean other messages from some time on. */
export function recreatesTopics({ faults }: Plan): boolean {
  return faults.some(({ kind }) => kind === 'topic-recreated');
}

/** Others work in the group, whom no lease of ours holds off. */
export function sharesGroup({ faults }: Plan): boolean {
  return faults.some(({ kind }) => kind === 'second-deployment' || kind === 'java-member');
}

/** Expressions that are deployed at some time. */
export function filtersOf({ source, faults }: Plan): string[] {
  const first = source.subscriptions[0]!;
  const later = faults.flatMap((fault) =>
    fault.kind === 'redeploy' && fault.subscription.filter ? [fault.subscription.filter] : [],
  );
  const patterns = (first.filterPatterns ?? [])
    .flatMap(({ tags = [] }) => tags)
    .filter((tag) => typeof tag === 'string');
  return [
    ...[first.filter, ...later].map((filter) => ('expression' in filter ? filter.expression : '*')),
    ...(patterns.length > 0 ? [patterns.join('||')] : []),
  ];
}

/** As brokers and clients compare tags: `*`, or tags joined by `||`. */
export function isWanted(expression: string, tag: string): boolean {
  return expression === '*' || expression.split('||').includes(tag);
}
