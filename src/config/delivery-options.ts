import type { SubscriptionConfig } from '../model/source.ts';
import type { EventOptions } from './event-options.ts';
import type { ConfigPath, Problems } from './problems.ts';
import type { ServiceOptions } from './service-options.ts';

/** The default, which is Java's brokerSuspendMaxTimeMillis. */
const LONG_POLLING = 15;
/** The default, which is Java's pullBatchSize. */
const PULL_BATCH_SIZE = 32;

interface Event extends EventOptions {
  readonly path: ConfigPath;
  readonly functionKey: string;
}

type DeliveryOptions = Pick<
  SubscriptionConfig,
  | 'maximumRetryAttempts'
  | 'maximumRetryAttemptsByTag'
  | 'retryDelay'
  | 'maximumRecordAgeInSeconds'
  | 'bisectBatchOnFunctionError'
  | 'maximumBatchingWindow'
  | 'consumeTimeout'
  | 'maximumConcurrency'
  | 'limitedWith'
  | 'inlineConcurrency'
  | 'filterPatterns'
  | 'onFailure'
  | 's3PointerThreshold'
  | 'functionResponseType'
  | 'longPolling'
  | 'eventFormat'
  | 'tracing'
  | 'pullBatchSize'
>;

/** Options that say when messages are delivered and what becomes of those that fail, as the puller takes them: what has no effect is left out. */
export function deliveryOptions(event: EventOptions, defaultRetries: number): DeliveryOptions {
  const {
    maximumRetryAttempts: retries,
    retryDelay,
    maximumRecordAgeInSeconds: age,
    maximumBatchingWindow: window,
  } = event;
  const {
    topic,
    firstTopic,
    consumeTimeout,
    maximumConcurrency,
    bisectBatchOnFunctionError,
    filterPatterns,
    onFailure,
    functionResponseType,
    longPolling,
  } = event;
  const { eventFormat, tracing, pullBatchSize } = event;
  return {
    maximumRetryAttempts:
      (typeof retries === 'object' ? retries.default : retries) ?? defaultRetries,
    ...(typeof retries === 'object' ? { maximumRetryAttemptsByTag: retries.tags } : {}),
    ...(retryDelay === 'auto'
      ? {}
      : { retryDelay: typeof retryDelay === 'number' ? { level: retryDelay } : retryDelay }),
    ...(age < 0 ? {} : { maximumRecordAgeInSeconds: age }),
    ...(bisectBatchOnFunctionError ? {} : { bisectBatchOnFunctionError }),
    ...(window === 0 ? {} : { maximumBatchingWindow: window }),
    ...(consumeTimeout === undefined ? {} : { consumeTimeout }),
    ...(maximumConcurrency === undefined ? {} : { maximumConcurrency }),
    ...(maximumConcurrency === undefined || (firstTopic ?? topic) === topic
      ? {}
      : { limitedWith: firstTopic }),
    ...(event.inlineConcurrency === 1 ? {} : { inlineConcurrency: event.inlineConcurrency }),
    ...(onFailure === undefined ? {} : { onFailure }),
    ...(event.s3PointerThreshold === undefined
      ? {}
      : { s3PointerThreshold: event.s3PointerThreshold }),
    ...(functionResponseType === 'None' ? { functionResponseType } : {}),
    ...(longPolling === LONG_POLLING ? {} : { longPolling }),
    ...(filterPatterns === undefined ? {} : { filterPatterns }),
    ...(eventFormat === 'sqs' ? {} : { eventFormat }),
    ...(tracing === 'link' ? {} : { tracing }),
    ...(pullBatchSize === PULL_BATCH_SIZE ? {} : { pullBatchSize }),
  };
}

