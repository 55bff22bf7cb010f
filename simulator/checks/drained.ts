import type { CheckDefinition } from './check.ts';

export const drained: CheckDefinition = {
  name: 'drained',
  invariant:
    'After the last fault every message has its end and every offset is committed within a bounded time.',
  create: ({ pending }) => ({ atEnd: () => pending() }),
};
