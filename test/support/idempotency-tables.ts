import { CreateTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { startLocalDynamoDB } from '../../infra/embedded-parts.ts';

/** A DynamoDB in this process, with tables as Powertools Idempotency wants them. */
export interface IdempotencyTables {
  readonly client: DynamoDBClient;
  readonly endpoint: string;
  create(tableName: string): Promise<void>;
  stop(): Promise<void>;
}

export async function startIdempotencyTables(): Promise<IdempotencyTables> {
  const database = await startLocalDynamoDB();
  const client = new DynamoDBClient({
    endpoint: database.endpoint,
    region: 'eu-west-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  });
  return {
    client,
    endpoint: database.endpoint,
    create: (tableName) => createIdempotencyTable(client, tableName),
    async stop() {
      client.destroy();
      await database.stop();
    },
  };
}

/** Its partition key is `id`. */
export async function createIdempotencyTable(
  client: DynamoDBClient,
  TableName: string,
): Promise<void> {
  await client.send(
    new CreateTableCommand({
      TableName,
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
    }),
  );
}