/** Options that have no effect beside each other are told, instead of being passed over. */
export function deliveryOptionsFit(
  events: readonly Event[],
  { functions }: { readonly functions: Readonly<Record<string, { readonly timeout: number }>> },
  { groups }: ServiceOptions,
  problems: Problems,
): void {
  for (const event of events) {
    const {
      path,
      order,
      retryDelay,
      consumeTimeout,
      maximumConcurrency,
      functionKey,
      consumerGroup,
    } = event;
    if (event.tracing === 'parent' && event.invocation === 'inline')
      problems.add(
        [...path, 'tracing'],
        ' is parent, but an inline handler has no invocation of its own: link, or invocation: function',
      );
    inlineConcurrencyFits(event, groups[consumerGroup], problems);
    const timeout = functions[functionKey]?.timeout ?? 0;
    if (consumeTimeout !== undefined && consumeTimeout >= timeout)
      problems.add(
        [...path, 'consumeTimeout'],
        ` is ${consumeTimeout}, but the handler ends after ${timeout} s: give fewer seconds, or leave it out`,
      );
    optionsHaveEffect(event, groups[consumerGroup], problems);
    if (order !== 'none') {
      const ordered = {
        retryDelay: retryDelay !== 'auto',
        consumeTimeout: consumeTimeout !== undefined,
      };
      for (const [name, given] of Object.entries(ordered))
        if (given)
          problems.add(
            [...path, name],
            ` cannot be with order ${order}: what fails is delivered again in its place; leave it out`,
          );
    }
    const group = groups[consumerGroup];
    if (maximumConcurrency === undefined || group === undefined) continue;
    if (group.mode === 'pop')
      problems.add(
        [...path, 'maximumConcurrency'],
        ' is not known in mode pop: use parallelizationFactor, or leave mode out',
      );
    if (group.coexist)
      problems.add(
        [...path, 'maximumConcurrency'],
        ' cannot be with coexist: use parallelizationFactor and pullers',
      );
    if (typeof group.pullers === 'number' && group.pullers > maximumConcurrency)
      problems.add(
        [...path, 'maximumConcurrency'],
        ` is ${maximumConcurrency}, less than the ${group.pullers} pullers of the group, of which each needs one: lower pullers, or raise it`,
      );
  }
}

/** What the group's message model or mode does not do. An event with several topics is told once. */
function optionsHaveEffect(
  event: Event,
  group: ServiceOptions['groups'][string] | undefined,
  problems: Problems,
): void {
  const { path, topic, firstTopic = topic } = event;
  if (topic !== firstTopic) return;
  const refuse = (options: Readonly<Record<string, boolean>>, why: string): void => {
    for (const [name, given] of Object.entries(options))
      if (given) problems.add([...path, name], ` has no use with ${why}; leave it out`);
  };
  if (group?.messageModel === 'BROADCASTING')
    refuse(
      {
        onFailure: event.onFailure !== undefined,
        maximumRetryAttempts: event.maximumRetryAttempts !== undefined,
        retryDelay: event.retryDelay !== 'auto',
      },
      'messageModel BROADCASTING: what fails is dropped',
    );
  if (group?.mode === 'pop')
    refuse(
      {
        pullBatchSize: event.pullBatchSize !== PULL_BATCH_SIZE,
        longPolling: event.longPolling !== LONG_POLLING,
      },
      'mode pop: nothing is pulled',
    );
}

/** What asks for calls side by side of a handler that is called once at a time. */
function inlineConcurrencyFits(
  { path, invocation, inlineConcurrency, parallelizationFactor, maximumConcurrency }: Event,
  group: ServiceOptions['groups'][string] | undefined,
  problems: Problems,
): void {
  if (invocation !== 'inline') {
    if (inlineConcurrency > 1)
      problems.add(
        [...path, 'inlineConcurrency'],
        ' is for invocation: inline, functions have parallelizationFactor and maximumConcurrency; leave it out',
      );
    return;
  }
  if (parallelizationFactor > inlineConcurrency && inlineConcurrency === 1)
    problems.add(
      [...path, 'parallelizationFactor'],
      ` is ${parallelizationFactor}, but an inline handler is called once at a time in its process: set inlineConcurrency, where the handler's module state bears calls that overlap, or invocation: function`,
    );
  const pullers = typeof group?.pullers === 'number' ? group.pullers : 1;
  const atOnce = pullers * inlineConcurrency;
  if (maximumConcurrency !== undefined && maximumConcurrency > atOnce)
    problems.add(
      [...path, 'maximumConcurrency'],
      ` is ${maximumConcurrency}, but its inline handler is called ${atOnce} times at once at most (pullers × inlineConcurrency): lower it, or raise one of them`,
    );
}
