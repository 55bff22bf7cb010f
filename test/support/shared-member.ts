import { createRocketMQClient } from '../../src/client/rocketmq-client.ts';
import { buildSubscription } from '../../src/records/subscription.ts';

/** A member of a group that is none of ours, as far as brokers see: its heartbeat. */
export async function startSharedMember(
  nameServers: readonly string[],
  consumerGroup: string,
  clientId: string,
  subscriptions: readonly (readonly [topic: string, filter: string])[],
): Promise<{ stop(): Promise<void> }> {
  const client = createRocketMQClient({ nameServers });
  for (const brokerName of await client.brokerNames())
    await client.heartbeat(
      {
        ...{
          clientId,
          consumerGroup,
          messageModel: 'CLUSTERING',
          consumeFromWhere: 'CONSUME_FROM_FIRST_OFFSET',
        },
        subscriptions: subscriptions.map(([topic, filter]) => buildSubscription(topic, filter)),
      },
      brokerName,
    );
  return {
    async stop() {
      for (const brokerName of await client.brokerNames())
        await client.unregister({ clientId, consumerGroup }, brokerName);
      await client.close();
    },
  };
}
