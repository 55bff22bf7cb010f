import type { CheckDefinition } from './check.ts';

export const nothingAfterSkip: CheckDefinition = {
  name: 'nothing-after-skip',
  invariant: 'What an operator skipped is not delivered after the skip was confirmed.',
  create: () => {
    const confirmed = new Map<string, bigint>();
    return {
      on(event) {
        if (event.kind === 'skipped' && event.done) confirmed.set(event.queue, event.to);
        if (event.kind !== 'delivery-started') return undefined;
        const late = event.deliveries.find(
          ({ position }) => position.offset < (confirmed.get(position.queue) ?? 0n),
        );
        return (
          late &&
          `message ${late.position.number} at ${late.position.key} is delivered after it was skipped`
        );
      },
    };
  },
};
