import { PublishCommand, SNSClient } from '@aws-sdk/client-sns';
import type { FailureDestination } from '../ports/failure-destination.ts';
import { CLIENT_SETTINGS } from './client-settings.ts';
import { createDestination } from './create-destination.ts';

/** A standard SNS topic. */
export function createSnsDestination(client = new SNSClient(CLIENT_SETTINGS)): FailureDestination {
  return createDestination(async (arn, { json }, options) => {
    await client.send(new PublishCommand({ TopicArn: arn, Message: json }), options);
  });
}
