import { fitsHandler, MAX_SUSPEND_MS, RESERVE_MS } from '../decide/budget/time-budget.ts';
import { RENEW_INTERVAL_MS } from '../decide/lease/lease.ts';
import { LOCK_WAIT_MS } from '../decide/order/lock-time.ts';
import { INVISIBLE_MS } from '../decide/pop/invisible-time.ts';
import { FLOW_LIMITS, limitsFor } from '../decide/pull/flow-control.ts';
import { MemoryBudget } from '../decide/pull/memory-budget.ts';
import { queueKey } from '../model/message-queue.ts';
import { findSource, isEnabled, type SourceConfig, slotClientId } from '../model/source.ts';
import { isTooLate, type PullerRequest } from '../ports/invoke.ts';
import { endStep } from './background-writes.ts';
import { BrokerLocks } from './broker-locks.ts';
import { BROADCAST_COMMIT_INTERVAL_MS, COMMIT_INTERVAL_MS } from './commit-offset.ts';
import { needsBrokerLock } from './hold-broker-lock.ts';
import { createMessageTrace } from './message-trace.ts';
import type { PullerDeps, PullerOptions, PullerReport, StopReason } from './puller-deps.ts';
import { Utilization } from './utilization.ts';
import { notWorked, workQueue } from './work-queue.ts';

export const DEFAULT_OPTIONS: PullerOptions = {
  flowLimits: FLOW_LIMITS,
  idleTimeoutMs: 20_000,
  commitIntervalMs: COMMIT_INTERVAL_MS,
  renewIntervalMs: RENEW_INTERVAL_MS,
  reserveMs: RESERVE_MS,
  maxSuspendMs: MAX_SUSPEND_MS,
  successionWaitMs: 30_000,
  lockWaitMs: LOCK_WAIT_MS,
  popInvisibleMs: INVISIBLE_MS,
};
/** So long the end of an invocation waits for its traces to be sent, and so much time it leaves. */
const TRACE_FLUSH_MS = 2_000;

/**
 * One puller invocation: works its queues side by side until they are idle, the time is over, or somebody else is to go on.
 * Whatever ends it, each queue is drained, settled, committed and released before it returns.
 */
export async function runPuller(request: PullerRequest, given: PullerDeps): Promise<PullerReport> {
  const { consumerGroup, slot } = request;
  const logger = given.logger.child({ consumerGroup, slot, holder: given.holder });
  const source = findSource(given.service, request);
  const traced = source?.trace && {
    trace: createMessageTrace({ ...given, logger }, source.trace.topic),
  };
  const utilization =
    given.meter === undefined ? undefined : new Utilization(given.clock, given.meter);
  const memory =
    given.memory ??
    new MemoryBudget(given.memoryBytes, request.queues.length, given.collectGarbage);
  const deps: PullerDeps = {
    ...given,
    logger,
    memory,
    ...traced,
    ...(utilization && { utilization }),
  };
  const largestBatches = Math.max(
    0,
    ...(source?.subscriptions.map(
      ({ batchSize, parallelizationFactor }) => batchSize * parallelizationFactor,
    ) ?? []),
  );
  const flowLimits = limitsFor(largestBatches);
  const options = { ...DEFAULT_OPTIONS, flowLimits, ...optionsOf(source), ...given.options };
  const refusal = whyNotStart(request, deps, options, source);
  const locks =
    source === undefined || !needsBrokerLock(source)
      ? undefined
      : new BrokerLocks(
          deps,
          consumerGroup,
          slotClientId(deps.service.service, deps.service.stage, consumerGroup, slot),
        );
  const queues = await Promise.all(
    request.queues.map((queue) =>
      refusal !== undefined || source === undefined || !isEnabled(source, queue.topic)
        ? Promise.resolve(notWorked(queue, refusal ?? 'refused'))
        : workQueue(deps, options, { source, slot: request.slot, queue, locks }).catch(
            (error: unknown) => {
              // An error of one queue leaves the others at work.
              const fields = { err: error, code: 'ROCKETMQ_INTERNAL', queue: queueKey(queue) };
              logger.error(fields, 'queue ended by an unexpected error');
              return notWorked(queue, 'error');
            },
          ),
    ),
  );
  await endStep(logger, 'measure', () => utilization?.finish());
  await endStep(logger, 'send traces', () =>
    deps.trace?.flush(Math.min(TRACE_FLUSH_MS, deps.remainingMs() - TRACE_FLUSH_MS)),
  );
  deps.logger.info({ queues }, 'puller ends');
  return { consumerGroup: request.consumerGroup, queues };
}

function optionsOf({
  idleTimeout,
  messageModel,
}: Partial<SourceConfig> = {}): Partial<PullerOptions> {
  return {
    ...(messageModel === 'BROADCASTING' && { commitIntervalMs: BROADCAST_COMMIT_INTERVAL_MS }),
    ...(idleTimeout !== undefined && {
      idleTimeoutMs: idleTimeout === 'never' ? 'never' : idleTimeout * 1000,
    }),
  };
}

function whyNotStart(
  request: PullerRequest,
  deps: PullerDeps,
  options: PullerOptions,
  source: SourceConfig | undefined,
): StopReason | undefined {
  const { logger, clock } = deps;
  if (isTooLate(request, clock.now())) {
    logger.warn(
      { notAfter: request.notAfter },
      'the invocation came too late: the coordinator has invoked others since',
    );
    return 'too-late';
  }
  if (source === undefined) {
    logger.error(
      { consumerGroup: request.consumerGroup },
      'no source of this deployment has the group: an invocation from an older one',
    );
    return 'unknown-source';
  }
  const longest = Math.max(...source.subscriptions.map(({ handler }) => handler.timeout)) * 1000;
  if (!fitsHandler(deps.remainingMs(), longest, options.reserveMs)) {
    logger.error(
      { remainingMs: deps.remainingMs(), handlerTimeoutMs: longest },
      "too little time for one handler call: the puller's timeout must exceed the handler's by more than its reserve",
    );
    return 'too-little-time';
  }
  return undefined;
}
