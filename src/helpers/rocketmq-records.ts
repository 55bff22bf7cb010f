import type {
  RocketMQBatchItemFailure,
  RocketMQBatchResponse,
  RocketMQEvent,
  RocketMQRecord,
} from '../model/event.ts';
import { printableText } from '../model/printable-text.ts';
import { type FetchBody, fetchBodies } from './fetch-bodies.ts';
import { withFailures } from './merge-failures.ts';
import { laneOf, type Order } from './order-of-event.ts';
import { type BodyFormat, type BodyOf, InvalidBodyError, parseBody } from './parse-body.ts';
import { report } from './report.ts';

/** A record with its body as the handler takes it. */
export type ParsedRecord<Data> = RocketMQRecord & { readonly data: Data };

export interface RecordsOptions<Format extends BodyFormat> {
  /** Default `json`. */
  readonly body?: Format;
  /** What becomes of a message whose body is not so. Default `dlq`: it would not be at its next delivery either. */
  readonly invalid?: 'dlq' | 'retry' | 'drop';
  /** Told of each of them; default: console.error. */
  readonly onInvalid?: (error: InvalidBodyError) => void;
  /** Gets bodies that `s3PointerThreshold` has put into a bucket. When it rejects, or is not there and needed, the batch fails. */
  readonly fetchBody?: FetchBody;
}

/** Middy's request, as far as it is used here: middy's own types ask for packages that users do not have. */
interface MiddyRequest<Data> {
  event: RocketMQEventOf<Data>;
  response: RocketMQBatchResponse | null | undefined;
}

export interface RecordsMiddleware<Data> {
  before(request: MiddyRequest<Data>): Promise<RocketMQBatchResponse | undefined>;
  after(request: MiddyRequest<Data>): void;
  onError(request: MiddyRequest<Data>): void;
}

/**
 * A middy middleware: records with `data`, their body parsed and checked. A message whose body is not as it should be fails alone, and the handler
 * does not see it.
 *
 * ```ts
 * export const handler = middy<RocketMQEventOf<Order>>()
 *   .use(rocketmqRecords({ body: orderSchema }))
 *   .handler(partialBatch(({ data }) => settle(data)));
 * ```
 */
export function rocketmqRecords<const Format extends BodyFormat = 'json'>(
  options: RecordsOptions<Format> = {},
): RecordsMiddleware<BodyOf<Format>> {
  // By request: other middlewares replace the event.
  const partsOf = new WeakMap<object, Parts>();
  return {
    async before(request) {
      const { event } = request;
      const all = event.Records;
      const { records, failures, order } = await parseRecords(event, options);
      if (failures.length > 0) partsOf.set(request, { all, failures, order });
      event.Records = records;
      // Nothing is left for the handler.
      return records.length === 0 && failures.length > 0
        ? (withFailures(undefined, failures, order) as RocketMQBatchResponse)
        : undefined;
    },
    after: (request) => addFailures(request, true),
    onError: (request) => addFailures(request, request.response !== undefined),
  };

  /** @param isAnswered false: the handler threw, and no other middleware has made an answer of that yet */
  function addFailures(request: MiddyRequest<BodyOf<Format>>, isAnswered: boolean): void {
    const parts = partsOf.get(request);
    if (parts === undefined) return;
    const { all, failures, order } = parts;
    const merged = isAnswered ? withFailures(request.response, failures, order) : undefined;
    if (merged !== undefined) request.response = merged as RocketMQBatchResponse;
    // Who makes an answer later names messages of the event: none must be missing.
    else request.event.Records = all as typeof request.event.Records;
  }
}

/** Of an event with bodies that are not as they should be. */
interface Parts {
  /** What the event had. */
  readonly all: readonly RocketMQRecord[];
  readonly failures: readonly RocketMQBatchItemFailure[];
  readonly order: Order | undefined;
}

/** The event of a handler behind `rocketmqRecords`. */
export type RocketMQEventOf<Data> = Omit<RocketMQEvent, 'Records'> & {
  Records: ParsedRecord<Data>[];
};

interface ParsedBatch<Data> {
  /** For the handler, in the order of the event. */
  readonly records: ParsedRecord<Data>[];
  readonly failures: RocketMQBatchItemFailure[];
  readonly order: Order | undefined;
}

/** The record with its body as the handler takes it; or what becomes of its message, which was reported. */
export async function parseRecord<Format extends BodyFormat>(
  record: RocketMQRecord,
  {
    body = 'json' as Format,
    invalid = 'dlq',
    onInvalid = logInvalid,
  }: Omit<RecordsOptions<Format>, 'fetchBody'>,
): Promise<ParsedRecord<BodyOf<Format>> | { readonly action: 'dlq' | 'retry' | 'drop' }> {
  try {
    return { ...record, data: await parseBody(record, body) };
  } catch (error) {
    if (!(error instanceof InvalidBodyError)) throw error;
    report(onInvalid, error);
    return { action: invalid };
  }
}

/** Behind a message of its lane that is not as it should be, none is handled: it comes again. */
async function parseRecords<Format extends BodyFormat>(
  { Records, rocketmqBatch }: Pick<RocketMQEvent, 'Records'> & Partial<RocketMQEvent>,
  options: RecordsOptions<Format>,
): Promise<ParsedBatch<BodyOf<Format>>> {
  const order = rocketmqBatch?.order;
  const records: ParsedRecord<BodyOf<Format>>[] = [];
  const failures: RocketMQBatchItemFailure[] = [];
  const stopped = new Set<string>();
  for (const record of await fetchBodies(Records, options.fetchBody)) {
    const { receiptHandle: itemIdentifier } = record;
    const lane = order && laneOf(record, order, order);
    if (lane !== undefined && stopped.has(lane)) {
      // As its own word: what an answer says beside its list is for the messages that its handler has.
      failures.push({ itemIdentifier, action: 'retry' });
      continue;
    }
    const parsed = await parseRecord(record, options);
    if ('data' in parsed) records.push(parsed);
    else {
      failures.push({ itemIdentifier, ...parsed });
      if (lane !== undefined) stopped.add(lane);
    }
  }
  return { records, failures, order };
}

function logInvalid(error: InvalidBodyError): void {
  // biome-ignore lint/suspicious/noConsole: in a user's function, whose logger we do not know
  console.error(printableText(error.message));
}
