import type { CheckDefinition } from './check.ts';

export const nothingLost: CheckDefinition = {
  name: 'nothing-lost',
  invariant: 'Every message that a producer stored was handled, or has its configured end.',
  create: ({ ledger }) => ({
    atEnd: () =>
      [...ledger.stories.values()]
        .filter((story) => !ledger.hasEnded(story))
        .map(
          ({ number, positions, failures }) =>
            `message ${number} has no end: stored at ${positions.map(({ key }) => key).join(', ')}, ${failures} failures`,
        ),
  }),
};
