import { randomUUID } from 'node:crypto';
import {
  ConditionalCheckFailedException,
  DeleteItemCommand,
  DynamoDBClient,
  PutItemCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { createHandler, MessageFailure, type ParsedRecord } from '../src/index.ts';

/** Longer than a message can come again: all retries (5 hours by default), then redrives of its dead letter. */
const REMEMBERED_MS = 7 * 24 * 60 * 60 * 1000;

/** A handler that works each message once. The table has the partition key `id` and expires by `expiresAt`. */
export function handleOnce(
  TableName: string,
  work: (record: ParsedRecord<unknown>) => Promise<void>,
) {
  const client = new DynamoDBClient();

  /** True: this call works the message. False: it is done. */
  async function begin(id: string, owner: string, until: number): Promise<boolean> {
    const now = Date.now();
    try {
      await client.send(
        new PutItemCommand({
          TableName,
          Item: { id: { S: id }, owner: { S: owner }, until: { N: String(until) } },
          ConditionExpression: 'attribute_not_exists(id) OR #until < :now',
          ExpressionAttributeNames: { '#until': 'until' },
          ExpressionAttributeValues: { ':now': { N: String(now) } },
          ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
        }),
      );
      return true;
    } catch (error) {
      if (!(error instanceof ConditionalCheckFailedException)) throw error;
      const busyUntil = error.Item?.until?.N;
      if (busyUntil === undefined) return false;
      // Another call has it, or was killed while it had it.
      const delaySeconds = Math.max(1, Math.ceil((Number(busyUntil) - now) / 1000));
      throw new MessageFailure('in progress elsewhere', { delaySeconds });
    }
  }

  const mine = (id: string, owner: string) => ({
    TableName,
    Key: { id: { S: id } },
    ConditionExpression: '#owner = :owner',
    ExpressionAttributeValues: { ':owner': { S: owner } },
  });

  async function finish(id: string, owner: string): Promise<void> {
    const { ExpressionAttributeValues, ...item } = mine(id, owner);
    const expiresAt = Math.floor((Date.now() + REMEMBERED_MS) / 1000);
    await client.send(
      new UpdateItemCommand({
        ...item,
        UpdateExpression: 'SET expiresAt = :expiresAt REMOVE #owner, #until',
        ExpressionAttributeNames: { '#owner': 'owner', '#until': 'until' },
        ExpressionAttributeValues: {
          ...ExpressionAttributeValues,
          ':expiresAt': { N: String(expiresAt) },
        },
      }),
    );
  }

  /** Else it would be in progress until its time is over. */
  async function forget(id: string, owner: string): Promise<void> {
    const ExpressionAttributeNames = { '#owner': 'owner' };
    await client.send(new DeleteItemCommand({ ...mine(id, owner), ExpressionAttributeNames }));
  }

  return createHandler({ body: 'json' }, async (record, context) => {
    const id = record.rocketmq.idempotencyKey;
    const owner = randomUUID();
    if (!(await begin(id, owner, Date.now() + context.getRemainingTimeInMillis()))) return;
    try {
      await work(record);
    } catch (error) {
      await forget(id, owner);
      throw error;
    }
    await finish(id, owner);
  });
}
