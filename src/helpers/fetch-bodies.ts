import { BodyNotFetchedError } from '../errors.ts';
import type { RocketMQRecord, S3Pointer } from '../model/event.ts';

/** Gets an object of S3: with `GetObject` of the SDK that the handler has anyway. Its rejection fails what was to be done with the body. */
export type FetchBody = (pointer: S3Pointer) => Promise<Uint8Array>;

/** Objects at once, of some megabytes each. */
const FETCHES_AT_ONCE = 8;

/**
 * The record with its body, as if it had been in the event: text or base64, as `rocketmq.bodyEncoding` says, without pointer and `ExtendedPayloadSize`.
 * @throws BodyNotFetchedError
 */
export async function fetchBodyOf<Record extends RocketMQRecord>(
  record: Record,
  fetchBody: FetchBody | undefined,
): Promise<Record> {
  const { s3Pointer, ...rocketmq } = record.rocketmq;
  if (s3Pointer === undefined) return record;
  if (fetchBody === undefined)
    throw new BodyNotFetchedError(s3Pointer, 'give fetchBody, a function that gets it');
  const body = await fetchBody(s3Pointer).catch((cause: unknown) => {
    throw new BodyNotFetchedError(s3Pointer, `fetchBody failed with ${String(cause)}`, { cause });
  });
  if (body.length !== rocketmq.bodySize)
    throw new BodyNotFetchedError(
      s3Pointer,
      `fetchBody gave ${body.length} bytes, and the message had ${rocketmq.bodySize}`,
    );
  const { ExtendedPayloadSize: _, ...messageAttributes } = record.messageAttributes;
  return {
    ...record,
    body: Buffer.from(body).toString(rocketmq.bodyEncoding),
    messageAttributes,
    rocketmq,
  };
}

/** The same of a batch, in its order. */
export async function fetchBodies<Record extends RocketMQRecord>(
  records: readonly Record[],
  fetchBody: FetchBody | undefined,
): Promise<readonly Record[]> {
  if (records.every(({ rocketmq }) => rocketmq.s3Pointer === undefined)) return records;
  const fetched: Record[] = [];
  const left = records.entries();
  const work = async (): Promise<void> => {
    for (const [index, record] of left) fetched[index] = await fetchBodyOf(record, fetchBody);
  };
  await Promise.all(Array.from({ length: FETCHES_AT_ONCE }, work));
  return fetched;
}
