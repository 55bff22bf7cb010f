import type { RocketMQHandler, RocketMQRecord } from '../src/index.ts';

/**
 * Tells the local run (`npm start`) what a handler made of each message, as JSON to SAMPLE_REPORT_URL; elsewhere a line per batch is logged.
 * A report that cannot be sent fails the batch: the run would count its messages as lost.
 */
export function reported(handler: RocketMQHandler): RocketMQHandler {
  return async (event, context) => {
    const response = await handler(event, context);
    const failed = new Set(
      response?.batchItemFailures?.map(({ itemIdentifier }) => itemIdentifier),
    );
    const url = process.env.SAMPLE_REPORT_URL;
    if (url)
      await send(
        url,
        event.Records.map((record) => delivery(record, failed.has(record.receiptHandle))),
      );
    else
      console.log(
        JSON.stringify({
          msg: 'batch handled',
          records: event.Records.length,
          failed: failed.size,
          queue: event.Records[0]?.receiptHandle,
        }),
      );
    return response;
  };
}

function delivery({ body, rocketmq: { reconsumeTimes } }: RocketMQRecord, failed: boolean): object {
  const { runId, orderId } = JSON.parse(body) as { runId: string; orderId: number };
  return { runId, orderId, reconsumeTimes, outcome: failed ? 'failed' : 'done' };
}

async function send(url: string, deliveries: readonly object[]): Promise<void> {
  const answer = await fetch(url, { method: 'POST', body: JSON.stringify(deliveries) });
  if (!answer.ok)
    throw new Error(`the report was refused with ${answer.status}: ${await answer.text()}`);
}
