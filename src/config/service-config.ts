import { problemOfSql } from '../decide/filter/sql92.ts';
import {
  type HandlerConfig,
  isLimited,
  type ServiceConfig,
  type SourceConfig,
  type SubscriptionConfig,
} from '../model/source.ts';
import { deliveryOptions, deliveryOptionsFit } from './delivery-options.ts';
import { byTopic, type EventOptions, eventOptions } from './event-options.ts';
import { failuresLeave } from './failure-loops.ts';
import { nearest } from './nearest.ts';
import { operationOptionsFit } from './operation-options.ts';
import { defaultRetries, orderFits, orderOf } from './order-rules.ts';
import { type ConfigPath, Problems } from './problems.ts';
import { LONGEST_GROUP, LONGEST_TOPIC } from './schema-parts.ts';
import { withReferences } from './secret-references.ts';
import { groupDefaults, type ServiceOptions, serviceOptions } from './service-options.ts';
import { refuseUnfilled } from './unfilled-references.ts';

/** A function of serverless.yml, as far as the configuration needs it. */
export interface FunctionInput {
  /** Deployed name. */
  readonly name: string;
  /** Seconds. */
  readonly timeout: number;
  /** Its events as the user wrote them. */
  readonly events: readonly unknown[];
}

export interface ServiceInput {
  readonly service: string;
  readonly stage: string;
  /** `custom.rocketmq` as the user wrote it. */
  readonly custom: unknown;
  /** By key under `functions:`. */
  readonly functions: Readonly<Record<string, FunctionInput>>;
}

interface ParsedEvent extends EventOptions {
  readonly path: ConfigPath;
  readonly functionKey: string;
}

/** A puller takes its lease before a batch, and settles, commits and releases after it: so much longer must it live than a handler. */
const PULLER_RESERVE_SECONDS = 30;
/** Of brokers with traceTopicEnable. */
const TRACE_TOPIC = 'RMQ_SYS_TRACE_TOPIC';
const CUSTOM: ConfigPath = ['custom', 'rocketmq'];

/**
 * Checks `custom.rocketmq` and every `rocketmq` event, and fills in the defaults.
 * @throws ConfigError with every problem that it found, each with its path in serverless.yml and what to give instead
 */
export function toServiceConfig(input: ServiceInput): {
  config: ServiceConfig;
  options: ServiceOptions;
} {
  const problems = new Problems();
  unfilledReferences(input, problems);
  // What they stand for is not known, so nothing else can be said of them.
  problems.throwIfAny();
  const options = problems.parse(serviceOptions, input.custom ?? {}, CUSTOM);
  const events = parseEvents(input, problems);
  // With an event that could not be read, its group would seem to be missing.
  if (options !== undefined && !problems.any) groupsExist(events, options, problems);
  oneHandlerPerTopic(events, problems);
  timestampsFit(events, problems);
  filtersCompile(events, problems);
  if (options !== undefined) {
    popIsPossible(events, options, problems);
    orderFits(events, options, problems);
    groupOptionsFit(options, problems);
    clustersExist(events, options, problems);
    namesFitNamespaces(events, options, problems);
    handlersFitIntoPullers(events, input, options, problems);
    deliveryOptionsFit(events, input, options, problems);
    failuresLeave(events, options, problems);
    operationOptionsFit(options, problems);
  }
  problems.throwIfAny();
  // Without problems the options were parsed.
  return { config: build(input, events, options!), options: options! };
}

function unfilledReferences({ custom, functions }: ServiceInput, problems: Problems): void {
  refuseUnfilled(custom, CUSTOM, problems);
  for (const [functionKey, { events }] of Object.entries(functions))
    for (const [index, event] of events.entries())
      if (typeof event === 'object' && event !== null && 'rocketmq' in event)
        refuseUnfilled(
          event.rocketmq,
          ['functions', functionKey, 'events', index, 'rocketmq'],
          problems,
        );
}

