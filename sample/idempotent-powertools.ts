import {
  IdempotencyAlreadyInProgressError,
  IdempotencyConfig,
  makeIdempotent,
} from '@aws-lambda-powertools/idempotency';
import { DynamoDBPersistenceLayer } from '@aws-lambda-powertools/idempotency/dynamodb';
import { createHandler, MessageFailure, type ParsedRecord } from '../src/index.ts';

/** Longer than a message can come again: all retries (5 hours by default), then redrives of its dead letter. */
const REMEMBERED_SECONDS = 7 * 24 * 60 * 60;

/** A handler that works each message once. The table has the partition key `id` and expires by `expiration`. */
export function handleOnce(
  tableName: string,
  work: (record: ParsedRecord<unknown>) => Promise<void>,
) {
  const config = new IdempotencyConfig({
    eventKeyJmesPath: 'rocketmq.idempotencyKey',
    throwOnNoIdempotencyKey: true,
    expiresAfterSeconds: REMEMBERED_SECONDS,
  });
  const workOnce = makeIdempotent(
    async (record: ParsedRecord<unknown>) => {
      await work(record);
      return null;
    },
    { persistenceStore: new DynamoDBPersistenceLayer({ tableName }), config },
  );
  return createHandler({ body: 'json' }, async (record, context) => {
    config.registerLambdaContext(context);
    try {
      await workOnce(record);
    } catch (error) {
      if (!(error instanceof IdempotencyAlreadyInProgressError)) throw error;
      // The call that has it began earlier and has the same timeout.
      const delaySeconds = Math.ceil(context.getRemainingTimeInMillis() / 1000);
      throw new MessageFailure('in progress elsewhere', { delaySeconds });
    }
  });
}
