import type { CheckDefinition } from './check.ts';

export const leftBehind: CheckDefinition = {
  name: 'left-behind',
  invariant:
    'An invocation that returned leaves no timer, no connection and no unhandled rejection.',
  create: () => ({
    on(event) {
      if (event.kind === 'unhandled-rejection')
        return `a promise of ${event.by.name} was rejected and nothing handled it: ${event.text}`;
      if (event.kind !== 'ended' || event.leftovers === undefined) return undefined;
      return `${event.host.name} ${event.how} and left ${event.leftovers}`;
    },
  }),
};
