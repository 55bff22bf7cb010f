import { asObject, asString, parseFastjson, stringifyJson } from '../remoting/fastjson.ts';
import { RequestCode } from '../remoting/request-code.ts';
import { defineRequest, NOTHING } from './define-request.ts';

/** SubscriptionGroupConfig; only the name is required. */
export interface CreateGroupRequest {
  readonly groupName: string;
  readonly consumeEnable?: boolean;
  readonly consumeBroadcastEnable?: boolean;
  readonly retryQueueNums?: number;
  readonly retryMaxTimes?: number;
  readonly notifyConsumerIdsChangedEnable?: boolean;
}

/*
 * Request => body { groupName, consumeEnable?, consumeBroadcastEnable?, retryQueueNums?, retryMaxTimes?, … }          replaces the whole configuration
 */
/*
 * Answer  => nothing
 */
export const createGroup = defineRequest<CreateGroupRequest, void>(
  RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP,
  {
    encode: (request) => ({ extFields: {}, body: Buffer.from(stringifyJson(request)) }),
    decode: ({ body }) => {
      const config = asObject(parseFastjson(body), 'subscription group');
      return { ...config, groupName: asString(config.groupName, 'groupName') };
    },
    ...NOTHING,
  },
);
