import { toServiceConfig } from '../src/config/service-config.ts';
import type { ServiceOptions } from '../src/config/service-options.ts';
import { ConfigError } from '../src/errors.ts';
import { variableOf } from '../src/model/deployed-value.ts';
import type { ServiceConfig } from '../src/model/source.ts';
import { ReferenceCollector, type References } from './references.ts';
import { COORDINATOR, PULLER } from './resources/names.ts';
import type { PullerNeeds } from './resources/puller.ts';
import type { FunctionDefinition, Provider, Serverless } from './serverless-api.ts';

/** Serverless's own default. */
const DEFAULT_TIMEOUT = 6;

/** The service as the plugin sees it: checked, with every default filled in. */
export interface RocketMQService {
  readonly config: ServiceConfig;
  readonly options: ServiceOptions;
  readonly needs: PullerNeeds;
  /** What CloudFormation fills in, by the environment variable that brings it to the functions. */
  readonly references: References;
  /** Environment that inline handlers bring along. */
  readonly inlineEnvironment: Readonly<Record<string, unknown>>;
}

export function hasRocketmqEvent(definition: FunctionDefinition | null | undefined): boolean {
  return (
    definition?.events?.some(
      (event) => typeof event === 'object' && event !== null && 'rocketmq' in event,
    ) ?? false
  );
}

/**
 * Reads and checks what serverless.yml says.
 * @throws ConfigError
 */
export function readService(serverless: Serverless): RocketMQService {
  const { service, provider, custom, functions } = serverless.service;
  const own = Object.entries(functions).filter(
    ([key, definition]) => key !== COORDINATOR && key !== PULLER && hasRocketmqEvent(definition),
  );
  const collector = new ReferenceCollector();
  const { config, options } = toServiceConfig({
    service,
    stage: serverless.getProvider('aws').getStage(),
    custom: withoutReferences(custom?.rocketmq, collector),
    functions: Object.fromEntries(
      own.map(([key, definition]) => [
        key,
        {
          name: definition.name ?? key,
          timeout: definition.timeout ?? provider.timeout ?? DEFAULT_TIMEOUT,
          events: collector.take(definition.events ?? []) as unknown[],
        },
      ]),
    ),
  });
  bucketsAreArns(config, collector.references, serverless.service.resources?.Resources ?? {});
  keysAreArns(config, options, collector.references, serverless.service.resources?.Resources ?? {});
  const handlers = config.sources.flatMap(({ subscriptions }) =>
    subscriptions.map(({ handler }) => handler),
  );
  const keysOf = (invocation: string): string[] => [
    ...new Set(
      handlers
        .filter((handler) => handler.invocation === invocation)
        .map(({ functionKey }) => functionKey),
    ),
  ];
  const needs = { invoked: keysOf('function'), inline: keysOf('inline') };
  return {
    config,
    options,
    needs,
    references: collector.references,
    inlineEnvironment: mergeInline(needs.inline, functions, provider),
  };
}

/** A bucket's `Ref` is its name, with which a role would allow nothing. */
function bucketsAreArns(
  { sources }: ServiceConfig,
  references: References,
  resources: Record<string, { readonly Type?: unknown }>,
): void {
  for (const { handler, onFailure, s3PointerThreshold } of sources.flatMap(
    ({ subscriptions }) => subscriptions,
  ))
    for (const [option, bucket] of [
      ['s3PointerThreshold.bucket', s3PointerThreshold?.bucket],
      ['onFailure.arn', onFailure?.type === 's3' ? onFailure.arn : undefined],
    ] as const) {
      const { Ref: name } = (references[variableOf(bucket ?? '') ?? ''] ?? {}) as { Ref?: string };
      if (name !== undefined && resources[name]?.Type === 'AWS::S3::Bucket')
        throw new ConfigError(
          `functions.${handler.functionKey}: ${option} is { Ref: ${name} }, which is the name of the bucket: give { Fn::GetAtt: [${name}, Arn] }`,
        );
    }
}

