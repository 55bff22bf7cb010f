import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { createRocketMQClient, type RocketMQClient } from '../../src/client/rocketmq-client.ts';
import { connect } from './databases.ts';
import { startDynalite } from './dynalite.ts';
import { type RealRocketMQ, type RealRocketMQOptions, startRealRocketMQ } from './real-rocketmq.ts';

/** Every level of redelivery takes a second. */
export const QUICK_REDELIVERY = Array.from({ length: 18 }, () => '1s').join(' ');

/** What a service needs that runs in the test's process: a real broker with a client, and a table. */
export interface RealWorld {
  readonly rocketmq: RealRocketMQ;
  readonly client: RocketMQClient;
  readonly dynamodb: DynamoDBClient;
  stop(): Promise<void>;
}

export async function startRealWorld(options: RealRocketMQOptions = {}): Promise<RealWorld> {
  const rocketmq = await startRealRocketMQ(options);
  const client = createRocketMQClient({ nameServers: [rocketmq.nameServer] });
  const database = await startDynalite();
  const dynamodb = await connect(database.endpoint);
  return {
    rocketmq,
    client,
    dynamodb,
    async stop() {
      await client.close();
      dynamodb.destroy();
      await database.stop();
      await rocketmq.stop();
    },
  };
}
