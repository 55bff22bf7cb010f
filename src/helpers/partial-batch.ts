import type { Context } from 'aws-lambda';
import type { RocketMQBatchResponse, RocketMQRecord } from '../model/event.ts';
import { type FetchBody, fetchBodyOf } from './fetch-bodies.ts';
import {
  checkConcurrency,
  type EventOf,
  type HandleEachOptions,
  handleEach,
} from './handle-each.ts';

export interface PartialBatchOptions extends HandleEachOptions {
  /** Gets bodies that `s3PointerThreshold` has put into a bucket, before their message is handled. Default: the record has its pointer. */
  readonly fetchBody?: FetchBody;
}

/**
 * A handler out of a function for one message. What it throws, or an error that it returns, fails its message alone; `MessageFailure` says what
 * becomes of it. The order of the event is kept. The answer comes before the function's deadline: what is not done by then has failed.
 */
export function partialBatch<Record extends RocketMQRecord = RocketMQRecord>(
  handle: (record: Record, context: Context) => unknown,
  options: PartialBatchOptions = {},
): (event: EventOf<Record>, context: Context) => Promise<RocketMQBatchResponse> {
  checkConcurrency(options);
  const { fetchBody } = options;
  return (event, context) =>
    handleEach(event, context, options, async (record) =>
      handle(fetchBody === undefined ? record : await fetchBodyOf(record, fetchBody), context),
    );
}
