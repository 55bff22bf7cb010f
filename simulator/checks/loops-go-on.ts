import type { CheckDefinition } from './check.ts';

export const loopsGoOn: CheckDefinition = {
  name: 'loops-go-on',
  invariant: 'A loop of a PullConsumer ends only when it is left, aborted or closed.',
  create: () => ({
    on: (event) =>
      event.kind === 'loop-failed' ? `a loop of ${event.by.name} failed: ${event.text}` : undefined,
  }),
};
