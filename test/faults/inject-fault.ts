import { setTimeout as sleep } from 'node:timers/promises';
import type { MessageQueue } from '../../src/model/message-queue.ts';
import { queueKey } from '../../src/model/message-queue.ts';
import type { startDynamoDBLocal } from '../support/dynamodb-local.ts';
import type { Invocation, LocalLambda } from '../support/lambda/local-lambda.ts';
import { NAME_SERVER, type RealRocketMQ } from '../support/real-rocketmq.ts';
import type { Journal } from './journal.ts';
import { COORDINATOR, HANDLER, PULLER } from './packaged-service.ts';
import { type FaultKind, type PlannedFault, PULLER_ENDED } from './plan-faults.ts';

/** A fault as it happened. */
export interface Fault {
  readonly kind: FaultKind | typeof PULLER_ENDED;
  /** Epoch ms. */
  readonly at: number;
  /** Epoch ms of its end: the thaw, or the broker's return. */
  until: number;
  /** `topic/broker/queueId` of a puller's; undefined: it concerns all. */
  readonly queues: readonly string[] | undefined;
  /** Of a handler's call. */
  readonly requestId: string | undefined;
}

export interface FaultTargets {
  readonly lambda: LocalLambda;
  readonly rocketmq: RealRocketMQ;
  readonly dynamodb: Awaited<ReturnType<typeof startDynamoDBLocal>>;
  readonly journal: Journal;
}

/** A puller is worth a fault while its queue had messages a moment ago. */
const BUSY_MS = 2_000;
/** A fault waits this long for somebody whom it can hit. */
const PATIENCE_MS = 15_000;
const BROKER = 'broker-a';
export const LOW_CONCURRENCY = 6;

/**
 * Does it, and undoes what ends by itself: resolves when the next fault may come.
 * @param onFault called at the moment that it begins
 * @returns what still lasts: frozen pullers thaw while other faults happen. undefined: there was nothing to hit
 */
export async function injectFault(
  targets: FaultTargets,
  planned: PlannedFault,
  signal: AbortSignal,
  onFault: (fault: Fault) => void,
): Promise<{ readonly thawed: Promise<void> } | undefined> {
  const { lambda, rocketmq, dynamodb } = targets;
  const begin = (queues?: readonly string[], requestId?: string): Fault => {
    const now = Date.now();
    const fault: Fault = { kind: planned.kind, at: now, until: now, queues, requestId };
    onFault(fault);
    return fault;
  };
  const during = async (start: () => void, end: () => void): Promise<void> => {
    const fault = begin();
    start();
    try {
      await sleep(planned.lastsMs, undefined, { signal });
    } finally {
      end();
      fault.until = Date.now();
    }
  };
  const frozen = (send: (name: NodeJS.Signals) => void): Promise<void> =>
    during(
      () => send('SIGSTOP'),
      () => send('SIGCONT'),
    );
  const restarted = async (how: NodeJS.Signals): Promise<void> => {
    const fault = begin();
    await rocketmq.restartBroker(BROKER, how);
    fault.until = Date.now();
  };
  const nothingLeft = { thawed: Promise.resolve() };
  switch (planned.kind) {
    case 'puller killed': {
      const puller = await find(() => busyPullers(targets), planned, signal);
      if (puller === undefined) return undefined;
      begin(queuesOf(puller));
      lambda.killInvocation(puller.requestId);
      return nothingLeft;
    }
    case 'puller frozen': {
      const puller = await find(() => busyPullers(targets), planned, signal);
      const thaw = puller && lambda.freezeInvocation(puller.requestId);
      if (puller === undefined || thaw === undefined) return undefined;
      const fault = begin(queuesOf(puller));
      // Known before it is over: the deadline may kill it while it is frozen.
      fault.until = fault.at + planned.lastsMs;
      const over = sleep(planned.lastsMs, undefined, { signal });
      return { thawed: over.catch(() => {}).finally(thaw) };
    }
    case 'coordinator killed': {
      const coordinator = await find(() => lambda.running(COORDINATOR), planned, signal);
      if (coordinator === undefined) return undefined;
      begin([]);
      lambda.killInvocation(coordinator.requestId);
      return nothingLeft;
    }
    case 'handler killed': {
      const call = await find(() => lambda.running(HANDLER), planned, signal);
      if (call === undefined) return undefined;
      begin([], call.requestId);
      lambda.killInvocation(call.requestId);
      return nothingLeft;
    }
    case 'table frozen':
      return frozen(dynamodb.signal).then(() => nothingLeft);
    case 'broker frozen':
      return frozen((name) => rocketmq.signal(BROKER, name)).then(() => nothingLeft);
    case 'name server frozen':
      return frozen((name) => rocketmq.signal(NAME_SERVER, name)).then(() => nothingLeft);
    case 'broker terminated':
      return restarted('SIGTERM').then(() => nothingLeft);
    case 'broker killed':
      return restarted('SIGKILL').then(() => nothingLeft);
    case 'concurrency 6':
      return during(
        () => lambda.limitConcurrency(LOW_CONCURRENCY),
        () => lambda.limitConcurrency(Number.POSITIVE_INFINITY),
      ).then(() => nothingLeft);
  }
}

/** The ends of pullers that nothing killed, in the form of faults. */
export function endsOfPullers(invocations: readonly Invocation[]): Fault[] {
  return invocations.flatMap((invocation) => {
    const { functionName, endedAt: at, error } = invocation;
    if (functionName !== PULLER || at === undefined || error !== undefined) return [];
    const queues = queuesOf(invocation);
    return [{ kind: PULLER_ENDED, at, until: at, queues, requestId: undefined }];
  });
}

async function find(
  candidates: () => readonly Invocation[],
  { choice }: PlannedFault,
  signal: AbortSignal,
): Promise<Invocation | undefined> {
  for (const giveUpAt = Date.now() + PATIENCE_MS; Date.now() < giveUpAt; ) {
    const found = candidates();
    if (found.length > 0) return found[Math.floor(choice * found.length)];
    await sleep(5, undefined, { signal });
  }
  return undefined;
}

/** Of two invocations of a queue the older one: the other waits to succeed it. */
function busyPullers({ lambda, journal }: FaultTargets): Invocation[] {
  const busySince = Date.now() - BUSY_MS;
  const byQueue = new Map<string, Invocation>();
  for (const puller of lambda.running(PULLER).sort((a, b) => a.startedAt - b.startedAt)) {
    const key = queuesOf(puller).join();
    if (!byQueue.has(key)) byQueue.set(key, puller);
  }
  return [...byQueue.values()].filter((puller) =>
    queuesOf(puller).some((queue) => journal.lastBegunAt(queue) > busySince),
  );
}

export function queuesOf({ payload }: Invocation): string[] {
  return (JSON.parse(payload) as { queues: MessageQueue[] }).queues.map(queueKey);
}
