import { SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import type { FailureDestination } from '../ports/failure-destination.ts';
import { CLIENT_SETTINGS } from './client-settings.ts';

/** The client goes where a queue's URL says, past the endpoint that the environment names, unless it is told not to. */
const SETTINGS = { ...CLIENT_SETTINGS, useQueueUrlAsEndpoint: false };

/** An SQS queue in the function's region. FIFO queues get the group by the message's sharding key or queue, and the place of its record as id. */
export function createSqsDestination(client = new SQSClient(SETTINGS)): FailureDestination {
  return {
    async deliver(arn, record) {
      const [, , , , account, name = ''] = arn.split(':');
      const [{ rocketmq }] = record.payload.Records;
      const fifo = name.endsWith('.fifo') && {
        MessageGroupId:
          rocketmq.shardingKey ?? `${rocketmq.topic}/${rocketmq.brokerName}/${rocketmq.queueId}`,
        // Of the stored record, which its producer does not choose.
        MessageDeduplicationId: `${rocketmq.offsetMsgId}-${rocketmq.queueOffset}`,
      };
      await client.send(
        new SendMessageCommand({
          QueueUrl: await queueUrl(client, account, name),
          MessageBody: JSON.stringify(record),
          ...fifo,
        }),
      );
    },
  };
}

/** As the region has it, without asking: GetQueueUrl would be a right more. */
async function queueUrl(
  { config }: SQSClient,
  account: string | undefined,
  name: string,
): Promise<string> {
  const region = await config.region();
  return `https://sqs.${region}.${region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com'}/${account}/${name}`;
}
