import type { Delivery } from '../world/events.ts';
import type { CheckDefinition } from './check.ts';

export const concurrency: CheckDefinition = {
  name: 'concurrency',
  invariant: 'Not more handler calls at once than maximumConcurrency.',
  create: ({ plan }) => {
    const limit = plan.source.subscriptions[0]?.maximumConcurrency;
    if (limit === undefined) return {};
    const running = new Set<readonly Delivery[]>();
    return {
      on(event) {
        if (event.kind === 'delivery-ended') running.delete(event.deliveries);
        if (event.kind !== 'delivery-started') return undefined;
        running.add(event.deliveries);
        return running.size > limit
          ? `${running.size} handler calls at once, and ${limit} are allowed`
          : undefined;
      },
    };
  },
};
