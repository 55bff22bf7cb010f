import { DEATHS_BEFORE_SEND_BACK } from '../../src/decide/crash/crash-record.ts';
import { type Fault, filtersOf, isWanted, type Plan } from '../plan.ts';
import type { Position, WorldEvent } from '../world/events.ts';
import type { CheckDefinition } from './check.ts';
import { maxAgeOf } from './record-age.ts';

/** What a puller needs beside handler calls: its start, the acquisition, and the time at its end. */
const BESIDE_CALLS_MS = 13_000;

/** A puller without the time for two calls fails a batch as a whole, and gives up calls at its end. */
function shortestMs({ source: { subscriptions } }: Plan): number {
  return 2_000 * Math.max(...subscriptions.map(({ handler }) => handler.timeout)) + BESIDE_CALLS_MS;
}

/** What may make a second copy of a message, or moves a queue back, or hides counts and dead letters from the next holder. */
const COPIES: ReadonlySet<Fault['kind']> = new Set([
  ...(['request', 'broker-restart', 'broker-silent', 'broker-frozen', 'sends-fail'] as const),
  ...([
    'connections-mute',
    'name-server-away',
    'table-down',
    'table-request',
    'table-cut',
  ] as const),
  ...(['topic-recreated', 'second-deployment', 'java-member', 'operator'] as const),
]);

/** Then a death or a lost lease makes no second dead letter: the end is in the assignment before it is sent. */
function promisesOneLetter({ source, faults, programs }: Plan): boolean {
  return (
    source.mode !== 'pop' && programs === undefined && !faults.some(({ kind }) => COPIES.has(kind))
  );
}

/** A death between a send-back and its commit leaves two copies, and each has its end. */
class Copies {
  /** By message and count of failures, when the first copy was stored that a send-back made. */
  readonly #copiedAt = new Map<string, number>();
  readonly #workedAt = new Map<Position, number>();

  on(event: WorldEvent, now: number): void {
    if (event.kind === 'parked') this.#copied(event.number, event.reconsumeTimes, now);
    if (event.kind === 'stored')
      this.#copied(event.position.number, event.position.reconsumeTimes, now);
    if (event.kind === 'send-back-sent') this.#workedAt.set(event.position, now);
    if (event.kind === 'delivery-started')
      for (const { position } of event.deliveries) this.#workedAt.set(position, now);
  }

  /** At most, of a message with these positions. */
  most(positions: readonly Position[]): number {
    const byFailures = Map.groupBy(positions, ({ reconsumeTimes }) => reconsumeTimes);
    const repeated = positions.filter((position) => {
      const { number, reconsumeTimes } = position;
      const copiedAt = this.#copiedAt.get(`${number} ${reconsumeTimes + 1}`);
      return copiedAt !== undefined && (this.#workedAt.get(position) ?? 0) > copiedAt;
    });
    return Math.max(1 + repeated.length, ...[...byFailures.values()].map(({ length }) => length));
  }

  #copied(number: number, failures: number, now: number): void {
    const key = `${number} ${failures}`;
    if (!this.#copiedAt.has(key)) this.#copiedAt.set(key, now);
  }
}

/** Deaths of a puller with the same message before it counts as failed (decide/crash). */
export const retryLimit: CheckDefinition = {
  name: 'retry-limit',
  invariant:
    'A message is in the DLQ, or at the destination of onFailure, exactly when its failures passed maximumRetryAttempts, once, and it is not delivered after that.',
  create: ({ plan, ledger, scheduler, faultTimes }) => {
    const limit = Math.max(
      ...plan.source.subscriptions.map(({ maximumRetryAttempts }) =>
        maximumRetryAttempts < 0 ? Number.POSITIVE_INFINITY : maximumRetryAttempts,
      ),
    );
    const hasDestination = plan.source.subscriptions.some(({ onFailure }) => onFailure);
    const uncounted = plan.source.mode === 'pop' ? DEATHS_BEFORE_SEND_BACK : 0;
    // In mode pop brokers count whatever was not acknowledged.
    const failsAlone = plan.source.mode !== 'pop' && plan.pullerTimeoutMs > shortestMs(plan);
    const maxAgeMs = maxAgeOf(plan);
    const filters = filtersOf(plan);
    /** Dead letters of messages that were too old for their handler. */
    const aged = new Set<number>();
    const copies = new Copies();
    return {
      on(event) {
        copies.on(event, scheduler.now);
        if (event.kind === 'dead-lettered' || event.kind === 'given-to-destination') {
          const [first] = ledger.story(event.number).positions;
          // Each clock may be wrong.
          if (first !== undefined && scheduler.now - first.storedAt > maxAgeMs - 2 * plan.maxSkewMs)
            aged.add(event.number);
        }
        if (event.kind !== 'delivery-started') return undefined;
        for (const { position, told } of event.deliveries) {
          if (told > limit + uncounted)
            return `message ${position.number} is delivered as redelivery ${told}, and the limit is ${limit}`;
        }
        return undefined;
      },
      atEnd: () =>
        [...ledger.stories.values()].flatMap(
          ({ number, deadLetters, failureRecords, failures, positions, droppedAt }) => {
            const handled = positions.some(({ doneAt }) => doneAt !== undefined);
            const message = plan.messages.find((one) => one.number === number);
            const behaviour = message?.behaviour;
            // A redelivery that the filter of a later deployment does not take is dead-lettered.
            const isFiltered =
              message !== undefined && filters.some((filter) => !isWanted(filter, message.tag));
            const found: string[] = [];
            const ends = deadLetters + failureRecords;
            // An answer that got lost may make a second copy; without faults there is one.
            const own = positions.filter((position) => !ledger.wasSetAside(position));
            if (deadLetters > copies.most(own) && promisesOneLetter(plan))
              found.push(`message ${number} is in the DLQ ${deadLetters} times`);
            if (ends > 1 && faultTimes.length === 0)
              found.push(
                `message ${number} is in the DLQ ${deadLetters} times, and has ${ends} ends`,
              );
            if (hasDestination && deadLetters > 0 && faultTimes.length === 0)
              found.push(`message ${number} is in the DLQ, and onFailure has a destination`);
            if (
              failsAlone &&
              ends > 0 &&
              failures <= limit &&
              behaviour?.kind !== 'kills' &&
              !aged.has(number) &&
              !isFiltered
            )
              found.push(
                `message ${number} has its end after ${failures} failures, and the limit is ${limit}`,
              );
            if (
              failsAlone &&
              faultTimes.length === 0 &&
              failures > limit + 1 &&
              behaviour?.kind !== 'throws'
            )
              found.push(`message ${number} failed ${failures} times, and the limit is ${limit}`);
            if (ends === 0 && !handled && droppedAt === undefined && failures > limit)
              found.push(`message ${number} failed ${failures} times and has no end`);
            return found;
          },
        ),
    };
  },
};
