import { RETRY_TOPIC_PREFIX } from '../../src/model/message-queue.ts';
import type { Fault } from '../plan.ts';
import type { Position } from '../world/events.ts';
import type { CheckDefinition } from './check.ts';

/** Coordinators and holders of the deployment before have ended by then. */
const DEPLOYED_MS = 130_000;
/** Half of the shortest delay. */
const MIN_PAUSE_MS = 5_000;

export const absentEvents: CheckDefinition = {
  name: 'absent-events',
  invariant:
    'While one event of a group is absent, redeliveries of the others are with their handlers within the time that the scenario promises; one that is not enabled gets none, and no message is set aside more often than every 5 s.',
  create: ({ plan, scheduler }) => {
    const absent = plan.faults.find(
      (fault): fault is Extract<Fault, { kind: 'event-absent' }> => fault.kind === 'event-absent',
    );
    if (absent === undefined) return {};
    const { othersWithinMs } = plan;
    const startedAt = scheduler.now;
    const topicOf = new Map(plan.messages.map(({ number, topic }) => [number, topic]));
    const setAsideAt = new Map<number, number>();
    const whyWrong = ({ number, queue, storedAt, deliveries }: Position): string | undefined => {
      const ms = scheduler.now - startedAt;
      if (topicOf.get(number) === absent.topic)
        return absent.how === 'disabled' &&
          ms > absent.at + DEPLOYED_MS &&
          ms < absent.at + absent.ms
          ? `message ${number} is delivered, and its event is not enabled`
          : undefined;
      const waitedMs = scheduler.now - storedAt;
      return othersWithinMs !== undefined &&
        queue.startsWith(RETRY_TOPIC_PREFIX) &&
        deliveries.length === 1 &&
        waitedMs > othersWithinMs
        ? `redelivery of message ${number} waited ${waitedMs} ms for its handler`
        : undefined;
    };
    return {
      on(event) {
        if (event.kind === 'set-aside' && othersWithinMs !== undefined) {
          const pausedMs = scheduler.now - (setAsideAt.get(event.number) ?? 0);
          setAsideAt.set(event.number, scheduler.now);
          if (pausedMs < MIN_PAUSE_MS)
            return `message ${event.number} is set aside again after ${pausedMs} ms`;
        }
        if (event.kind !== 'delivery-started') return undefined;
        for (const { position } of event.deliveries) {
          const wrong = whyWrong(position);
          if (wrong !== undefined) return wrong;
        }
        return undefined;
      },
    };
  },
};
