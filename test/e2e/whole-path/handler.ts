import type {
  RocketMQBatchItemFailure,
  RocketMQEvent,
  RocketMQHandler,
  RocketMQRecord,
} from '../../../src/index.ts';
import { behaviour } from './workload.ts';

/** One batch as the test's collector gets it: when it began, when it was finished, what was in it. */
export interface BatchReport {
  readonly kind: 'begun' | 'finished';
  readonly at: number;
  readonly batchId: string;
  /** Per record: number, queue it was pulled from, offset there, failed deliveries before. */
  readonly records: readonly {
    seq: number;
    queue: string;
    offset: string;
    reconsumeTimes: number;
    failed: boolean;
  }[];
}

/** The user's function of the end-to-end test: fails, throws, hangs or dies as the message's number says, and reports what it did. */
export const handler: RocketMQHandler = async (event) => {
  await report(event, 'begun', new Set());
  const failures: RocketMQBatchItemFailure[] = [];
  for (const record of event.Records) {
    const first = record.rocketmq.reconsumeTimes === 0;
    switch (behaviour(numberOf(record))) {
      case 'always fails':
        failures.push({ itemIdentifier: record.receiptHandle });
        break;
      case 'fails once':
        if (first) failures.push({ itemIdentifier: record.messageId });
        break;
      case 'throws once':
        if (first) throw new Error(`order ${numberOf(record)} is thrown once`);
        break;
      case 'times out once':
        if (first) await new Promise((resolve) => setTimeout(resolve, 600_000));
        break;
      case 'kills its process once':
        if (first) process.kill(process.pid, 'SIGKILL');
        break;
      case 'good':
        break;
    }
  }
  await report(event, 'finished', new Set(failures.map(({ itemIdentifier }) => itemIdentifier)));
  return { batchItemFailures: failures };
};

function numberOf(record: RocketMQRecord): number {
  return Number(record.rocketmq.properties.seq);
}

async function report(
  event: RocketMQEvent,
  kind: BatchReport['kind'],
  failed: ReadonlySet<string>,
): Promise<void> {
  const body: BatchReport = {
    kind,
    at: Date.now(),
    batchId: event.rocketmqBatch.batchId,
    records: event.Records.map((record) => ({
      seq: numberOf(record),
      queue: record.receiptHandle.slice(0, record.receiptHandle.lastIndexOf('/')),
      offset: record.rocketmq.queueOffset,
      reconsumeTimes: record.rocketmq.reconsumeTimes,
      failed: failed.has(record.messageId) || failed.has(record.receiptHandle),
    })),
  };
  const answer = await fetch(process.env.COLLECTOR_URL as string, {
    method: 'POST',
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`the collector answered ${answer.status}`);
}
