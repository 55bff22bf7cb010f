import { isLimited } from '../src/model/source.ts';
import type { Behaviour, Plan } from './plan.ts';

/**
 * A queue whose holder was killed: its lease ends, the margin for clocks passes, and a coordinator of
 * the schedule starts the next puller.
 */
const TAKEOVER_MS = 30_000 + 30_000 + 60_000;
/** Between two pullers of a queue, when the first one ends as it should: a coordinator's pass, and a cold start. */
const GAP_MS = 20_000 + 5_000;
/** Of each invocation: its start, and the reserve at its end. */
const NO_WORK_MS = 3_000 + 8_000;
/** Lambda's longest start, and the answer's way (decide/budget/handler-run-time). */
const START_MS = 15_000;
/** A handler call in a scenario that says nothing of it, on the average of many and at most. */
const MEAN_CALL_MS = 500;
const MAX_CALL_MS = 2_000;
/** Deaths with the same message before it has failed, and those in which it is looked for (decide/crash). */
const DEATHS = 6;
/** Connections and requests that time out, name servers that are asked again, brokers' ticks. */
const SLACK_MS = 60_000;
/** Of level 2 in mode pop (decide/pop/invisible-time). */
const POP_DELAY_MS = 60_000;
const DELAYS_MS = [1_000, 5_000, 10_000, 30_000, 60_000, 120_000] as const;

type Unbounded = Omit<Plan, 'drainMs'>;

interface Work {
  /** Handler calls that have to be made one after the other, ms. */
  callMs: number;
  /** Times at which a failed message waits for its redelivery, ms. */
  waitMs: number;
  deaths: number;
}

/**
 * After the last fault and the last message everything has its end within this, ms. Computed from what the plan gives to do as if all
 * of it were still to be done then, and from the guarantee that each invocation makes progress with at least one call.
 */
export function drainBound(plan: Unbounded): number {
  const { pullerTimeoutMs, source } = plan;
  const { handler, order } = source.subscriptions[0]!;
  const { callMs, waitMs, deaths } = work(plan);
  const waitsForFunctions = order !== undefined || isLimited(source);
  const takeoverMs =
    TAKEOVER_MS + (waitsForFunctions ? handler.timeout * 1000 + START_MS : 0) + GAP_MS;
  // In order, what waits holds its queue up; else redeliveries wait beside each other, and beside the calls.
  const serialMs = callMs + (order === undefined ? 0 : waitMs);
  const longestStepMs = Math.max(
    MAX_CALL_MS,
    ...plan.messages.map(({ behaviour }) => callTime(plan, behaviour)),
    order?.suspendCurrentQueueTimeMillis ?? 0,
  );
  const usefulMs = Math.max(longestStepMs, pullerTimeoutMs - NO_WORK_MS - longestStepMs);
  const lives = Math.ceil(serialMs / usefulMs);
  return (
    SLACK_MS +
    takeoverMs * (1 + deaths) +
    serialMs +
    lives * (NO_WORK_MS + longestStepMs + GAP_MS) +
    (order === undefined ? waitMs : 0) +
    setAsideMs(plan)
  );
}

/** A message that was set aside comes again after as long as its event was absent, at most, and the level above. */
function setAsideMs({ faults }: Unbounded): number {
  const absentMs = faults.flatMap((fault) => (fault.kind === 'event-absent' ? [fault.ms] : []));
  return absentMs.length === 0 ? 0 : 2 * Math.max(...absentMs) + GAP_MS;
}

function work(plan: Unbounded): Work {
  const { messages, source } = plan;
  const { batchSize, order, retryDelay, maximumRecordAgeInSeconds } = source.subscriptions[0]!;
  const popDelayMs = source.mode === 'pop' ? POP_DELAY_MS : undefined;
  const delayMs =
    popDelayMs ??
    order?.suspendCurrentQueueTimeMillis ??
    DELAYS_MS[retryDelay !== undefined && 'level' in retryDelay ? retryDelay.level - 1 : 2]!;
  const work: Work = { callMs: 0, waitMs: 0, deaths: 0 };
  for (const { behaviour } of messages) {
    const ageMs = (maximumRecordAgeInSeconds ?? Number.POSITIVE_INFINITY) * 1000;
    const failures = Math.min(failuresOf(plan, behaviour), Math.ceil(ageMs / delayMs) + 1);
    const halvings = behaviour.kind === 'fails' ? 0 : Math.ceil(Math.log2(batchSize));
    // Of the two halves one has the message.
    const failureMs = callTime(plan, behaviour) * (1 + halvings) + MEAN_CALL_MS * halvings;
    work.callMs += (plan.handlerMs?.[1] ?? MEAN_CALL_MS) + failures * failureMs;
    const ownMs = failures * delayMs;
    work.waitMs = order === undefined ? Math.max(work.waitMs, ownMs) : work.waitMs + ownMs;
    if (behaviour.kind === 'kills') work.deaths += Math.min(behaviour.times, DEATHS);
  }
  return work;
}

/** Deliveries of the message that fail before it succeeds or has its end. */
function failuresOf({ source, faults }: Unbounded, behaviour: Behaviour): number {
  if (behaviour.kind === 'ok' || behaviour.kind === 'dropped') return 0;
  const limits = [
    ...source.subscriptions.map(({ maximumRetryAttempts }) => maximumRetryAttempts),
    ...faults.flatMap((fault) =>
      fault.kind === 'redeploy' ? (fault.subscription.maximumRetryAttempts ?? []) : [],
    ),
  ].map((limit) => (limit < 0 ? Number.POSITIVE_INFINITY : limit));
  return Math.min(behaviour.times, Math.max(...limits) + 1);
}

function callTime({ source, handlerMs }: Unbounded, { kind }: Behaviour): number {
  const { timeout } = source.subscriptions[0]!.handler;
  return kind === 'times-out' ? timeout * 1000 : (handlerMs?.[1] ?? MEAN_CALL_MS);
}
