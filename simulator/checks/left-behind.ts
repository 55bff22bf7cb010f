import type { CheckDefinition } from './check.ts';

/** How long after a fault an invocation may still run into its deadline. */
const DISTURBED_MS = 60_000;

export const leftBehind: CheckDefinition = {
  name: 'left-behind',
  invariant:
    'An invocation returns before its deadline, and leaves no timer, no connection and no unhandled rejection.',
  create: ({ scheduler, faultTimes }) => ({
    on(event) {
      if (event.kind === 'listeners')
        return `${event.by.name} has ${event.count} listeners on one signal`;
      if (event.kind === 'unhandled-rejection')
        return `a promise of ${event.by.name} was rejected and nothing handled it: ${event.text}`;
      if (
        event.kind === 'ended' &&
        event.how === 'timed out' &&
        !faultTimes.slice(0, -1).some((at) => at >= scheduler.now - DISTURBED_MS)
      )
        return `${event.host.name} ran into its deadline`;
      if (event.kind !== 'ended' || event.leftovers === undefined) return undefined;
      return `${event.host.name} ${event.how} and left ${event.leftovers}`;
    },
  }),
};
