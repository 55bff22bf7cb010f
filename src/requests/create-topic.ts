import { RequestCode } from '../remoting/request-code.ts';
import { defineRequest, extFields, FieldReader, NOTHING } from './define-request.ts';

export interface CreateTopicRequest {
  readonly topic: string;
  readonly defaultTopic: string;
  readonly readQueueNums: number;
  readonly writeQueueNums: number;
  readonly perm: number;
  readonly topicFilterType: string;
  readonly topicSysFlag?: number | undefined;
  readonly order?: boolean | undefined;
}

/*
 * Request => topic defaultTopic readQueueNums:int writeQueueNums:int perm:int topicFilterType topicSysFlag?:int order?:bool
 *            replaces the whole configuration
 */
/*
 * Answer  => nothing; SUCCESS comes with the remark "not set any response code"
 */
export const createTopic = defineRequest<CreateTopicRequest, void>(
  RequestCode.UPDATE_AND_CREATE_TOPIC,
  {
    encode: (request) => ({ extFields: extFields({ ...request }) }),
    decode: (command) => {
      const fields = new FieldReader(command, 'topic creation');
      return {
        topic: fields.string('topic'),
        defaultTopic: fields.optionalString('defaultTopic') ?? '',
        readQueueNums: fields.int('readQueueNums'),
        writeQueueNums: fields.int('writeQueueNums'),
        perm: fields.int('perm'),
        topicFilterType: fields.optionalString('topicFilterType') ?? 'SINGLE_TAG',
        topicSysFlag: fields.optionalInt('topicSysFlag'),
        order: fields.optionalBool('order'),
      };
    },
    ...NOTHING,
  },
);
