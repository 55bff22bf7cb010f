import { RequestCode } from '../remoting/request-code.ts';
import { defineRequest, extFields, FieldReader } from './define-request.ts';

/** Where a group begins that never popped the topic (ConsumeInitMode). */
export const PopInitMode = { MIN: 0, MAX: 1 } as const;

export interface PopMessageRequest {
  readonly consumerGroup: string;
  readonly topic: string;
  /** −1: the broker chooses among its queues. */
  readonly queueId: number;
  /** At most 32. */
  readonly maxMsgNums: number;
  /** Milliseconds. */
  readonly invisibleTime: number;
  /** Milliseconds; 0 answers at once. */
  readonly pollTime: number;
  /** 0: the broker takes its own clock. With ours, a clock that goes 500 ms after is answered POLLING_TIMEOUT. */
  readonly bornTime: number;
  readonly initMode: number;
  readonly expType: string;
  readonly exp: string;
  readonly order: boolean;
}

export interface PopMessageAnswer {
  /** Epoch ms of the broker's clock. */
  readonly popTime: bigint;
  readonly invisibleTime: bigint;
  readonly reviveQid: number;
  readonly restNum: bigint;
  /** `retryMark queueId startOffset`, joined by ";". */
  readonly startOffsetInfo?: string;
  /** `retryMark queueId offset,offset,…`, joined by ";". */
  readonly msgOffsetInfo?: string;
  /** Stored records back to back. */
  readonly records: Buffer;
}

/*
 * Request => consumerGroup topic queueId:int maxMsgNums:int invisibleTime:long pollTime:long bornTime:long initMode:int expType exp order:bool
 */
/*
 * Answer  => popTime:long invisibleTime:long reviveQid:int restNum:long startOffsetInfo? msgOffsetInfo? orderCountInfo?, body: records
 *            for SUCCESS; POLLING_FULL and POLLING_TIMEOUT carry nothing that counts
 */
export const popMessage = defineRequest<PopMessageRequest, PopMessageAnswer>(
  RequestCode.POP_MESSAGE,
  {
    encode: (request) => ({ extFields: extFields({ ...request }) }),
    decode: (command) => {
      const fields = new FieldReader(command, 'pop request');
      return {
        consumerGroup: fields.string('consumerGroup'),
        topic: fields.string('topic'),
        queueId: fields.int('queueId'),
        maxMsgNums: fields.int('maxMsgNums'),
        invisibleTime: fields.int('invisibleTime'),
        pollTime: fields.int('pollTime'),
        bornTime: fields.int('bornTime'),
        initMode: fields.int('initMode'),
        expType: fields.string('expType'),
        exp: fields.string('exp'),
        order: fields.optionalBool('order') ?? false,
      };
    },
    encodeAnswer: ({ records, ...fields }) => ({
      extFields: extFields({ ...fields }),
      body: records,
    }),
    decodeAnswer: (command) => {
      const fields = new FieldReader(command, 'pop answer');
      const startOffsetInfo = fields.optionalString('startOffsetInfo');
      const msgOffsetInfo = fields.optionalString('msgOffsetInfo');
      return {
        popTime: fields.long('popTime'),
        invisibleTime: fields.long('invisibleTime'),
        reviveQid: fields.int('reviveQid'),
        restNum: fields.optionalLong('restNum') ?? 0n,
        ...(startOffsetInfo === undefined ? {} : { startOffsetInfo }),
        ...(msgOffsetInfo === undefined ? {} : { msgOffsetInfo }),
        records: command.body,
      };
    },
  },
);
