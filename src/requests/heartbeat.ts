import type { Subscription } from '../model/subscription.ts';
import { asArray, asObject, asString, parseFastjson, stringifyJson } from '../remoting/fastjson.ts';
import { RequestCode } from '../remoting/request-code.ts';
import { defineRequest, NOTHING } from './define-request.ts';
import { subscriptionFromJson, subscriptionToJson } from './subscription-data.ts';

/** One group as a client reports it (ConsumerData). Enums keep Java's names. */
export interface ConsumerData {
  readonly groupName: string;
  readonly consumeType: string;
  readonly messageModel: string;
  readonly consumeFromWhere: string;
  readonly subscriptions: readonly Subscription[];
}

export interface HeartbeatData {
  readonly clientId: string;
  readonly consumers: readonly ConsumerData[];
}

/*
 * Request => body { clientID, consumerDataSet: [{ groupName, consumeType, messageModel, consumeFromWhere, unitMode, subscriptionDataSet }],
 *                   producerDataSet, heartbeatFingerprint: 0, withoutSub: false }              fingerprint 0 = heartbeat V1
 */
/*
 * Answer  => IS_SUPPORT_HEART_BEAT_V2? IS_SUB_CHANGE?                            SUCCESS even when nothing was registered
 */
export const heartbeat = defineRequest<HeartbeatData, void>(RequestCode.HEART_BEAT, {
  encode: ({ clientId, consumers }) => ({
    extFields: {},
    body: Buffer.from(
      stringifyJson({
        clientID: clientId,
        consumerDataSet: consumers.map(({ subscriptions, ...consumer }) => ({
          ...consumer,
          unitMode: false,
          subscriptionDataSet: subscriptions.map(subscriptionToJson),
        })),
        producerDataSet: [],
        heartbeatFingerprint: 0,
        withoutSub: false,
      }),
    ),
  }),
  decode: ({ body }) => {
    const data = asObject(body.length === 0 ? {} : parseFastjson(body), 'heartbeat');
    return {
      clientId: typeof data.clientID === 'string' ? data.clientID : '',
      consumers: asArray(data.consumerDataSet, 'consumerDataSet').map((item) => {
        const consumer = asObject(item, 'consumerData');
        const text = (name: string, otherwise: string): string =>
          typeof consumer[name] === 'string' ? consumer[name] : otherwise;
        return {
          groupName: asString(consumer.groupName, 'groupName'),
          consumeType: text('consumeType', 'CONSUME_PASSIVELY'),
          messageModel: text('messageModel', 'CLUSTERING'),
          consumeFromWhere: text('consumeFromWhere', 'CONSUME_FROM_LAST_OFFSET'),
          subscriptions: asArray(consumer.subscriptionDataSet, 'subscriptionDataSet').map(
            subscriptionFromJson,
          ),
        };
      }),
    };
  },
  ...NOTHING,
});
