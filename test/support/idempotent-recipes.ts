import type { Context } from 'aws-lambda';
import { handleOnce as byCondition } from '../../sample/idempotent-dynamodb.ts';
import { handleOnce as byPowertools } from '../../sample/idempotent-powertools.ts';
import type { RocketMQBatchResponse, RocketMQEvent } from '../../src/model/event.ts';
import { startIdempotencyTables } from './idempotency-tables.ts';

const RECIPES = { powertools: byPowertools, dynamodb: byCondition };
export const RECIPE_NAMES = Object.keys(RECIPES) as (keyof typeof RECIPES)[];
const TIMEOUT_MS = 10_000;

/** A group whose handler works each message once by a recipe of docs/idempotency.md, and whose answers to first deliveries are lost. */
export interface IdempotentGroup {
  readonly handler: (event: RocketMQEvent) => Promise<RocketMQBatchResponse>;
  /** Bodies, each as often as it was worked. */
  readonly worked: readonly string[];
  /** `body reconsumeTimes`, as delivered. */
  readonly deliveries: readonly string[];
  readonly keys: ReadonlyMap<string, ReadonlySet<string>>;
}

/** The recipes over tables in this process: one of each recipe, for all of its groups. */
export async function startRecipes() {
  const tables = await startIdempotencyTables();
  const environment = { ...process.env };
  Object.assign(process.env, {
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'local',
    AWS_SECRET_ACCESS_KEY: 'local',
    AWS_LAMBDA_FUNCTION_NAME: 'shop-dev-rocketmqPuller',
    AWS_ENDPOINT_URL_DYNAMODB: tables.endpoint,
  });
  for (const name of RECIPE_NAMES) await tables.create(name);
  return {
    group(recipe: keyof typeof RECIPES): IdempotentGroup {
      const worked: string[] = [];
      const deliveries: string[] = [];
      const keys = new Map<string, Set<string>>();
      const once = RECIPES[recipe](recipe, async ({ data }) => void worked.push(String(data)));
      return {
        ...{ worked, deliveries, keys },
        async handler(event) {
          for (const { body, rocketmq } of event.Records) {
            deliveries.push(`${body} ${rocketmq.reconsumeTimes}`);
            keys.set(body, (keys.get(body) ?? new Set()).add(rocketmq.idempotencyKey));
          }
          const endsAt = Date.now() + TIMEOUT_MS;
          const getRemainingTimeInMillis = () => endsAt - Date.now();
          const answer = await once(event, { getRemainingTimeInMillis } as Context);
          const lost = event.Records.filter(({ rocketmq }) => rocketmq.reconsumeTimes === 0);
          return lost.length === 0
            ? answer
            : {
                batchItemFailures: lost.map(({ receiptHandle }) => ({
                  itemIdentifier: receiptHandle,
                })),
              };
        },
      };
    },
    async stop(): Promise<void> {
      process.env = environment;
      await tables.stop();
    },
  };
}
