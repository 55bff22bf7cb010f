import { InvokeCommand, type LambdaClient, LambdaServiceException } from '@aws-sdk/client-lambda';
import { RocketMQError } from '../errors.ts';
import type { PullerInvoker } from '../ports/invoke.ts';
import { ENVIRONMENT } from './environment.ts';

/** What to do about the errors that repetition does not mend. */
const ADVICE: Readonly<Record<string, string>> = {
  ResourceNotFoundException: 'the puller function does not exist: deploy the service again',
  AccessDeniedException:
    "the coordinator's role may not invoke it: lambda:InvokeFunction is missing",
  TooManyRequestsException:
    'the account or the function is out of concurrency: raise its limit; the next pass tries again',
  RequestTooLargeException: 'the request is too large: give the group fewer topics or more pullers',
};

/**
 * Starts pullers as asynchronous Lambda invocations (InvocationType Event).
 * `invoke` throws RocketMQError with code ROCKETMQ_PULLER_INVOKE; the queues then stay without a holder until the next pass.
 */
export function createPullerInvoker(
  client: LambdaClient,
  functionName: string,
  env: NodeJS.ProcessEnv = process.env,
): PullerInvoker {
  return {
    async invoke(request) {
      try {
        await client.send(
          new InvokeCommand({
            FunctionName: functionName,
            InvocationType: 'Event',
            Payload: JSON.stringify(withRunToken(request, env[ENVIRONMENT.runToken])),
          }),
        );
      } catch (error) {
        const name = error instanceof Error ? error.name : String(error);
        const advice =
          ADVICE[name] ??
          (error instanceof LambdaServiceException
            ? error.message
            : `Lambda cannot be reached: in a VPC, it needs an endpoint or NAT (${String(error)})`);
        throw new RocketMQError(
          'ROCKETMQ_PULLER_INVOKE',
          `puller ${functionName} was not started (${name}): ${advice}`,
          { cause: error },
        );
      }
    },
  };
}

/** In a local run the function is reachable for every program and page of the machine: the token tells it who asks. */
export function withRunToken(request: object, token: string | undefined): object {
  return token === undefined || token === '' ? request : { ...request, runToken: token };
}
