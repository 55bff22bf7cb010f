import type { CheckDefinition } from './check.ts';

export const calls: CheckDefinition = {
  name: 'calls',
  invariant: 'Handlers are called as often as the scenario allows at most.',
  create: ({ plan: { maxCalls } }) => {
    let made = 0;
    return {
      on(event) {
        if (maxCalls === undefined || event.kind !== 'delivery-started') return undefined;
        made++;
        return made === maxCalls + 1
          ? `handlers are called more than ${maxCalls} times`
          : undefined;
      },
    };
  },
};
