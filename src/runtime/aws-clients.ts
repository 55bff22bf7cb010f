import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { LambdaClient } from '@aws-sdk/client-lambda';

/** Whose AWS is meant. What is absent is found as the SDK finds it: environment, profile, role. */
export interface AwsAccess {
  readonly region?: string;
  /** Of the shared configuration and credentials files; comes before credentials in the environment. */
  readonly profile?: string;
  readonly credentials?: () => Promise<{
    accessKeyId: string;
    secretAccessKey: string;
    sessionToken?: string;
    expiration?: Date;
  }>;
}

/** Lambda's longest timeout is 15 minutes; a handler call is given up by its AbortSignal, never by the HTTP client first. */
const LONGER_THAN_ANY_HANDLER_MS = 920_000;
const CONNECTION_TIMEOUT_MS = 3000;
/** Keep-alive probes: NAT gateways and load balancers forget connections that are silent for 350 s. */
const agent = { keepAlive: true, keepAliveMsecs: 30_000, maxSockets: 1024 };

/** Calls of user handlers: one attempt, because a repeated call runs the handler twice; what failed is tried again by our own rules. */
export function handlerLambdaClient(access: AwsAccess = {}): LambdaClient {
  return new LambdaClient({
    ...access,
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: CONNECTION_TIMEOUT_MS,
      requestTimeout: LONGER_THAN_ANY_HANDLER_MS,
      httpsAgent: agent,
      httpAgent: agent,
    },
  });
}

/** Asynchronous invocations of pullers: answered at once, and harmless when repeated, because leases decide who works. */
export function pullerLambdaClient(): LambdaClient {
  return new LambdaClient({
    maxAttempts: 3,
    requestHandler: {
      connectionTimeout: CONNECTION_TIMEOUT_MS,
      requestTimeout: 5000,
      throwOnRequestTimeout: true,
      httpsAgent: agent,
      httpAgent: agent,
    },
  });
}

/** The table. Repeated writes are safe (each carries a token), and a slow answer is worth less than a new attempt while a lease runs. */
export function dynamoDBClient(access: AwsAccess = {}): DynamoDBClient {
  return new DynamoDBClient({
    ...access,
    maxAttempts: 4,
    requestHandler: {
      connectionTimeout: 1000,
      requestTimeout: 2000,
      throwOnRequestTimeout: true,
      httpsAgent: agent,
      httpAgent: agent,
    },
  });
}
