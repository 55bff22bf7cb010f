import type { CheckDefinition } from './check.ts';

/** Deaths of a puller with the same message before it counts as failed (decide/crash). */
export const retryLimit: CheckDefinition = {
  name: 'retry-limit',
  invariant:
    'A message is in the DLQ exactly when its failures passed maximumRetryAttempts, once, and it is not delivered after that.',
  create: ({ plan, ledger, faultTimes }) => {
    const limit = Math.max(
      ...plan.source.subscriptions.map(({ maximumRetryAttempts }) => maximumRetryAttempts),
    );
    return {
      on(event) {
        if (event.kind !== 'delivery-started') return undefined;
        for (const { position, told } of event.deliveries) {
          if (told > limit)
            return `message ${position.number} is delivered as redelivery ${told}, and the limit is ${limit}`;
        }
        return undefined;
      },
      atEnd: () =>
        [...ledger.stories.values()].flatMap(
          ({ number, deadLetters, failures, positions, dropped }) => {
            const handled = positions.some(({ doneAt }) => doneAt !== undefined);
            const behaviour = plan.messages.find((message) => message.number === number)?.behaviour;
            const found: string[] = [];
            // An answer that got lost may make a second copy; without faults there is one.
            if (deadLetters > 1 && faultTimes.length === 0)
              found.push(`message ${number} is in the DLQ ${deadLetters} times`);
            if (deadLetters > 0 && failures <= limit && behaviour?.kind !== 'kills')
              found.push(
                `message ${number} is in the DLQ after ${failures} failures, and the limit is ${limit}`,
              );
            if (faultTimes.length === 0 && failures > limit + 1 && behaviour?.kind !== 'throws')
              found.push(`message ${number} failed ${failures} times, and the limit is ${limit}`);
            if (deadLetters === 0 && !handled && !dropped && failures > limit)
              found.push(`message ${number} failed ${failures} times and is not in the DLQ`);
            return found;
          },
        ),
    };
  },
};
