import type { RocketMQBatchItemFailure, RocketMQHandler, RocketMQRecord } from '../src/index.ts';
import { reported } from './report.ts';

interface Order {
  readonly orderId: number;
  /** The order can be settled after so many failed deliveries. */
  readonly failTimes: number;
}

/** Settles the orders of a batch. Those that fail come back later, one by one; the others are done. */
export const handler: RocketMQHandler = reported(async (event) => {
  const batchItemFailures: RocketMQBatchItemFailure[] = [];
  for (const record of event.Records) {
    if (!(await settle(record))) batchItemFailures.push({ itemIdentifier: record.receiptHandle });
  }
  return { batchItemFailures };
});

async function settle({ body, rocketmq }: RocketMQRecord): Promise<boolean> {
  const order = JSON.parse(body) as Order;
  return rocketmq.reconsumeTimes >= order.failTimes;
}
