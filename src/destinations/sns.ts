import { PublishCommand, SNSClient } from '@aws-sdk/client-sns';
import type { FailureDestination } from '../ports/failure-destination.ts';
import { CLIENT_SETTINGS } from './client-settings.ts';

/** A standard SNS topic. */
export function createSnsDestination(client = new SNSClient(CLIENT_SETTINGS)): FailureDestination {
  return {
    async deliver(arn, record) {
      await client.send(new PublishCommand({ TopicArn: arn, Message: JSON.stringify(record) }));
    },
  };
}