function parseEvents(input: ServiceInput, problems: Problems): ParsedEvent[] {
  return Object.entries(input.functions).flatMap(([functionKey, { events }]) =>
    events.flatMap((event, index) => {
      if (typeof event !== 'object' || event === null || !('rocketmq' in event)) return [];
      const path = ['functions', functionKey, 'events', index, 'rocketmq'];
      const parsed = problems.parse(eventOptions, event.rocketmq, path);
      if (parsed === undefined) return [];
      const each = byTopic(parsed);
      if (each === undefined)
        problems.add(
          [...path, 'topic'],
          parsed.topics === undefined
            ? ' is missing: give a topic to consume, or topics'
            : ' cannot be beside topics: give one of them',
          parsed.topics === undefined ? 'MISSING_OPTION' : 'OPTION_CONFLICT',
        );
      return (each ?? []).map((options) => ({ ...options, path, functionKey }));
    }),
  );
}

/** A message of a topic has one end per group, so one handler must give it. Two would each get a part of the batches. */
function oneHandlerPerTopic(events: readonly ParsedEvent[], problems: Problems): void {
  const first = new Map<string, ParsedEvent>();
  for (const event of events) {
    const key = JSON.stringify([event.cluster, event.consumerGroup, event.topic]);
    const other = first.get(key);
    if (other === undefined) first.set(key, event);
    else
      problems.add(
        event.path,
        `: group "${event.consumerGroup}" takes topic "${event.topic}" in ${other.path.join('.')} already; one handler takes a topic of a group, so use another consumerGroup here`,
        'GROUP_CONFLICT',
      );
  }
}

/** A broker that cannot compile a filter that comes with a pull delivers everything. */
function filtersCompile(events: readonly ParsedEvent[], problems: Problems): void {
  for (const { path, filter } of events) {
    const problem = typeof filter === 'string' ? undefined : problemOfSql(filter.sql);
    if (problem !== undefined && typeof filter !== 'string')
      problems.add(
        [...path, 'filter', 'sql'],
        ` is ${JSON.stringify(filter.sql)}: ${problem}`,
        'SQL_INVALID',
      );
  }
}

/** AT_TIMESTAMP means nothing without a time, and a time means nothing without it. */
function timestampsFit(events: readonly ParsedEvent[], problems: Problems): void {
  for (const { path, startingPosition, startingPositionTimestamp } of events) {
    if (startingPosition === 'AT_TIMESTAMP' && startingPositionTimestamp === undefined)
      problems.add(
        [...path, 'startingPositionTimestamp'],
        ' is missing: startingPosition AT_TIMESTAMP needs it, as epoch seconds or ISO time',
        'STARTING_POSITION',
      );
    if (startingPosition !== 'AT_TIMESTAMP' && startingPositionTimestamp !== undefined)
      problems.add(
        [...path, 'startingPositionTimestamp'],
        ` has no effect with startingPosition ${startingPosition}: set startingPosition: AT_TIMESTAMP, or leave the timestamp out`,
        'STARTING_POSITION',
      );
  }
}

function clustersExist(
  events: readonly ParsedEvent[],
  options: ServiceOptions,
  problems: Problems,
): void {
  const known = Object.keys(options.clusters);
  for (const { path, cluster } of events) {
    if (known.includes(cluster)) continue;
    const meant = nearest(cluster, known);
    problems.add(
      [...path, 'cluster'],
      ` is "${cluster}", which custom.rocketmq.clusters does not have: ${meant === undefined ? `it has ${known.join(', ')}` : `did you mean ${meant}?`}`,
      'CLUSTER_UNKNOWN',
    );
  }
}

