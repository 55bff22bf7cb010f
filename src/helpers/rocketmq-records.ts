import type {
  RocketMQBatchItemFailure,
  RocketMQBatchResponse,
  RocketMQEvent,
  RocketMQRecord,
} from '../model/event.ts';
import { printableText } from '../model/printable-text.ts';
import { type FetchBody, fetchBodies } from './fetch-bodies.ts';
import { type BodyFormat, type BodyOf, InvalidBodyError, parseBody } from './parse-body.ts';

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
  const failuresOf = new WeakMap<object, RocketMQBatchItemFailure[]>();
  return {
    async before(request) {
      const { records, failures } = await parseRecords(request.event.Records, options);
      failuresOf.set(request.event, failures);
      request.event.Records = records;
      // Nothing is left for the handler.
      return records.length === 0 && failures.length > 0
        ? { batchItemFailures: failures }
        : undefined;
    },
    after(request) {
      const failures = failuresOf.get(request.event) ?? [];
      const response: unknown = request.response ?? undefined;
      // An answer that is none stays one: the puller names it.
      if (failures.length === 0 || (response !== undefined && typeof response !== 'object')) return;
      const { batchItemFailures, ...rest } = (response ?? {}) as RocketMQBatchResponse;
      request.response = {
        ...rest,
        batchItemFailures: [...(batchItemFailures ?? []), ...failures],
      };
    },
  };
}

/** The event of a handler behind `rocketmqRecords`. */
export type RocketMQEventOf<Data> = Omit<RocketMQEvent, 'Records'> & {
  Records: ParsedRecord<Data>[];
};

export async function parseRecords<Format extends BodyFormat>(
  records: readonly RocketMQRecord[],
  {
    body = 'json' as Format,
    invalid = 'dlq',
    onInvalid = logInvalid,
    fetchBody,
  }: RecordsOptions<Format>,
): Promise<{
  readonly records: ParsedRecord<BodyOf<Format>>[];
  readonly failures: RocketMQBatchItemFailure[];
}> {
  const parsed: ParsedRecord<BodyOf<Format>>[] = [];
  const failures: RocketMQBatchItemFailure[] = [];
  for (const record of await fetchBodies(records, fetchBody)) {
    try {
      parsed.push({ ...record, data: await parseBody(record, body) });
    } catch (error) {
      if (!(error instanceof InvalidBodyError)) throw error;
      onInvalid(error);
      failures.push({ itemIdentifier: record.receiptHandle, action: invalid });
    }
  }
  return { records: parsed, failures };
}

function logInvalid(error: InvalidBodyError): void {
  // biome-ignore lint/suspicious/noConsole: in a user's function, whose logger we do not know
  console.error(printableText(error.message));
}
