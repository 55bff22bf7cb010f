import { SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import type { FailureDestination } from '../ports/failure-destination.ts';
import { CLIENT_SETTINGS } from './client-settings.ts';
import { createDestination } from './create-destination.ts';

/** The client goes where a queue's URL says, past the endpoint that the environment names, unless it is told not to. */
const SETTINGS = { ...CLIENT_SETTINGS, useQueueUrlAsEndpoint: false };

/** An SQS queue in the function's region. Only FIFO queues take groups and deduplication ids. */
export function createSqsDestination(client = new SQSClient(SETTINGS)): FailureDestination {
  return createDestination(async (arn, { json, messageGroupId, deduplicationId }, options) => {
    const [, , , , account, name = ''] = arn.split(':');
    await client.send(
      new SendMessageCommand({
        QueueUrl: await queueUrl(client, account, name),
        MessageBody: json,
        ...(name.endsWith('.fifo') && {
          MessageGroupId: messageGroupId,
          MessageDeduplicationId: deduplicationId,
        }),
      }),
      options,
    );
  });
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
