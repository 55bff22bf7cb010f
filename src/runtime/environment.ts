import { ConfigError } from '../errors.ts';
import { variableOf } from '../model/deployed-value.ts';
import { DEFAULT_METRIC_GROUPS, type MetricGroup } from '../model/metrics.ts';
import type { ClusterConfig, ServiceConfig } from '../model/source.ts';

/** Environment variables that the plugin gives to its functions. */
export const ENVIRONMENT = {
  /** Name of the assignment table. */
  table: 'ROCKETMQ_TABLE',
  /** Name of the puller function. */
  pullerFunction: 'ROCKETMQ_PULLER_FUNCTION',
  /** `a:9876;b:9876`: instead of the name servers in the bundle, for the default cluster or the only one. */
  nameServers: 'ROCKETMQ_NAME_SERVERS',
  /** Credentials for clusters that have none in the bundle. */
  accessKey: 'ROCKETMQ_ACCESS_KEY',
  secretKey: 'ROCKETMQ_SECRET_KEY',
  securityToken: 'ROCKETMQ_SECURITY_TOKEN',
  /** How often a puller renews its leases, and so notices a pause or a move, in ms. */
  renewInterval: 'ROCKETMQ_RENEW_INTERVAL_MS',
  logLevel: 'ROCKETMQ_LOG_LEVEL',
  /** Characters that are kept of a handler's error text. */
  errorLength: 'ROCKETMQ_LOG_ERROR_LENGTH',
  /** `true`: no metrics are written. Powertools' variable, so that one setting silences both. */
  metricsDisabled: 'POWERTOOLS_METRICS_DISABLED',
  /** Where a local run's console takes metrics. */
  consoleMetrics: 'ROCKETMQ_CONSOLE_METRICS_URL',
  /** Of a local run: coordinator and puller act only on requests that have it. */
  runToken: 'ROCKETMQ_RUN_TOKEN',
  /** Set by serverless-offline. */
  offline: 'IS_OFFLINE',
} as const;

/** @throws ConfigError when the variable is not set */
export function required(name: string, env: NodeJS.ProcessEnv = process.env): string {
  const value = env[name];
  if (value === undefined || value === '')
    throw new ConfigError(
      `the environment variable ${name} is missing: the serverless-rocketmq plugin sets it on the functions that it makes; deploy with the plugin, or set it`,
    );
  return value;
}

/** @throws ConfigError when the variable is set to something that is no positive whole number */
export function optionalMillis(
  name: string,
  env: NodeJS.ProcessEnv = process.env,
): number | undefined {
  const value = env[name];
  if (value === undefined || value === '') return undefined;
  if (!/^[1-9]\d*$/.test(value))
    throw new ConfigError(
      `the environment variable ${name} is "${value}": give a whole number of milliseconds`,
    );
  return Number(value);
}

/** Characters that are kept of a handler's error text. undefined: the default. */
export function errorLength(env: NodeJS.ProcessEnv = process.env): number | undefined {
  const value = env[ENVIRONMENT.errorLength];
  return value !== undefined && /^\d{1,5}$/.test(value) ? Number(value) : undefined;
}

/** The metrics that this process is to tell; none in a local run, where nobody reads them. */
export function metricGroups(
  { metrics = DEFAULT_METRIC_GROUPS }: ServiceConfig,
  env: NodeJS.ProcessEnv = process.env,
): readonly MetricGroup[] {
  const silent = [ENVIRONMENT.metricsDisabled, ENVIRONMENT.offline].some(
    (name) => env[name]?.toLowerCase() === 'true',
  );
  return silent ? [] : metrics;
}

/**
 * May a queue, topic or bucket of serverless.yml be called? In a local run only at an endpoint that the environment names: a laptop would write into
 * production's.
 */
export function mayCall(
  service: 'sqs' | 'sns' | 's3',
  env: NodeJS.ProcessEnv = process.env,
): boolean {
  if (env[ENVIRONMENT.offline]?.toLowerCase() !== 'true') return true;
  return [env.AWS_ENDPOINT_URL, env[`AWS_ENDPOINT_URL_${service.toUpperCase()}`]].some(
    (endpoint) => endpoint !== undefined && endpoint !== '',
  );
}

/**
 * The bundled configuration with the values that CloudFormation gave to this function. A name server's value may hold several: `a:9876;b:9876`.
 * What the environment lacks stays as it is, and fails where it is used.
 */
export function withDeployedValues(
  service: ServiceConfig,
  env: NodeJS.ProcessEnv = process.env,
): ServiceConfig {
  const deployed = (text: string): string => env[variableOf(text) ?? ''] ?? text;
  const filled = (part: unknown): unknown => {
    if (typeof part === 'string') return deployed(part);
    if (Array.isArray(part))
      return part.flatMap((each: unknown) =>
        typeof each === 'string' && variableOf(each) !== undefined
          ? splitAddresses(deployed(each))
          : [filled(each)],
      );
    if (typeof part !== 'object' || part === null) return part;
    return Object.fromEntries(Object.entries(part).map(([key, each]) => [key, filled(each)]));
  };
  return filled(service) as ServiceConfig;
}

function splitAddresses(text: string): string[] {
  return text
    .split(/[;,]/)
    .map((address) => address.trim())
    .filter((address) => address !== '');
}

/** The bundled configuration with what the environment says instead: name servers and credentials. */
export function applyEnvironment(
  service: ServiceConfig,
  env: NodeJS.ProcessEnv = process.env,
): ServiceConfig {
  const names = Object.keys(service.clusters);
  const given = env[ENVIRONMENT.nameServers];
  const nameServers = given === undefined ? undefined : splitAddresses(given);
  const clusters = Object.entries(service.clusters).map(
    ([name, cluster]): [string, ClusterConfig] => {
      const replaced =
        nameServers !== undefined &&
        nameServers.length > 0 &&
        (name === 'default' || names.length === 1);
      const credentials =
        cluster.credentials ??
        (cluster.secrets?.credentials === undefined ? credentialsFrom(env) : undefined);
      return [
        name,
        {
          ...(replaced ? withoutBrokers(cluster) : cluster),
          ...(replaced ? { nameServers } : {}),
          ...(credentials === undefined ? {} : { credentials }),
        },
      ];
    },
  );
  return { ...service, clusters: Object.fromEntries(clusters) };
}

/** The list is of the brokers behind the name servers that were replaced. */
function withoutBrokers(cluster: ClusterConfig): ClusterConfig {
  const { brokers, ...others } = cluster;
  return brokers === undefined ? cluster : others;
}

function credentialsFrom(env: NodeJS.ProcessEnv): ClusterConfig['credentials'] {
  const accessKey = env[ENVIRONMENT.accessKey];
  const secretKey = env[ENVIRONMENT.secretKey];
  const securityToken = env[ENVIRONMENT.securityToken];
  if (!accessKey && !secretKey) return undefined;
  if (!accessKey || !secretKey)
    throw new ConfigError(
      `set both ${ENVIRONMENT.accessKey} and ${ENVIRONMENT.secretKey}, or none of them`,
    );
  return { accessKey, secretKey, ...(securityToken ? { securityToken } : {}) };
}
