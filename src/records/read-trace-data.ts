import { FIELD, RECORD, TraceCode } from './trace-data.ts';

/** What a trace tells of a message. Times are epoch ms; a group may be missing with clients before 4.8. */
export type TraceEntry =
  | {
      readonly kind: 'sent';
      readonly messageId: string;
      readonly at: number;
      readonly group: string;
      readonly topic: string;
      readonly storeHost: string;
      readonly costMs: number;
      readonly success: boolean;
    }
  | {
      readonly kind: 'delivered';
      readonly messageId: string;
      readonly at: number;
      readonly group: string;
      /** Of the one handler call that both of its records belong to. */
      readonly requestId: string;
      readonly reconsumeTimes: number;
    }
  | {
      readonly kind: 'handled';
      readonly messageId: string;
      readonly at?: number;
      readonly group?: string;
      readonly requestId: string;
      readonly costMs: number;
      readonly success: boolean;
      /** Java's ConsumeReturnType. */
      readonly result?: string;
    }
  | {
      readonly kind: 'transaction';
      readonly messageId: string;
      readonly at: number;
      readonly group: string;
      readonly topic: string;
      readonly state: string;
      /** The broker asked for the state; else the producer said it by itself. */
      readonly fromCheck: boolean;
    };

const RESULTS: ReadonlyMap<string, string> = new Map(
  Object.entries(TraceCode).map(([name, code]) => [String(code), name]),
);

/*
 * Beside the records of trace-data.ts, those of producers:
 *   record => Pub 01 timestamp 01 regionId 01 group 01 topic 01 msgId 01 tags 01 keys 01 storeHost 01 bodyLength 01 costMs 01 msgType 01 offsetMsgId 01 success 02
 *           | EndTransaction 01 timestamp 01 regionId 01 group 01 topic 01 msgId 01 tags 01 keys 01 storeHost 01 msgType 01 transactionId 01 state 01 fromCheck 02
 */
/** The records of a trace message's body. Mirrors TraceDataEncoder.decoderFromTraceDataString; kinds that nobody knows here are passed over. */
export function readTraceData(body: string): TraceEntry[] {
  return body.split(RECORD).flatMap((record) => {
    const entry = readRecord(record.split(FIELD));
    return entry === undefined ? [] : [entry];
  });
}

function readRecord(fields: readonly string[]): TraceEntry | undefined {
  const at = (index: number): string => fields[index] ?? '';
  switch (fields[0]) {
    case 'Pub':
      return fields.length < 13
        ? undefined
        : {
            ...{
              kind: 'sent',
              messageId: at(5),
              at: Number(at(1)),
              group: at(3),
              topic: at(4),
              storeHost: at(8),
            },
            // The oldest have no offsetMsgId before it; later ones have the client's host behind it.
            ...{
              costMs: Number(at(10)),
              success: (fields.length === 13 ? at(12) : at(13)) === 'true',
            },
          };
    case 'SubBefore':
      return fields.length < 8
        ? undefined
        : {
            ...{
              kind: 'delivered',
              messageId: at(5),
              at: Number(at(1)),
              group: at(3),
              requestId: at(4),
            },
            reconsumeTimes: Number(at(6)),
          };
    case 'SubAfter': {
      const result = RESULTS.get(at(6));
      return fields.length < 6
        ? undefined
        : {
            ...{
              kind: 'handled',
              messageId: at(2),
              requestId: at(1),
              costMs: Number(at(3)),
              success: at(4) === 'true',
            },
            ...(result === undefined ? {} : { result }),
            ...(fields.length < 9 ? {} : { at: Number(at(7)), group: at(8) }),
          };
    }
    case 'EndTransaction':
      return fields.length < 13
        ? undefined
        : {
            ...{
              kind: 'transaction',
              messageId: at(5),
              at: Number(at(1)),
              group: at(3),
              topic: at(4),
            },
            ...{ state: at(11), fromCheck: at(12) === 'true' },
          };
    default:
      return undefined;
  }
}
