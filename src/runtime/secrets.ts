import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { SSMClient } from '@aws-sdk/client-ssm';
import type { MiddlewareObj } from '@middy/core';
import secretsManager from '@middy/secrets-manager';
import ssm from '@middy/ssm';
import { RocketMQError } from '../errors.ts';
import type {
  ClusterConfig,
  ClusterSecrets,
  Credentials,
  SecretReference,
  ServiceConfig,
  TlsOptions,
} from '../model/source.ts';
import type { Clock } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';
import type { AwsAccess } from './aws-clients.ts';

/** What was fetched is good for so long; a refusal by a broker asks for it anew at once. */
const EXPIRY_MS = 300_000;
/**
 * A refusal that newer credentials do not mend (a right is missing) must not ask the store with every request. Short, because a rotation
 * changes the broker first and the store a moment later.
 */
const RENEW_AT_MOST_EVERY_MS = 2000;
const AWS_CLIENT = {
  maxAttempts: 3,
  requestHandler: { connectionTimeout: 1000, requestTimeout: 3000, throwOnRequestTimeout: true },
};

type Kind = keyof ClusterSecrets;
type Before = NonNullable<MiddlewareObj['before']>;
type Request = Parameters<Before>[0];

interface Fetched {
  readonly value: object;
  readonly at: number;
}

/** The secrets of the clusters, which the configuration names and an invocation fetches. */
export interface Secrets {
  /** Fetches what is missing or too old: of the event's cluster, or of all. Never fails: what is not there is told by `complete`. */
  readonly middleware: { readonly before: (request: Request) => Promise<void> };
  /**
   * The clusters with the secrets that were fetched for this invocation.
   * @throws RocketMQError ROCKETMQ_SECRET when one of this cluster is not there; it names the place and never the value
   */
  complete(name: string, cluster: ClusterConfig, logger: Logger): ClusterConfig;
  /** Credentials after a refusal: fetched anew, unless that was done a moment ago. Undefined when they are not kept in a store, or it does not answer. */
  renew(name: string, logger: Logger): Promise<Credentials | undefined>;
}

/**
 * Secrets Manager and SSM Parameter Store through middy's middlewares. Their own cache is switched off: it fetches in a timer of its own, whose
 * failure would end the process in the middle of an invocation, and it cannot keep an old value while the store is away.
 */
export function createSecrets(
  { clusters }: Pick<ServiceConfig, 'clusters'>,
  { now }: Pick<Clock, 'now'>,
  access: AwsAccess = {},
): Secrets {
  const fetched = new Map<string, Fetched>();
  const failures = new Map<string, RocketMQError>();
  const fetchers = new Map<string, Before>();
  const under = new Map<string, Promise<void>>();
  const renewed = new Map<string, number>();

  const fetchNow = async (name: string, kind: Kind, reference: SecretReference): Promise<void> => {
    const key = `${name}.${kind}`;
    try {
      const before = fetchers.get(key) ?? fetcher(reference, access);
      fetchers.set(key, before);
      const request = {
        event: {},
        context: {},
        response: undefined,
        error: null,
        internal: {} as Record<string, unknown>,
      };
      await before(request as unknown as Request);
      const value = await request.internal.secret;
      fetched.set(key, { value: READERS[kind](value), at: now() });
      failures.delete(key);
    } catch (error) {
      failures.set(key, secretError(name, kind, reference, error));
    }
  };
  /** Callers at the same time share one question. */
  const fetchOnce = (name: string, kind: Kind, reference: SecretReference): Promise<void> => {
    const key = `${name}.${kind}`;
    const running =
      under.get(key) ?? fetchNow(name, kind, reference).finally(() => under.delete(key));
    under.set(key, running);
    return running;
  };
  const references = (name: string): [Kind, SecretReference][] =>
    Object.entries(clusters[name]?.secrets ?? {}).map(([kind, reference]) => [
      kind as Kind,
      reference,
    ]);
  const isRecent = (at: number | undefined, ms: number): boolean =>
    at !== undefined && now() - at < ms;

  return {
    middleware: {
      async before({ event }) {
        const wanted = (event as { cluster?: unknown } | null | undefined)?.cluster;
        const names = Object.keys(clusters).filter(
          (name) => typeof wanted !== 'string' || name === wanted,
        );
        const missing = names.flatMap((name) =>
          references(name)
            .filter(([kind]) => !isRecent(fetched.get(`${name}.${kind}`)?.at, EXPIRY_MS))
            .map(([kind, reference]) => fetchOnce(name, kind, reference)),
        );
        await Promise.all(missing);
      },
    },
    complete(name, cluster, logger) {
      let completed = cluster;
      for (const [kind] of references(name)) {
        const key = `${name}.${kind}`;
        const failure = failures.get(key);
        const value = fetched.get(key)?.value;
        if (value === undefined)
          throw (
            failure ??
            new RocketMQError(
              'ROCKETMQ_SECRET',
              `the ${kind} of cluster "${name}" were not fetched`,
            )
          );
        if (failure !== undefined)
          logger.warn(
            { err: failure },
            'a secret could not be fetched again: the old one serves until brokers refuse it',
          );
        completed =
          kind === 'tls'
            ? { ...completed, tls: { enabled: true, ...completed.tls, ...value } }
            : { ...completed, credentials: value as Credentials };
      }
      return completed;
    },
    async renew(name, logger) {
      const reference = clusters[name]?.secrets?.credentials;
      if (reference === undefined) return undefined;
      const key = `${name}.credentials`;
      if (under.has(key) || !isRecent(renewed.get(key), RENEW_AT_MOST_EVERY_MS)) {
        renewed.set(key, now());
        await fetchOnce(name, 'credentials', reference);
        const failure = failures.get(key);
        if (failure === undefined)
          logger.info({ cluster: name }, 'credentials were refused and fetched again');
        else logger.warn({ err: failure }, 'credentials were refused and cannot be fetched again');
      }
      return fetched.get(key)?.value as Credentials | undefined;
    },
  };
}

