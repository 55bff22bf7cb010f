import { randomUUID } from 'node:crypto';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { CONSOLE_LINE, READY_LINE } from '../../infra/offline.ts';
import { localTableName } from '../../infra/resources/names.ts';
import type { AssignmentStore, GroupKey } from '../../src/ports/assignment-store.ts';
import { ENVIRONMENT } from '../../src/runtime/environment.ts';
import { createAssignmentStore } from '../../src/store/assignment-store.ts';

export { CONSOLE_LINE, READY_LINE };

/** What serverless.yml of this repo says. */
export const sampleTopic = 'orders';
export const sampleGroup: GroupKey = { cluster: 'default', consumerGroup: 'order-worker' };
const TENANT = { service: 'serverless-rocketmq-sample', stage: 'dev' };
const TABLE = localTableName(TENANT.service, TENANT.stage);
const REGION = 'eu-central-1';

/** The environment that points the sample service at local parts. Credentials only where nobody checks them. */
export function serviceEnvironment(
  nameServers: readonly string[],
  dynamodbEndpoint: string,
  reportUrl?: string,
): Record<string, string> {
  return {
    [ENVIRONMENT.nameServers]: nameServers.join(';'),
    [ENVIRONMENT.table]: TABLE,
    AWS_ENDPOINT_URL_DYNAMODB: dynamodbEndpoint,
    AWS_REGION: process.env.AWS_REGION ?? REGION,
    AWS_ACCESS_KEY_ID: process.env.AWS_ACCESS_KEY_ID ?? 'local',
    AWS_SECRET_ACCESS_KEY: process.env.AWS_SECRET_ACCESS_KEY ?? 'local',
    SAMPLE_REPORT_URL: reportUrl ?? '',
  };
}

/** The sample service's assignments, read beside it. */
export function openStore(endpoint: string): { readonly store: AssignmentStore; close(): void } {
  const {
    AWS_ACCESS_KEY_ID: accessKeyId = 'local',
    AWS_SECRET_ACCESS_KEY: secretAccessKey = 'local',
    AWS_REGION: region = REGION,
  } = process.env;
  const client = new DynamoDBClient({
    endpoint,
    region,
    credentials: { accessKeyId, secretAccessKey },
  });
  return {
    store: createAssignmentStore(client, TABLE, { keys: TENANT, newToken: randomUUID }),
    close: () => client.destroy(),
  };
}
