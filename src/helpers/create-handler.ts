import type { Context } from 'aws-lambda';
import type { RocketMQBatchResponse, RocketMQEvent } from '../model/event.ts';
import type { BodyFormat, BodyOf } from './parse-body.ts';
import { type PartialBatchOptions, partialBatch } from './partial-batch.ts';
import { type ParsedRecord, parseRecords, type RecordsOptions } from './rocketmq-records.ts';

/**
 * A whole handler out of a function for one message: bodies parsed and checked, failures told one by one.
 *
 * ```ts
 * export const handler = createHandler({ body: orderSchema, concurrency: 10 }, async ({ data }) => settle(data));
 * ```
 */
export function createHandler<const Format extends BodyFormat = 'json'>(
  options: RecordsOptions<Format> & PartialBatchOptions,
  handle: (record: ParsedRecord<BodyOf<Format>>, context: Context) => unknown,
): (event: RocketMQEvent, context: Context) => Promise<RocketMQBatchResponse> {
  const handleRecords = partialBatch(handle, options);
  return async (event, context) => {
    const { records, failures } = await parseRecords(event.Records, options);
    const { batchItemFailures } = await handleRecords({ ...event, Records: records }, context);
    return { batchItemFailures: [...failures, ...(batchItemFailures ?? [])] };
  };
}
