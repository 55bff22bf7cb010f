import type { Context } from 'aws-lambda';
import type { RocketMQBatchResponse, RocketMQEvent } from '../model/event.ts';
import { fetchBodyOf } from './fetch-bodies.ts';
import { checkConcurrency, handleEach, ReportedFailure } from './handle-each.ts';
import type { BodyFormat, BodyOf } from './parse-body.ts';
import type { PartialBatchOptions } from './partial-batch.ts';
import { type ParsedRecord, parseRecord, type RecordsOptions } from './rocketmq-records.ts';

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
  checkConcurrency(options);
  return (event, context) =>
    handleEach(event, context, options, async (record) => {
      const parsed = await parseRecord(await fetchBodyOf(record, options.fetchBody), options);
      if (!('data' in parsed)) throw new ReportedFailure(parsed);
      return handle(parsed, context);
    });
}
