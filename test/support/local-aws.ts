import type { LambdaClient } from '@aws-sdk/client-lambda';
import { handlerLambdaClient } from '../../src/runtime/aws-clients.ts';

/** The client that pullers call handlers with, its settings untouched, towards a local Invoke API. */
export function localHandlerClient(endpoint: string): LambdaClient {
  const set = {
    AWS_ENDPOINT_URL_LAMBDA: endpoint,
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'local',
    AWS_SECRET_ACCESS_KEY: 'local',
  };
  Object.assign(process.env, set);
  return handlerLambdaClient();
}
