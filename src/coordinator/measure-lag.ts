import { lagFigures, mayWaitMs, type QueueLag } from '../decide/lag/lag-figures.ts';
import { isLive } from '../decide/lease/lease.ts';
import { inWindow } from '../flow/in-window.ts';
import { storedOffset } from '../flow/stored-offset.ts';
import type { MetricValues } from '../ports/meter.ts';
import type { GroupRun } from './group-run.ts';
import { type MeasuredQueue, measuredQueues } from './measured-queues.ts';
import { storedAt } from './stored-at.ts';

/** Requests at once, beside those of the watch. */
const WINDOW = 8;
/** A message is read to know its age. Of more queues than these with the largest lag, the rest is left out. */
const AGES_AT_MOST = 64;

interface Measured extends QueueLag, MeasuredQueue {
  readonly committed: bigint;
}

/**
 * Reports lag and age of the group's queues once, at the end of a run, from their brokers' offsets. Queues whose brokers do not respond are counted
 * as unmeasured. In mode pop the brokers' offsets say what is still to be popped; most of them count what was popped and is not acknowledged yet as done.
 */
export async function measureLag(run: GroupRun): Promise<void> {
  const { gauges } = run;
  if (gauges === undefined || run.signal.aborted) return;
  const assignments = (await run.store.list(run.group)).filter(
    ({ retiredAt }) => retiredAt === undefined,
  );
  const now = run.clock.now();
  const holders = assignments.flatMap(({ lease }) => (isLive(lease, now) ? [lease.holder] : []));
  const eventSource = { EventSource: run.eventSource };
  const { queues, unknownTopics } = await measuredQueues(run, assignments, now);
  const answers = await inWindow(queues, (queue) => measure(run, queue), WINDOW);
  const measured = answers.filter((queue) => queue !== undefined);
  const unmeasured = queues.length - measured.length + unknownTopics;
  const aged = await withAges(run, measured);
  const figures: MetricValues = {
    ActivePollers: new Set(holders).size,
    CurrentLeases: holders.length,
    ...lagFigures(aged, now, mayWaitMs(run.rules), unmeasured),
  };
  gauges.record(eventSource, run.reportsZeros ? figures : withoutZeros(figures));
  if (run.queueMetrics)
    for (const queue of aged) {
      const { topic, brokerName, queueId } = queue.queue;
      const { SumOffsetLag, OldestMessageAge } = lagFigures([queue], now);
      gauges.record(
        { ...eventSource, Topic: topic, Queue: `${brokerName}/${queueId}` },
        present({ SumOffsetLag, OldestMessageAge }),
      );
    }
}

async function measure(run: GroupRun, measured: MeasuredQueue): Promise<Measured | undefined> {
  const { rocketmq, signal } = run;
  const { queue, own, start } = measured;
  try {
    const [stored, max] = await Promise.all([
      storedOffset(rocketmq, run.source, queue, own, { signal }),
      rocketmq.maxOffset(queue, { signal }),
    ]);
    const committed =
      stored ??
      (start === 'min'
        ? await rocketmq.minOffset(queue, { signal })
        : start === 'max'
          ? max
          : start);
    return { ...measured, committed, lag: max - committed, waitingSince: undefined };
  } catch (error) {
    if (!signal.aborted) run.logger.debug({ err: error }, 'the lag of a queue cannot be measured');
    return undefined;
  }
}

async function withAges(run: GroupRun, measured: readonly Measured[]): Promise<Measured[]> {
  const byLag = measured.toSorted((a, b) => (a.lag === b.lag ? 0 : a.lag > b.lag ? -1 : 1));
  const behind = byLag.slice(0, AGES_AT_MOST).filter(({ lag }) => lag > 0n);
  const aged = await inWindow(
    behind,
    async (queue) => ({
      ...queue,
      waitingSince: await storedAt(run, queue.queue, queue.committed, queue.reader),
    }),
    WINDOW,
  );
  return [...aged, ...byLag.slice(behind.length)];
}

/** CloudWatch charges for every reported metric, and most of these are 0 nearly always. */
function withoutZeros({ SumOffsetLag, OldestMessageAge, ...others }: MetricValues): MetricValues {
  return {
    ...present({ SumOffsetLag, OldestMessageAge }),
    ...Object.fromEntries(Object.entries(others).filter(([, value]) => value !== 0)),
  };
}

function present<Values extends object>(values: Values): Partial<Values> {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== undefined),
  ) as Partial<Values>;
}
