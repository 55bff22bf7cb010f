import type { Subscription } from '../model/subscription.ts';
import { asObject, parseFastjson, stringifyJson } from '../remoting/fastjson.ts';
import { RequestCode } from '../remoting/request-code.ts';
import { defineRequest, NOTHING } from './define-request.ts';
import { subscriptionFromJson, subscriptionToJson } from './subscription-data.ts';

export interface CheckClientConfigRequest {
  readonly clientId: string;
  readonly group: string;
  readonly subscription?: Subscription | undefined;
}

/*
 * Request => body { clientId, group, subscriptionData }
 */
/*
 * Answer  => nothing                SUBSCRIPTION_PARSE_FAILED with the compiler's words; SYSTEM_ERROR when the broker has no property filter
 */
export const checkClientConfig = defineRequest<CheckClientConfigRequest, void>(
  RequestCode.CHECK_CLIENT_CONFIG,
  {
    encode: ({ clientId, group, subscription }) => ({
      extFields: {},
      body: Buffer.from(
        stringifyJson({
          clientId,
          group,
          ...(subscription === undefined
            ? {}
            : { subscriptionData: subscriptionToJson(subscription) }),
        }),
      ),
    }),
    decode: ({ body }) => {
      const data = asObject(body.length === 0 ? {} : parseFastjson(body), 'client configuration');
      const subscription = data.subscriptionData;
      return {
        clientId: typeof data.clientId === 'string' ? data.clientId : '',
        group: typeof data.group === 'string' ? data.group : '',
        subscription:
          subscription === undefined || subscription === null
            ? undefined
            : subscriptionFromJson(subscription),
      };
    },
    ...NOTHING,
  },
);
