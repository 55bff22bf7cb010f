import { setTimeout as sleep } from 'node:timers/promises';
import type { RocketMQEvent, RocketMQHandler, RocketMQRecord } from '../../src/index.ts';
import { failuresOf, messageGroupOf, ORDERS, type Order, topicOf } from './workload.ts';

/** Of one record: done, failed, or not begun because an earlier one of its order failed. */
export type Verdict = 'done' | 'failed' | 'skipped';

/** What the handler tells the fault run: when it begins with a batch, and what became of it. */
export interface HandlerReport {
  readonly requestId: string;
  readonly order: Order;
  /** `topic/broker/queueId` that the batch was pulled from. */
  readonly queue: string;
  readonly records: readonly {
    readonly seq: number;
    readonly key: string;
    readonly offset: number;
    readonly reconsumeTimes: number;
  }[];
  /** One for each record; absent when the batch begins. */
  readonly verdicts?: readonly Verdict[];
}

const BATCH_MS = 20;
const RECORD_MS = 4;

/** The user's function of the fault run: works for some milliseconds a record, fails what `failuresOf` says. */
export const handler: RocketMQHandler = async (event, { awsRequestId }) => {
  const begun = reportOf(event, awsRequestId);
  await post(begun);
  const verdicts: Verdict[] = [];
  const blocked = new Set<string>();
  for (const { seq, key, reconsumeTimes } of begun.records) {
    const messageGroup = messageGroupOf(begun.order, begun.queue, key);
    if (messageGroup !== undefined && blocked.has(messageGroup)) {
      verdicts.push('skipped');
      continue;
    }
    const failed = reconsumeTimes < failuresOf(seq);
    if (failed && messageGroup !== undefined) blocked.add(messageGroup);
    verdicts.push(failed ? 'failed' : 'done');
  }
  await sleep(BATCH_MS + RECORD_MS * begun.records.length);
  await post({ ...begun, verdicts });
  return {
    batchItemFailures: event.Records.filter((_, position) => verdicts[position] === 'failed').map(
      ({ receiptHandle }) => ({ itemIdentifier: receiptHandle }),
    ),
    othersDone: true,
  };
};

function reportOf({ Records }: RocketMQEvent, requestId: string): HandlerReport {
  const [first] = Records as [RocketMQRecord, ...RocketMQRecord[]];
  const { topic } = first.rocketmq;
  const order = ORDERS.find((candidate) => topicOf(candidate) === topic);
  if (order === undefined) throw new Error(`unknown topic ${topic}`);
  return {
    requestId,
    order,
    queue: first.receiptHandle.slice(0, first.receiptHandle.lastIndexOf('/')),
    records: Records.map(({ rocketmq }) => ({
      seq: Number(rocketmq.properties.seq),
      key: rocketmq.keys[0] ?? '',
      offset: Number(rocketmq.queueOffset),
      reconsumeTimes: rocketmq.reconsumeTimes,
    })),
  };
}

async function post(report: HandlerReport): Promise<void> {
  const response = await fetch(process.env.JOURNAL_URL as string, {
    method: 'POST',
    body: JSON.stringify(report),
  });
  if (!response.ok) throw new Error(`the journal answered ${response.status}`);
}
