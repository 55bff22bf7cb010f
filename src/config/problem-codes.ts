/** Stable names of what can be wrong in serverless.yml, with what they mean: for people who search, and for scripts. */
export const PROBLEM_CODES = {
  ROCKETMQ_EVENT_UNKNOWN_OPTION:
    'an option of a `rocketmq` event that does not exist; the message names the nearest one',
  ROCKETMQ_EVENT_MISSING_OPTION: 'a required option of an event is missing',
  ROCKETMQ_EVENT_INVALID_VALUE:
    'a value that the option does not take; the message says which it takes',
  ROCKETMQ_EVENT_GROUP_CONFLICT:
    'two handlers for one topic of a consumer group: a message has one end per group, so one handler must give it (with unequal filters it is RocketMQ’s classic way to lose messages)',
  ROCKETMQ_EVENT_SQL_INVALID:
    'a SQL92 filter that brokers do not compile, or of which they read a part: unchecked it would let messages through',
  ROCKETMQ_EVENT_STARTING_POSITION:
    '`AT_TIMESTAMP` without a timestamp, a timestamp without it, or a position that a group in mode pop cannot begin at',
  ROCKETMQ_EVENT_CLUSTER_UNKNOWN: 'a cluster that `custom.rocketmq.clusters` does not have',
  ROCKETMQ_EVENT_NAME_TOO_LONG:
    'a group or topic that brokers do not take once the namespace stands before it',
  ROCKETMQ_EVENT_TIMEOUT_ORDER:
    'a handler that may take longer than the puller that calls it lives',
  ROCKETMQ_EVENT_ORDER_CONFLICT:
    'an order that other options of the event or the group make impossible',
  ROCKETMQ_EVENT_ORDER_CONCURRENCY:
    '`order: queue` with more than one batch in flight: a queue has one then',
  ROCKETMQ_EVENT_ORDER_MODE: 'an order in a group whose mode or message model keeps none',
  ROCKETMQ_EVENT_ORDER_MIX:
    'events of one group that disagree in their order: retry queue and locks are the group’s',
  ROCKETMQ_EVENT_OPTION_CONFLICT:
    'options of an event that exclude each other, have no effect beside each other, or lead messages that failed for good back to their group',
  ROCKETMQ_CONFIG_UNKNOWN_OPTION:
    'an option of `custom.rocketmq` that does not exist; the message names the nearest one',
  ROCKETMQ_CONFIG_MISSING_OPTION: 'a required option of `custom.rocketmq` is missing',
  ROCKETMQ_CONFIG_INVALID_VALUE: 'a value of `custom.rocketmq` that the option does not take',
  ROCKETMQ_CONFIG_GROUP_UNKNOWN: 'settings of a group that no event names',
  ROCKETMQ_CONFIG_OPTION_CONFLICT: 'options of `custom.rocketmq` that exclude each other',
} as const;

export type ProblemCode = keyof typeof PROBLEM_CODES;
type KindOf<Code> = Code extends `ROCKETMQ_EVENT_${infer Kind}` | `ROCKETMQ_CONFIG_${infer Kind}`
  ? Kind
  : never;
export type ProblemKind = KindOf<ProblemCode>;

/** An event’s problems are told apart from those of the service. */
export function problemCode(root: string | number | undefined, kind: ProblemKind): string {
  return `ROCKETMQ_${root === 'functions' ? 'EVENT' : 'CONFIG'}_${kind}`;
}
