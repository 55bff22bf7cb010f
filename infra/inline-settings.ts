import { isDeepStrictEqual } from 'node:util';
import { ENVIRONMENT } from '../src/runtime/environment.ts';
import { PULLER } from './resources/names.ts';
import type { FunctionDefinition, Provider } from './serverless-api.ts';

/** A setting of a function that its inline handler does not have, unless the puller has the same. */
interface Setting {
  /** What to do instead; default: `invocation: function`. */
  readonly instead?: string;
  /** Of functions that do not have it themselves. */
  readonly ofProvider?: (provider: Provider) => unknown;
  readonly holds?: (own: unknown, ofPuller: unknown) => boolean;
}

const tracing = (value: unknown): unknown =>
  value === true ? 'Active' : value === undefined || value === false ? 'PassThrough' : value;
const LOGS = { instead: 'set custom.rocketmq.logging' };

/** What is not here holds (`timeout`, `environment`), is refused (`role`), or is not about calls with messages. */
export const SETTINGS: Readonly<Record<string, Setting>> = {
  memorySize: {
    instead: 'raise custom.rocketmq.puller.memorySize',
    holds: (own, ofPuller) => Number(own) <= Number(ofPuller),
  },
  vpc: { instead: 'set custom.rocketmq.vpc', ofProvider: ({ vpc }) => vpc },
  layers: { instead: 'set provider.layers', ofProvider: ({ layers }) => layers },
  tracing: {
    instead: 'set provider.tracing.lambda',
    ofProvider: (provider) => provider.tracing?.lambda,
    holds: (own, ofPuller) => tracing(own) === tracing(ofPuller),
  },
  runtime: { instead: 'set provider.runtime', ofProvider: (provider) => provider.runtime },
  reservedConcurrency: { instead: 'set maximumConcurrency of its events' },
  logs: {},
  logRetentionInDays: LOGS,
  logDataProtectionPolicy: {},
  disableLogs: {},
  architecture: {},
  ephemeralStorageSize: {},
  fileSystemConfig: {},
  kmsKeyArn: {},
  awsKmsKeyArn: {},
  iamRoleStatements: { instead: 'give the permissions in provider.iam.role.statements' },
  provisionedConcurrency: {},
  runtimeManagement: {},
};

/** @returns for each function with an inline handler, what it asks for and does not get, with what to do */
export function lostSettings(
  inline: readonly string[],
  functions: Readonly<Record<string, FunctionDefinition>>,
  provider: Provider,
): string[] {
  const puller = functions[PULLER] ?? {};
  const lost = (key: string, definition: FunctionDefinition): string[] =>
    Object.entries(SETTINGS).flatMap(([name, { instead, ofProvider, holds }]) => {
      const own = definition[name];
      if (own === undefined) return [];
      const ofPuller = puller[name] ?? ofProvider?.(provider);
      if ((holds ?? isDeepStrictEqual)(own, ofPuller)) return [];
      const has = ofPuller === undefined ? 'none' : JSON.stringify(ofPuller);
      return `functions.${key}.${name} is ${JSON.stringify(own)}, but its inline handler runs in the puller, which has ${has}: ${instead === undefined ? '' : `${instead}, or `}use invocation: function`;
    });
  const own = Object.values<string>(ENVIRONMENT);
  const shared = (key: string, { environment = {} }: FunctionDefinition): string[] =>
    Object.keys(environment)
      .filter((name) => own.includes(name))
      .map(
        (name) =>
          `functions.${key}.environment.${name} is a variable of the puller as well, where its inline handler runs: use another name, or invocation: function`,
      );
  return inline.flatMap((key) => {
    const definition = functions[key] ?? {};
    return [...lost(key, definition), ...shared(key, definition)];
  });
}
