import type { CheckDefinition } from './check.ts';

/** A holder sees a pause at its next renewal, and finishes its calls. */
const OBEYED_AFTER_MS = 20_000;
const DELAYING: ReadonlySet<string> = new Set([
  'freeze',
  'table-down',
  'table-cut',
  'table-request',
]);

export const pauseIsKept: CheckDefinition = {
  name: 'pause-is-kept',
  invariant:
    'While a group is paused, nothing of it is delivered, from one renewal after the pause on.',
  create: ({ plan, scheduler }) => {
    if (plan.faults.some(({ kind }) => DELAYING.has(kind))) return {};
    let from = Number.POSITIVE_INFINITY;
    let until = 0;
    return {
      on(event) {
        if (event.kind === 'paused') {
          from = scheduler.now + OBEYED_AFTER_MS;
          until = event.until - plan.maxSkewMs * 2;
        }
        const { now } = scheduler;
        return event.kind === 'delivery-started' && now > from && now < until
          ? `a batch of ${event.deliveries[0]?.position.queue} is delivered while the group is paused`
          : undefined;
      },
    };
  },
};
