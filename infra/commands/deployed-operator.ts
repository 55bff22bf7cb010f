import { hostname, userInfo } from 'node:os';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { OperatorError } from '../../src/operator/operator-error.ts';
import { OPERATOR_VERSION, type OperatorAnswer } from '../../src/operator/run-operator.ts';
import type { AwsAccess } from '../../src/runtime/aws-clients.ts';
import type { Operator } from './command.ts';

/** The function's own timeout is shorter. */
const REQUEST_MS = 95_000;

const ADVICE: Readonly<Record<string, string>> = {
  ResourceNotFoundException:
    'there is no such function: deploy the service with this version of serverless-rocketmq, and check --stage, --region and the profile',
  AccessDeniedException: 'you may not invoke it: ask for lambda:InvokeFunction on this function',
  CredentialsProviderError:
    'no AWS credentials were found: log in, set AWS_PROFILE, or name a profile (npx: --profile, serverless: --aws-profile)',
  UnrecognizedClientException:
    'AWS does not know these credentials: log in again, or name another profile',
  ExpiredTokenException: 'the AWS session has ended: log in again',
  TooManyRequestsException: 'the account is out of concurrency: try again in a moment',
};

/** Commands through the function that the plugin deploys; nothing else on AWS is needed to use them. */
export function deployedOperator(functionName: string, access: AwsAccess): Operator {
  const client = new LambdaClient({
    ...access,
    // A command that sends messages must not be carried out twice because its answer got lost.
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: 5_000,
      requestTimeout: REQUEST_MS,
      throwOnRequestTimeout: true,
    },
  });
  return {
    request: (command, args) =>
      invoke(client, functionName, {
        rocketmqOperator: { version: OPERATOR_VERSION, command, args, by: user() },
      }),
    async close() {
      client.destroy();
    },
  };
}

/** For the function's log. Not proven to anybody: CloudTrail has the identity. */
function user(): string {
  try {
    return `${userInfo().username}@${hostname()}`;
  } catch {
    // A user id without a name, as in some containers.
    return hostname();
  }
}

async function invoke(
  client: LambdaClient,
  functionName: string,
  request: object,
): Promise<OperatorAnswer> {
  try {
    const { Payload, FunctionError } = await client.send(
      new InvokeCommand({
        FunctionName: functionName,
        Payload: Buffer.from(JSON.stringify(request)),
      }),
    );
    const text = Buffer.from(Payload ?? []).toString('utf8');
    if (FunctionError !== undefined)
      throw new OperatorError('ROCKETMQ_OPERATOR_UNREACHABLE', `${functionName} failed: ${text}`);
    const answer = JSON.parse(text) as OperatorAnswer;
    if (typeof answer?.ok !== 'boolean')
      throw new OperatorError(
        'ROCKETMQ_OPERATOR_UNREACHABLE',
        `${functionName} is no operator function: it answered ${text.slice(0, 200)}`,
      );
    return answer;
  } catch (error) {
    if (error instanceof OperatorError) throw error;
    const { name, message } = error instanceof Error ? error : new Error(String(error));
    throw new OperatorError(
      'ROCKETMQ_OPERATOR_UNREACHABLE',
      `${functionName} cannot be invoked: ${ADVICE[name] ?? message} (${name})`,
      {
        cause: error,
      },
    );
  }
}