function fetcher(reference: SecretReference, access: AwsAccess): Before {
  const settings = {
    awsClientOptions: { ...AWS_CLIENT, ...access },
    disablePrefetch: true,
    cacheExpiry: 0,
  };
  const { before } =
    'secretArn' in reference
      ? secretsManager({
          ...settings,
          AwsClient: SecretsManagerClient,
          fetchData: { secret: reference.secretArn },
        })
      : ssm({ ...settings, AwsClient: SSMClient, fetchData: { secret: reference.ssmParameter } });
  return before as Before;
}

/** What a secret must hold, and how it is called by others: Secrets Manager's own rotations say username and password. */
const READERS: { readonly [K in Kind]: (value: unknown) => object } = {
  credentials: (value): Credentials => {
    const accessKey = textOf(value, 'accessKey') ?? textOf(value, 'username');
    const secretKey = textOf(value, 'secretKey') ?? textOf(value, 'password');
    const securityToken = textOf(value, 'securityToken');
    if (accessKey === undefined || secretKey === undefined)
      throw new UnreadableSecret(
        'it must be JSON with accessKey and secretKey (or username and password), and securityToken if there is one',
      );
    return { accessKey, secretKey, ...(securityToken === undefined ? {} : { securityToken }) };
  },
  tls: (value): Partial<TlsOptions> => {
    const names = ['caCertificate', 'clientCertificate', 'clientKey'] as const;
    const found = names.flatMap((name): [string, string][] => {
      const pem = textOf(value, name);
      return pem?.includes('-----BEGIN ') ? [[name, pem]] : [];
    });
    const given = new Set(found.map(([name]) => name));
    if (given.size === 0 || given.has('clientCertificate') !== given.has('clientKey'))
      throw new UnreadableSecret(
        'it must be JSON with PEM texts: caCertificate, or clientCertificate and clientKey, or all three',
      );
    return Object.fromEntries(found);
  },
};

function textOf(value: unknown, name: string): string | undefined {
  const text: unknown =
    typeof value === 'object' && value !== null && name in value
      ? value[name as keyof typeof value]
      : undefined;
  return typeof text === 'string' && text !== '' ? text : undefined;
}

class UnreadableSecret extends Error {}

const ADVICE: Readonly<Record<string, string>> = {
  AccessDeniedException:
    'the role may not read it: deploy the service again, and allow its key (kmsKeyArn) if it has one of its own',
  ResourceNotFoundException: 'there is none of that name in this region',
  DecryptionFailure: 'its key cannot be used: give kmsKeyArn',
};

function secretError(
  name: string,
  kind: Kind,
  reference: SecretReference,
  error: unknown,
): RocketMQError {
  const place =
    'secretArn' in reference ? reference.secretArn : `SSM parameter ${reference.ssmParameter}`;
  const { name: type, message } = error instanceof Error ? error : new Error(String(error));
  const advice =
    error instanceof UnreadableSecret
      ? message
      : `${ADVICE[type] ?? message} (${type}); in a VPC, the store needs an endpoint or NAT`;
  // No cause: what a service answered may hold the secret.
  return new RocketMQError(
    'ROCKETMQ_SECRET',
    `the ${kind} of cluster "${name}" cannot be read from ${place}: ${advice}`,
  );
}
