import type { Message } from '../model/message.ts';
import { Property } from './properties.ts';

/*
 * Body of a trace message => record*
 *   record    => SubBefore 01 timestamp 01 regionId 01 group 01 requestId 01 msgId 01 reconsumeTimes 01 keys 02
 *              | SubAfter 01 requestId 01 msgId 01 costMs 01 success 01 keys 01 contextCode 01 timestamp 01 group 02
 *   success   => true | false
 *   keys      => the message's KEYS, or the word null; so with the region
 * A trace message's own KEYS are the ids and keys of the messages in it: that is how it is found.
 */
export const FIELD = '\u0001';
export const RECORD = '\u0002';

/** How a delivery ended: the ordinal of Java's ConsumeReturnType. */
export const TraceCode = {
  SUCCESS: 0,
  TIME_OUT: 1,
  EXCEPTION: 2,
  RETURNNULL: 3,
  FAILED: 4,
} as const;
export type TraceCode = (typeof TraceCode)[keyof typeof TraceCode];

/** What of a message its trace tells. */
export interface TracedMessage {
  readonly msgId: string;
  readonly keys: string | undefined;
  readonly regionId: string | undefined;
  readonly reconsumeTimes: number;
}

/** One record, and the keys that its trace message is to be found by. */
export interface TraceRecord {
  readonly data: string;
  readonly keys: readonly string[];
}

/**
 * undefined: not to be traced, because its sender or broker switched it off (TRACE_ON=false). Brokers of 4.9 store no region, nor do those of 5 with
 * messages of a batch: like Java's 4.9 client, and unlike its 5 one, which passes them over, the word null stands for it.
 */
export function tracedMessage({
  properties,
  msgId,
  reconsumeTimes,
}: Message): TracedMessage | undefined {
  if (properties.get(Property.TRACE_ON) === 'false') return undefined;
  return {
    msgId,
    regionId: properties.get(Property.MSG_REGION),
    reconsumeTimes,
    keys: properties.get(Property.KEYS),
  };
}

/** A handler is about to get the message. Mirrors TraceDataEncoder.encoderFromContextBean. @param timestamp epoch ms */
export function subBefore(
  message: TracedMessage,
  {
    timestamp,
    consumerGroup,
    requestId,
  }: { readonly timestamp: number; readonly consumerGroup: string; readonly requestId: string },
): TraceRecord {
  const { regionId, msgId, reconsumeTimes } = message;
  return record(message, [
    'SubBefore',
    timestamp,
    regionId ?? null,
    consumerGroup,
    requestId,
    msgId,
    reconsumeTimes,
    message.keys ?? null,
  ]);
}

/** The handler's call has ended. @param costMs of the call, divided by its messages */
export function subAfter(
  message: TracedMessage,
  context: {
    readonly timestamp: number;
    readonly consumerGroup: string;
    readonly requestId: string;
    readonly costMs: number;
    readonly code: TraceCode;
  },
): TraceRecord {
  const { requestId, costMs, code, timestamp, consumerGroup } = context;
  const success = code === TraceCode.SUCCESS;
  return record(message, [
    'SubAfter',
    requestId,
    message.msgId,
    costMs,
    success,
    message.keys ?? null,
    code,
    timestamp,
    consumerGroup,
  ]);
}

function record(
  { msgId, keys }: TracedMessage,
  fields: readonly (string | number | boolean | null)[],
): TraceRecord {
  return {
    // Ids and keys are the producer's: a separator in them would forge fields, and records, of others.
    data: fields.map((field) => withoutSeparators(String(field))).join(FIELD) + RECORD,
    keys: [msgId, ...(keys?.split(' ').filter((key) => key !== '') ?? [])],
  };
}

function withoutSeparators(text: string): string {
  return text.replaceAll(FIELD, ' ').replaceAll(RECORD, ' ');
}