/** What brokers take, with the namespace before it. */
function namesFitNamespaces(
  events: readonly ParsedEvent[],
  options: ServiceOptions,
  problems: Problems,
): void {
  for (const { path, cluster, consumerGroup, topic } of events) {
    const namespace = options.clusters[cluster]?.namespace;
    if (namespace === undefined) continue;
    for (const [option, name, most] of [
      ['consumerGroup', consumerGroup, LONGEST_GROUP],
      ['topic', topic, LONGEST_TOPIC],
    ] as const) {
      const length = namespace.length + 1 + name.length;
      if (length > most)
        problems.add(
          [...path, option],
          ` has ${name.length} characters, ${length} with namespace "${namespace}" of cluster ${cluster}, and brokers take ${most}: a shorter name`,
          'NAME_TOO_LONG',
        );
    }
  }
}

/** Settings of a group that nobody consumes are a misspelt name. */
function groupsExist(
  events: readonly ParsedEvent[],
  options: ServiceOptions,
  problems: Problems,
): void {
  const known = [...new Set(events.map(({ consumerGroup }) => consumerGroup))];
  for (const group of Object.keys(options.groups)) {
    if (known.includes(group)) continue;
    const meant = nearest(group, known);
    problems.add(
      [...CUSTOM, 'groups', group],
      ` is a group that no event names${meant === undefined ? '' : `; did you mean ${meant}?`}`,
      'GROUP_UNKNOWN',
    );
  }
}

/** The broker knows no more than "first" and "last" when a group pops a topic for the first time. */
function popIsPossible(
  events: readonly ParsedEvent[],
  options: ServiceOptions,
  problems: Problems,
): void {
  for (const { path, consumerGroup, startingPosition } of events)
    if (options.groups[consumerGroup]?.mode === 'pop' && startingPosition === 'AT_TIMESTAMP')
      problems.add(
        [...path, 'startingPosition'],
        ' is AT_TIMESTAMP, which a group in mode pop cannot begin at: TRIM_HORIZON or LATEST',
        'STARTING_POSITION',
      );
}

/** What a group cannot be at the same time. */
function groupOptionsFit({ groups, coordinator }: ServiceOptions, problems: Problems): void {
  for (const [
    group,
    { coexist, messageModel, strategy, mode, idleTimeout, scaling },
  ] of Object.entries(groups)) {
    const path = [...CUSTOM, 'groups', group, 'coexist'];
    const own = (option: string): ConfigPath => [...CUSTOM, 'groups', group, option];
    if (coexist && coordinator.mode === 'schedule')
      problems.add(
        path,
        ' needs a coordinator that looks after its members all the time: leave custom.rocketmq.coordinator.mode at watch',
      );
    if (coexist && idleTimeout !== undefined)
      problems.add(
        own('idleTimeout'),
        ' has no use with coexist: a member of the group never goes; leave it out',
      );
    if (scaling !== undefined && (coexist || mode === 'pop'))
      problems.add(
        own('scaling'),
        coexist
          ? ' has no use with coexist: a member is always there'
          : ' is not known in mode pop: brokers do not tell its lag; leave it out',
      );
    if (scaling !== undefined && idleTimeout === 'never')
      problems.add(
        own('scaling'),
        ' has no use with idleTimeout never: every queue has a puller; leave one of them out',
      );
    if (coexist && messageModel === 'BROADCASTING')
      problems.add(
        path,
        ' has no use with messageModel BROADCASTING: everybody gets every message, so leave it out',
      );
    if (mode === 'pop' && (coexist || messageModel === 'BROADCASTING'))
      problems.add(
        [...CUSTOM, 'groups', group, 'mode'],
        ' pop hands every message to one taker by itself: leave coexist and messageModel out',
      );
    if (coexist && strategy.name === 'MACHINE_ROOM_NEARBY')
      problems.add(
        path,
        ' cannot be with strategy MACHINE_ROOM_NEARBY: the machine rooms of the other members are not known here',
      );
  }
}

