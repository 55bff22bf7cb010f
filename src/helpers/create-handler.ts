import type { Context } from 'aws-lambda';
import type { RocketMQBatchResponse, RocketMQEvent, RocketMQRecord } from '../model/event.ts';
import { fetchBodyOf } from './fetch-bodies.ts';
import { checkConcurrency, handleEach, ReportedFailure } from './handle-each.ts';
import { type BodyFormat, type BodyOf, InvalidBodyError, parseBody } from './parse-body.ts';
import type { PartialBatchOptions } from './partial-batch.ts';
import { logInvalid, type ParsedRecord, type RecordsOptions } from './rocketmq-records.ts';

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
    handleEach(event, context, options, async (record) =>
      handle(await parsed(record, options), context),
    );
}

async function parsed<Format extends BodyFormat>(
  record: RocketMQRecord,
  {
    body = 'json' as Format,
    invalid = 'dlq',
    onInvalid = logInvalid,
    fetchBody,
  }: RecordsOptions<Format>,
): Promise<ParsedRecord<BodyOf<Format>>> {
  const whole = await fetchBodyOf(record, fetchBody);
  try {
    return { ...whole, data: await parseBody(whole, body) };
  } catch (error) {
    if (!(error instanceof InvalidBodyError)) throw error;
    onInvalid(error);
    throw new ReportedFailure({ action: invalid });
  }
}
