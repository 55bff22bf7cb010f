import middy from '@middy/core';
import type { Context } from 'aws-lambda';
import { runCoordinator } from '../src/coordinator/run-coordinator.ts';
import type { ServiceConfig } from '../src/model/source.ts';
import { pullerLambdaClient } from '../src/runtime/aws-clients.ts';
import { createEmfGauges, emfOptions } from '../src/runtime/emf-metrics.ts';
import { ENVIRONMENT, required, withDeployedValues } from '../src/runtime/environment.ts';
import { createPullerInvoker } from '../src/runtime/puller-invoker.ts';
import { createSecrets } from '../src/runtime/secrets.ts';
import { systemClock } from '../src/runtime/system-clock.ts';
import { withInvocation } from './invocation.ts';

/** The scheduled function of the control path. The plugin generates the module that calls this with the service's configuration. */
export function createCoordinatorHandler(given: ServiceConfig) {
  const bundled = withDeployedValues(given);
  const secrets = createSecrets(bundled, systemClock);
  const invoke = middy<unknown, unknown>()
    .use(secrets.middleware)
    .handler((_event, context, { signal }) =>
      withInvocation('coordinator', bundled, context, secrets, async (invocation) => {
        const lambda = pullerLambdaClient();
        try {
          const invoker = createPullerInvoker(lambda, required(ENVIRONMENT.pullerFunction));
          return await runCoordinator({
            ...invocation,
            invoker,
            signal,
            gauges: createEmfGauges(emfOptions(invocation.service, invocation.clock)),
          });
        } finally {
          lambda.destroy();
        }
      }),
    );
  // What it is invoked with changes nothing.
  return async (_event: unknown, context: Context): Promise<unknown> => await invoke({}, context);
}
