import type { Subscription } from '../model/subscription.ts';
import {
  asArray,
  asInteger,
  asObject,
  asString,
  type FastjsonValue,
} from '../remoting/fastjson.ts';

/** SubscriptionData as heartbeats and request 46 carry it. */
export function subscriptionToJson(subscription: Subscription): object {
  const { topic, subString, expressionType, tagsSet, codeSet, subVersion } = subscription;
  return { classFilterMode: false, topic, subString, tagsSet, codeSet, subVersion, expressionType };
}

export function subscriptionFromJson(value: FastjsonValue): Subscription {
  const data = asObject(value, 'subscriptionData');
  const subVersion = data.subVersion;
  return {
    topic: asString(data.topic, 'topic'),
    subString: typeof data.subString === 'string' ? data.subString : '*',
    expressionType: data.expressionType === 'SQL92' ? 'SQL92' : 'TAG',
    tagsSet: asArray(data.tagsSet, 'tagsSet').map((tag) => asString(tag, 'tag')),
    codeSet: asArray(data.codeSet, 'codeSet').map((code) => asInteger(code, 'tag code')),
    subVersion: typeof subVersion === 'number' ? subVersion : Number(subVersion ?? 0),
  };
}
