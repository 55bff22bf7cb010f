import middy from '@middy/core';
import type { Context } from 'aws-lambda';
import { networkProbe } from '../src/client/network-probe.ts';
import { createLambdaHandler } from '../src/delivery/lambda-handler.ts';
import { READ_ONLY_COMMANDS } from '../src/model/operator-commands.ts';
import type { ServiceConfig } from '../src/model/source.ts';
import { requestForLog } from '../src/operator/request-log.ts';
import { type OperatorAnswer, runOperator } from '../src/operator/run-operator.ts';
import { handlerLambdaClient } from '../src/runtime/aws-clients.ts';
import { withDeployedValues } from '../src/runtime/environment.ts';
import { createHandlerCheck } from '../src/runtime/handler-check.ts';
import { createSecrets } from '../src/runtime/secrets.ts';
import { systemClock } from '../src/runtime/system-clock.ts';
import { withInvocation } from './invocation.ts';

/**
 * The function that carries out the commands of operators where the brokers can be reached: `serverless rocketmq status` and the like invoke it with
 * `{ rocketmqOperator: … }`. It takes no part in coordination, so that a run of the coordinator never stands in its way.
 * @param readOnly the function beside it, for those who may only look
 */
export function createOperatorHandler(given: ServiceConfig, { readOnly = false } = {}) {
  const bundled = withDeployedValues(given);
  const secrets = createSecrets(bundled, systemClock);
  const invoke = middy<{ readonly rocketmqOperator: unknown }, OperatorAnswer>()
    .use(secrets.middleware)
    .handler((event, context, { signal }) =>
      withInvocation(
        readOnly ? 'operator-read-only' : 'operator',
        bundled,
        context,
        secrets,
        async (invocation) => {
          const lambda = handlerLambdaClient();
          const request = event.rocketmqOperator;
          try {
            const answer = await runOperator(
              {
                ...invocation,
                clock: systemClock,
                handlers: ({ functionName }) => createLambdaHandler(lambda, functionName),
                ...(readOnly ? {} : { checkHandler: createHandlerCheck(lambda) }),
                probe: networkProbe,
                place: 'function',
                commands: readOnly ? READ_ONLY_COMMANDS : bundled.operator?.commands,
                signal,
              },
              request,
            );
            // The caller's identity is in CloudTrail, with the request id. Messages of errors show arguments.
            invocation.logger.info(
              {
                request: requestForLog(request),
                ...(answer.ok ? {} : { code: answer.error.code }),
              },
              'operator request',
            );
            return answer;
          } finally {
            lambda.destroy();
          }
        },
      ),
    );
  return async (
    event: { readonly rocketmqOperator?: unknown } | null | undefined,
    context: Context,
  ): Promise<OperatorAnswer> =>
    await invoke({ rocketmqOperator: event?.rocketmqOperator }, context);
}
