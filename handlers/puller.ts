import middy from '@middy/core';
import type { Context } from 'aws-lambda';
import type { InlineHandlerFunction } from '../src/delivery/inline-handler.ts';
import { createLambdaHandler } from '../src/delivery/lambda-handler.ts';
import { runRequest } from '../src/membership/run-request.ts';
import { eventSourceName } from '../src/model/metrics.ts';
import { findSource, type HandlerConfig, type ServiceConfig } from '../src/model/source.ts';
import type { BodyStore } from '../src/ports/body-store.ts';
import type { FailureDestinations } from '../src/ports/failure-destination.ts';
import type { MessageHandler, PullerRequest } from '../src/ports/invoke.ts';
import { parsePullerRequest } from '../src/puller/puller-request.ts';
import { handlerLambdaClient } from '../src/runtime/aws-clients.ts';
import { collectGarbage } from '../src/runtime/collect-garbage.ts';
import { createEmfMeter, emfOptions } from '../src/runtime/emf-metrics.ts';
import {
  ENVIRONMENT,
  errorLength,
  mayCall,
  optionalMillis,
  withDeployedValues,
} from '../src/runtime/environment.ts';
import { createSecrets } from '../src/runtime/secrets.ts';
import { systemClock } from '../src/runtime/system-clock.ts';
import { inlineHandler, inlineTurns } from './inline-handler.ts';
import { withInvocation } from './invocation.ts';

/**
 * The function of the data path. The plugin generates the module that calls this with the service's configuration.
 * @param inlineHandlers by key under `functions:`, for events with `invocation: inline`
 * @param destinations those that events name in `onFailure`
 * @param bodies where an event has `s3PointerThreshold`
 */
export function createPullerHandler(
  given: ServiceConfig,
  inlineHandlers: Readonly<Record<string, InlineHandlerFunction>>,
  destinations: FailureDestinations = {},
  bodies?: BodyStore,
) {
  const bundled = withDeployedValues(given);
  const secrets = createSecrets(bundled, systemClock);
  const invoke = middy<PullerRequest, unknown>()
    .use(secrets.middleware)
    .handler((request, context, { signal }) =>
      withInvocation('puller', bundled, context, secrets, async (invocation) => {
        const lambda = handlerLambdaClient();
        const { logger } = invocation;
        const { service, stage } = invocation.service;
        const { cluster, consumerGroup } = request;
        const eventSource = eventSourceName(service, stage, cluster, consumerGroup);
        // Whoever invokes the puller must not choose names of metrics.
        const isKnown = findSource(invocation.service, request) !== undefined;
        const meter = createEmfMeter(
          { EventSource: eventSource },
          emfOptions(invocation.service, invocation.clock),
        );
        const renewIntervalMs = optionalMillis(ENVIRONMENT.renewInterval);
        const handlers = ({
          invocation,
          functionKey,
          functionName,
        }: HandlerConfig): MessageHandler =>
          invocation === 'inline'
            ? inlineHandler(inlineHandlers[functionKey]!, {
                functionKey,
                functionName: `${service}-${stage}-${functionKey}`,
                ...{ context, logger },
              })
            : createLambdaHandler(lambda, functionName, errorLength());
        try {
          return await runRequest(request, {
            ...invocation,
            client: invocation.clients(request.cluster),
            handlers,
            random: Math.random,
            holder: context.awsRequestId,
            ...(isKnown ? { meter } : {}),
            destinations: callable(destinations),
            ...(bodies === undefined || !mayCall('s3') ? {} : { bodies }),
            inlineTurns,
            ...memoryOf(context),
            signal,
            ...origin(context),
            options: renewIntervalMs === undefined ? {} : { renewIntervalMs },
          });
        } finally {
          meter.flush();
          lambda.destroy();
        }
      }),
    );
  // Nothing is done, and no secret is read, before the request was checked.
  return async (event: unknown, context: Context): Promise<unknown> =>
    await invoke(parsePullerRequest(event), context);
}

/** In a local run what fails goes to the DLQ of the embedded broker instead. */
function callable({ sqs, sns, s3 }: FailureDestinations): FailureDestinations {
  return {
    ...(sqs === undefined || !mayCall('sqs') ? {} : { sqs }),
    ...(sns === undefined || !mayCall('sns') ? {} : { sns }),
    ...(s3 === undefined || !mayCall('s3') ? {} : { s3 }),
  };
}

/** Without it (locally) each queue has Java's limits. */
function memoryOf({ memoryLimitInMB }: Context): {
  memoryBytes?: number;
  collectGarbage?: () => void;
} {
  const megabytes = Number(memoryLimitInMB);
  return Number.isFinite(megabytes) && megabytes > 0
    ? { memoryBytes: megabytes * 1024 * 1024, collectGarbage }
    : {};
}

/** Region and account, for the ARN that events name as their source. Without an ARN (locally) the flow has its own. */
function origin({ invokedFunctionArn }: Context): { region?: string; accountId?: string } {
  const [, , , region, accountId] = invokedFunctionArn?.split(':') ?? [];
  return region && accountId ? { region, accountId } : {};
}
