import type { CheckDefinition } from './check.ts';

export const goodMessages: CheckDefinition = {
  name: 'good-messages',
  invariant:
    'A message that its handler can handle is never dead-lettered for what calls with other messages come to.',
  create: ({ plan: { callFailures, messages } }) => {
    const good = new Set(
      messages.filter(({ behaviour }) => behaviour.kind === 'ok').map(({ number }) => number),
    );
    return {
      on: (event) =>
        callFailures !== undefined &&
        (event.kind === 'dead-lettered' || event.kind === 'given-to-destination') &&
        good.has(event.number)
          ? `message ${event.number} is good and is dead-lettered`
          : undefined,
    };
  },
};
