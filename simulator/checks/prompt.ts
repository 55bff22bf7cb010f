import type { CheckDefinition } from './check.ts';

export const prompt: CheckDefinition = {
  name: 'prompt',
  invariant:
    'Without a fault a message is with its handler within the time that the scenario promises.',
  create: ({ plan: { promptMs }, scheduler }) => ({
    on(event) {
      if (promptMs === undefined || event.kind !== 'delivery-started') return undefined;
      const late = event.deliveries.find(
        ({ position }) =>
          position.deliveries.length === 1 && scheduler.now - position.storedAt > promptMs,
      );
      return (
        late &&
        `message ${late.position.number} waited ${scheduler.now - late.position.storedAt} ms for its handler`
      );
    },
  }),
};
