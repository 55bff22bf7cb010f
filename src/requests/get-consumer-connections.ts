import type { ConsumerConnection } from '../model/consumer-connection.ts';
import type { Subscription } from '../model/subscription.ts';
import { asArray, asObject, parseFastjson, stringifyJson } from '../remoting/fastjson.ts';
import { RequestCode } from '../remoting/request-code.ts';
import { defineRequest, extFields, FieldReader } from './define-request.ts';
import { subscriptionFromJson, subscriptionToJson } from './subscription-data.ts';

export interface ConsumerConnections {
  readonly connections: readonly ConsumerConnection[];
  readonly subscriptions: readonly Subscription[];
  readonly consumeType: string;
  readonly messageModel: string;
  readonly consumeFromWhere: string;
}

/*
 * Request => consumerGroup
 */
/*
 * Answer  => body { connectionSet: [{ clientId, clientAddr, language, version }], subscriptionTable: { topic: SubscriptionData },
 *                   consumeType, messageModel, consumeFromWhere }                CONSUMER_NOT_ONLINE when the group has nobody
 */
export const getConsumerConnections = defineRequest<
  { readonly consumerGroup: string },
  ConsumerConnections
>(RequestCode.GET_CONSUMER_CONNECTION_LIST, {
  encode: ({ consumerGroup }) => ({ extFields: extFields({ consumerGroup }) }),
  decode: (command) => ({
    consumerGroup: new FieldReader(command, 'connection list request').string('consumerGroup'),
  }),
  encodeAnswer: ({ connections, subscriptions, ...kind }) => ({
    extFields: {},
    body: Buffer.from(
      stringifyJson({
        connectionSet: connections,
        subscriptionTable: Object.fromEntries(
          subscriptions.map((subscription) => [
            subscription.topic,
            subscriptionToJson(subscription),
          ]),
        ),
        ...kind,
      }),
    ),
  }),
  decodeAnswer: ({ body }) => {
    const answer = asObject(parseFastjson(body), 'connection list');
    const text = (value: unknown): string => (typeof value === 'string' ? value : '');
    return {
      connections: asArray(answer.connectionSet, 'connectionSet').map((item) => {
        const connection = asObject(item, 'connection');
        return {
          clientId: text(connection.clientId),
          clientAddr: text(connection.clientAddr),
          language: text(connection.language),
          version: Number(connection.version ?? 0),
        };
      }),
      subscriptions: Object.values(
        asObject(answer.subscriptionTable ?? {}, 'subscriptionTable'),
      ).map(subscriptionFromJson),
      consumeType: text(answer.consumeType),
      messageModel: text(answer.messageModel),
      consumeFromWhere: text(answer.consumeFromWhere),
    };
  },
});