function handlersFitIntoPullers(
  events: readonly ParsedEvent[],
  input: ServiceInput,
  options: ServiceOptions,
  problems: Problems,
): void {
  const most = options.puller.timeout - PULLER_RESERVE_SECONDS;
  for (const functionKey of new Set(events.map((event) => event.functionKey))) {
    const { timeout } = input.functions[functionKey]!;
    if (timeout > most)
      problems.add(
        ['functions', functionKey, 'timeout'],
        ` is ${timeout}: the puller waits for the handler and ends after ${options.puller.timeout} s (custom.rocketmq.puller.timeout), so a handler may take at most ${most} s`,
        'TIMEOUT_ORDER',
      );
  }
}

function build(
  input: ServiceInput,
  events: readonly ParsedEvent[],
  options: ServiceOptions,
): ServiceConfig {
  const groups = Map.groupBy(events, ({ cluster, consumerGroup }) =>
    JSON.stringify([cluster, consumerGroup]),
  );
  const sources = [...groups.values()].map((subscriptions): SourceConfig => {
    const { cluster, consumerGroup } = subscriptions[0]!;
    const { strategy, pullers, mode, coexist, messageModel, trace, idleTimeout, scaling } =
      options.groups[consumerGroup] ?? groupDefaults;
    const limited = isLimited({ subscriptions });
    return {
      cluster,
      consumerGroup,
      strategy,
      // A member of a group does not come and go with queues, nor do the parts of a limit.
      pullers: (coexist || limited) && pullers === 'queue' ? 1 : pullers,
      ...(mode === 'pop' ? { mode } : {}),
      ...(coexist ? { coexist } : {}),
      ...(messageModel === 'BROADCASTING' ? { messageModel } : {}),
      ...(trace === false ? {} : { trace: { topic: trace === true ? TRACE_TOPIC : trace.topic } }),
      ...(idleTimeout === undefined ? {} : { idleTimeout }),
      ...(scaling === undefined || scaling.activationLagThreshold === 0 ? {} : { scaling }),
      subscriptions: subscriptions.map((event) => subscription(event, input)),
    };
  });
  const used = new Set(sources.map(({ cluster }) => cluster));
  const clusters = Object.fromEntries(
    Object.entries(options.clusters)
      .filter(([name]) => used.has(name))
      .map(([name, cluster]) => [name, withReferences(cluster)]),
  );
  return {
    service: input.service,
    stage: input.stage,
    clusters,
    sources,
    ...(options.coordinator.mode === 'watch' ? {} : { coordinatorMode: options.coordinator.mode }),
    ...(options.metrics === undefined ? {} : { metrics: options.metrics }),
    ...operatorRules(options.operator),
    ...earlierItems(options.table),
  };
}

/** Nobody else writes into a service's own table. */
function earlierItems({
  name,
  takeOver = name === undefined ? true : undefined,
}: ServiceOptions['table']): Pick<ServiceConfig, 'earlierItems'> {
  if (takeOver === true) return {};
  return { earlierItems: takeOver === false ? 'ignore' : 'refuse' };
}

function operatorRules(operator: ServiceOptions['operator']): Pick<ServiceConfig, 'operator'> {
  if (operator === false) return {};
  const { readOnly: _, ...rules } = operator;
  return Object.keys(rules).length === 0 ? {} : { operator: rules };
}

function subscription(event: ParsedEvent, input: ServiceInput): SubscriptionConfig {
  const {
    topic,
    filter,
    invocation,
    functionKey,
    batchSize,
    parallelizationFactor,
    startingPosition,
    startingPositionTimestamp,
    enabled,
  } = event;
  const order = orderOf(event);
  const { name, timeout } = input.functions[functionKey]!;
  const handler: HandlerConfig = { invocation, functionKey, functionName: name, timeout };
  return {
    topic,
    filter:
      typeof filter === 'string'
        ? { type: 'TAG', expression: filter }
        : { type: 'SQL92', expression: filter.sql },
    handler,
    batchSize,
    parallelizationFactor,
    startingPosition,
    ...(startingPositionTimestamp === undefined ? {} : { startingPositionTimestamp }),
    ...deliveryOptions(event, defaultRetries(event)),
    ...(order === undefined ? {} : { order }),
    enabled,
  };
}
