import { ConfigError } from '../errors.ts';
import { isDeployedValue } from './schema-parts.ts';
import type { ServiceOptions } from './service-options.ts';

/** Environment variables of the functions whose values are secrets. */
const SECRET_VARIABLES = ['ROCKETMQ_SECRET_KEY', 'ROCKETMQ_SECURITY_TOKEN'];
const SECRET_KEYS = ['secretKey', 'securityToken'] as const;
const PEMS = ['caCertificate', 'clientCertificate', 'clientKey'] as const;
/** A file may have a certificate and its key. */
const PRIVATE_KEY = /-----BEGIN [^-]*PRIVATE KEY-----/;
/** CloudFormation fetches it while it deploys. */
const DYNAMIC_REFERENCE = /^\{\{resolve:(secretsmanager|ssm-secure):[^{}]+\}\}$/;
const ADVICE = `They would stand in the zips of the functions, or in the template, for whoever may read those. Store them and give the ARN: credentials: arn:aws:secretsmanager:<region>:<account>:secret:<name>-<6 characters> (JSON with accessKey and secretKey), tls: { secretArn: arn:aws:secretsmanager:… } (JSON with caCertificate, clientCertificate and clientKey), or { ssmParameter: /name } in either place. For tests and local brokers, custom.rocketmq.allowPlainSecrets: true packages them`;

/** An `environment` of serverless.yml and where it stands. */
export interface EnvironmentInput {
  readonly path: string;
  /** null: `environment:` with nothing behind it. */
  readonly variables: Readonly<Record<string, unknown>> | null | undefined;
}

/**
 * Where secrets stand as plain texts. Also those that Serverless has read out of files, its environment or SSM, and those of clusters that no event
 * names. Values that CloudFormation fills in are not plain.
 */
export function findPlainSecrets(
  clusters: ServiceOptions['clusters'],
  environments: readonly EnvironmentInput[],
): string[] {
  const ofClusters = Object.entries(clusters).flatMap(([name, { credentials = {}, tls = {} }]) => {
    const at = `custom.rocketmq.clusters.${name}`;
    const isPlain = (value: unknown): boolean => value !== undefined && !isDeployedValue(value);
    const keys = SECRET_KEYS.filter((key) => isPlain(partOf(credentials, key)));
    const pems = PEMS.filter((key) => {
      const pem = partOf(tls, key);
      return isPlain(pem) && (key === 'clientKey' || PRIVATE_KEY.test(String(pem)));
    });
    return [
      ...keys.map((key) => `${at}.credentials.${key}`),
      ...pems.map((key) => `${at}.tls.${key}`),
    ];
  });
  const ofEnvironments = environments.flatMap(({ path, variables }) =>
    SECRET_VARIABLES.filter((name) => {
      const value = variables?.[name];
      if (typeof value === 'number') return true;
      return typeof value === 'string' && value !== '' && !DYNAMIC_REFERENCE.test(value);
    }).map((name) => `${path}.${name}`),
  );
  return [...ofClusters, ...ofEnvironments];
}

/** @throws ConfigError with every place, never with a value */
export function refusePlainSecrets(places: readonly string[]): void {
  if (places.length === 0) return;
  const what =
    places.length === 1
      ? `${places[0]} is a plain secret`
      : `${places.length} secrets are plain texts: ${places.join(', ')}`;
  throw new ConfigError(`${what}. ${ADVICE}`, {}, 'ROCKETMQ_PLAIN_SECRET');
}

function partOf(part: object, key: string): unknown {
  return (part as Readonly<Record<string, unknown>>)[key];
}
