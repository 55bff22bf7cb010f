import { RequestCode } from '../remoting/request-code.ts';
import { defineRequest, extFields, FieldReader } from './define-request.ts';

/** Bits of a pull's sysFlag (PullSysFlag). COMMIT_OFFSET is never sent: it stores an old offset over an operator's reset. */
export const PullFlag = { COMMIT_OFFSET: 1, SUSPEND: 2, SUBSCRIPTION: 4 } as const;

export interface PullMessageRequest {
  readonly consumerGroup: string;
  readonly topic: string;
  readonly queueId: number;
  readonly queueOffset: bigint;
  readonly maxMsgNums: number;
  readonly sysFlag: number;
  readonly commitOffset: bigint;
  readonly suspendTimeoutMillis: number;
  readonly subscription?: string | undefined;
  readonly subVersion: number;
  readonly expressionType?: string | undefined;
}

export interface PullMessageAnswer {
  readonly suggestWhichBrokerId: number;
  readonly nextBeginOffset: bigint;
  readonly minOffset: bigint;
  readonly maxOffset: bigint;
  /** Static topics. */
  readonly offsetDelta?: bigint;
  /** Stored records back to back. */
  readonly records: Buffer;
}

/*
 * Request => consumerGroup topic queueId:int queueOffset:long maxMsgNums:int sysFlag:int commitOffset:long suspendTimeoutMillis:long
 *            subscription? subVersion:long expressionType?
 */
/*
 * Answer  => suggestWhichBrokerId:long nextBeginOffset:long minOffset:long maxOffset:long offsetDelta?:long, body: records
 *            for the codes SUCCESS, PULL_NOT_FOUND, PULL_RETRY_IMMEDIATELY and PULL_OFFSET_MOVED; errors carry no offsets
 */
export const pullMessage = defineRequest<PullMessageRequest, PullMessageAnswer>(
  RequestCode.PULL_MESSAGE,
  {
    encode: (request) => ({ extFields: extFields({ ...request }) }),
    decode: (command) => {
      const fields = new FieldReader(command, 'pull request');
      return {
        consumerGroup: fields.string('consumerGroup'),
        topic: fields.string('topic'),
        queueId: fields.int('queueId'),
        queueOffset: fields.long('queueOffset'),
        maxMsgNums: fields.int('maxMsgNums'),
        sysFlag: fields.int('sysFlag'),
        commitOffset: fields.optionalLong('commitOffset') ?? 0n,
        suspendTimeoutMillis: fields.optionalInt('suspendTimeoutMillis') ?? 0,
        subscription: fields.optionalString('subscription'),
        subVersion: fields.optionalInt('subVersion') ?? 0,
        expressionType: fields.optionalString('expressionType'),
      };
    },
    encodeAnswer: ({ records, ...offsets }) => ({
      extFields: extFields({ ...offsets }),
      body: records,
    }),
    decodeAnswer: (command) => {
      const fields = new FieldReader(command, 'pull answer');
      const offsetDelta = fields.optionalLong('offsetDelta');
      return {
        suggestWhichBrokerId: fields.optionalInt('suggestWhichBrokerId') ?? 0,
        nextBeginOffset: fields.long('nextBeginOffset'),
        minOffset: fields.long('minOffset'),
        maxOffset: fields.long('maxOffset'),
        ...(offsetDelta === undefined ? {} : { offsetDelta }),
        records: command.body,
      };
    },
  },
);