/** A key's `Ref` is its id, with which a role would allow nothing. */
function keysAreArns(
  { clusters }: ServiceConfig,
  { table, logging }: ServiceOptions,
  references: References,
  resources: Record<string, { readonly Type?: unknown }>,
): void {
  const keys: [option: string, key: unknown][] = [
    ['table.kmsKeyArn', table.kmsKeyArn],
    ['logging.kmsKeyArn', logging.kmsKeyArn],
    ...Object.entries(clusters).flatMap(([cluster, { secrets = {} }]) =>
      Object.entries(secrets).map(([name, { kmsKeyArn }]): [string, unknown] => [
        `clusters.${cluster}.${name}.kmsKeyArn`,
        kmsKeyArn,
      ]),
    ),
  ];
  for (const [option, key] of keys) {
    const reference = typeof key === 'string' ? references[variableOf(key) ?? ''] : key;
    const { Ref: name } = (reference ?? {}) as { Ref?: string };
    if (name !== undefined && resources[name]?.Type === 'AWS::KMS::Key')
      throw new ConfigError(
        `custom.rocketmq.${option} is { Ref: ${name} }, which is the id of the key: give { Fn::GetAtt: [${name}, Arn] }`,
      );
  }
}

/** Alarms and roles take references as they are: they stand in the template, and no function reads them. */
function withoutReferences(custom: unknown, collector: ReferenceCollector): unknown {
  if (typeof custom !== 'object' || custom === null) return custom;
  const { clusters, table, ...others } = custom as Record<string, unknown>;
  return {
    ...others,
    ...(clusters === undefined ? {} : { clusters: collector.take(clusters) }),
    ...(table === undefined ? {} : { table: collector.take(table) }),
  };
}

/** Inline handlers share one function: what only a function of its own can have contradicts `invocation: inline`. */
function mergeInline(
  keys: readonly string[],
  functions: Record<string, FunctionDefinition>,
  provider: Provider,
): Record<string, unknown> {
  const environment: Record<string, unknown> = {};
  for (const key of keys) {
    const definition = functions[key]!;
    const where = `functions.${key}`;
    if (definition.role !== undefined)
      throw new ConfigError(
        `${where}.role has no effect with invocation: inline, because the handler runs with the puller's role: give the permissions in provider.iam.role.statements, or use invocation: function`,
      );
    if (definition.package?.artifact !== undefined)
      throw new ConfigError(
        `${where}.package.artifact cannot be bundled into the puller: name the source in ${where}.handler, or use invocation: function`,
      );
    if (!isNode(definition, provider))
      throw new ConfigError(
        `${where}.runtime is "${definition.runtime ?? provider.runtime}": invocation: inline needs a Node.js handler; use invocation: function`,
      );
    Object.assign(environment, definition.environment);
  }
  for (const name of Object.keys(environment)) oneValue(name, keys, functions, provider);
  return environment;
}

/**
 * All inline handlers have the variables of one process.
 * @throws ConfigError
 */
function oneValue(
  name: string,
  keys: readonly string[],
  functions: Record<string, FunctionDefinition>,
  provider: Provider,
): void {
  let first: { readonly where: string; readonly value: unknown } | undefined;
  for (const key of keys) {
    const own = functions[key]?.environment ?? {};
    const isOwn = name in own;
    const value = isOwn ? own[name] : provider.environment?.[name];
    if (value === undefined) continue;
    const where = `${isOwn ? `functions.${key}` : 'provider'}.environment.${name}`;
    if (first !== undefined && JSON.stringify(first.value) !== JSON.stringify(value))
      throw new ConfigError(
        `${where} differs from ${first.where}, and both handlers run in the puller (invocation: inline): use one value, or two names`,
      );
    first ??= { where, value };
  }
}

export function isNode(definition: FunctionDefinition, provider: Provider): boolean {
  return (definition.runtime ?? provider.runtime ?? 'nodejs').startsWith('nodejs');
}
