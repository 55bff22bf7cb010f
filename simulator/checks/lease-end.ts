import type { CheckDefinition } from './check.ts';

export const leaseEnd: CheckDefinition = {
  name: 'lease-end',
  invariant: 'No renewal sets an earlier end of its lease: its holder would not know of it.',
  create: () => ({
    on: (event) =>
      event.kind === 'renewed' && event.to < event.from
        ? `the lease of ${event.holder} on ${event.queue} ends ${event.from - event.to} ms earlier after a renewal`
        : undefined,
  }),
};
