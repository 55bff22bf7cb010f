import { startGuardedProxy } from './guarded-proxy.ts';

/** One half of the local surroundings: where it answers, what it is, how it ends. */
export interface LocalPart {
  /** For people: "embedded RocketMQ", "RocketMQ 5.5.0 (Java)", "127.0.0.1:9876". */
  readonly name: string;
  stop(): Promise<void>;
}

export interface LocalRocketMQ extends LocalPart {
  readonly nameServers: readonly string[];
  /** Everything in it belongs to this run. */
  readonly own: boolean;
}

export interface LocalDynamoDB extends LocalPart {
  readonly endpoint: string;
}

/** Short waits between redeliveries, so that a run with retries and a DLQ takes seconds. Level 3 is the first. */
const QUICK_DELAY_LEVELS = '1s 1s 1s 1s 2s 2s 3s 3s 4s 4s 5s 5s 6s 6s 7s 7s 8s 8s';

/** RocketMQ for a local run: addresses of a cluster that runs already, the real one as child processes, or the embedded one. */
export async function startRocketMQ(choice: {
  addresses?: readonly string[] | undefined;
  real?: boolean;
}): Promise<LocalRocketMQ> {
  if (choice.addresses !== undefined && choice.addresses.length > 0)
    return { name: 'RocketMQ', nameServers: choice.addresses, own: false, stop: async () => {} };
  if (choice.real === true) {
    const { startRealRocketMQ } = await import('../../test/support/real-rocketmq.ts');
    const real = await startRealRocketMQ({ messageDelayLevel: QUICK_DELAY_LEVELS });
    return {
      name: 'RocketMQ 5.5.0',
      nameServers: [real.nameServer],
      own: true,
      stop: () => real.stop(),
    };
  }
  const { startEmbeddedRocketMQ } = await import('../../src/testing/index.ts');
  const embedded = await startEmbeddedRocketMQ({ messageDelayLevel: QUICK_DELAY_LEVELS });
  return {
    name: 'embedded RocketMQ',
    nameServers: embedded.nameServers,
    own: true,
    stop: () => embedded.stop(),
  };
}

/** DynamoDB for a local run: an endpoint that answers already, DynamoDB Local as a child process, or dynalite in this process. */
export async function startDynamoDB(choice: {
  endpoint?: string | undefined;
  real?: boolean;
}): Promise<LocalDynamoDB> {
  if (choice.endpoint !== undefined) {
    await reach(choice.endpoint);
    return { name: 'DynamoDB', endpoint: choice.endpoint, stop: async () => {} };
  }
  if (choice.real === true) {
    const { startDynamoDBLocal } = await import('../../test/support/dynamodb-local.ts');
    const real = await startDynamoDBLocal();
    const guarded = await startGuardedProxy(real.endpoint);
    return {
      name: 'DynamoDB Local',
      endpoint: guarded.endpoint,
      stop: () => Promise.all([guarded.stop(), real.stop()]).then(() => undefined),
    };
  }
  const { startLocalDynamoDB } = await import('../../infra/embedded-parts.ts');
  return { name: 'embedded DynamoDB (dynalite)', ...(await startLocalDynamoDB()) };
}

const REACH_MS = 5_000;

/** Any answer will do: what is asked without a signature is refused, but somebody is there. */
async function reach(endpoint: string): Promise<void> {
  try {
    await fetch(endpoint, { signal: AbortSignal.timeout(REACH_MS) });
  } catch (error) {
    const cause = (error as Error & { cause?: Error }).cause ?? (error as Error);
    throw new Error(
      `no DynamoDB answers at ${endpoint}: ${cause.message}. Start one there, or leave it out for the embedded one`,
      {
        cause: error,
      },
    );
  }
}
