import { AmbiguousDeadLetterError } from '../errors.ts';
import { dlqTopic } from '../model/message-queue.ts';
import type { DeadLetter, DeadLetterQueue } from './dead-letter.ts';

/** `BROKER/QUEUE/OFFSET`, also with the dead-letter topic in front, as cursors and errors have it. */
const PLACE = /^(?:(%DLQ%[^/]+)\/)?([^/]+)\/(\d{1,9})[/=](\d{1,19})$/;
/** Places that an error lists for one name. */
const MAX_LISTED = 10;

export interface LetterPlace {
  /** undefined: the dead-letter topic of the group. */
  readonly topic: string | undefined;
  readonly brokerName: string;
  readonly queueId: number;
  readonly offset: bigint;
}

/** undefined: the name is a message id. Producers choose ids, so a name in the form of a place is always a place. */
export function readPlace(name: string): LetterPlace | undefined {
  const [, topic, brokerName, queueId, offset] = PLACE.exec(name) ?? [];
  if (brokerName === undefined || queueId === undefined || offset === undefined) return undefined;
  return { topic, brokerName, queueId: Number(queueId), offset: BigInt(offset) };
}

/** Names this letter and no other: `broker/queue/offset`. */
export function placeOf({ queue, offset }: Pick<DeadLetter, 'queue' | 'offset'>): string {
  return `${queue.brokerName}/${queue.queueId}/${offset}`;
}

/** Is the name the letter's place, or one of its message ids? */
export function namesLetter(name: string, letter: DeadLetter): boolean {
  const place = readPlace(name);
  if (place !== undefined) return isAt(place, letter);
  const { message, undecodable } = letter;
  return message === undefined
    ? undecodable?.offsetMsgId === name
    : message.msgId === name || message.offsetMsgId === name;
}

function isAt(place: LetterPlace, { queue, offset }: Pick<DeadLetter, 'queue' | 'offset'>) {
  return isIn(place, queue) && place.offset === offset;
}

function isIn({ topic, brokerName, queueId }: LetterPlace, queue: DeadLetter['queue']): boolean {
  return (
    queue.brokerName === brokerName &&
    queue.queueId === queueId &&
    (topic === undefined || topic === queue.topic)
  );
}

/** Are all of them places, so that nothing has to be searched for? */
export function arePlaces(names: readonly string[]): boolean {
  return names.every((name) => readPlace(name) !== undefined);
}

/** The parts of the queues that the places are in. Names that are no places are not looked at. */
export function queuesWithin(
  queues: readonly DeadLetterQueue[],
  names: readonly string[],
): DeadLetterQueue[] {
  const places = names.flatMap((name) => readPlace(name) ?? []);
  return queues.flatMap((one) => {
    const offsets = places.filter((place) => isIn(place, one.queue)).map(({ offset }) => offset);
    if (offsets.length === 0) return [];
    const first = offsets.reduce((least, offset) => (offset < least ? offset : least));
    const last = offsets.reduce((most, offset) => (offset > most ? offset : most));
    return [
      {
        ...one,
        minOffset: first > one.minOffset ? first : one.minOffset,
        maxOffset: last + 1n < one.maxOffset ? last + 1n : one.maxOffset,
      },
    ];
  });
}

/** Collects the letters that names mean. A name must mean one: who guesses an id can dead-letter others under it. */
export class NamedLetters {
  readonly #consumerGroup: string;
  readonly #found: ReadonlyMap<string, string[]>;

  constructor(consumerGroup: string, names: readonly string[]) {
    this.#consumerGroup = consumerGroup;
    this.#found = new Map(names.map((name) => [name, []]));
  }

  /** @throws AmbiguousDeadLetterError when a name means more letters than an error lists */
  note(letter: DeadLetter): void {
    for (const [name, places] of this.#found) {
      if (!namesLetter(name, letter)) continue;
      places.push(placeOf(letter));
      if (places.length > MAX_LISTED) this.#refuse(name, places);
    }
  }

  /**
   * One place for each name that means a letter.
   * @throws AmbiguousDeadLetterError when a name means several letters
   */
  places(): string[] {
    for (const [name, places] of this.#found) if (places.length > 1) this.#refuse(name, places);
    return [...new Set([...this.#found.values()].flat())];
  }

  #refuse(name: string, places: readonly string[]): never {
    throw new AmbiguousDeadLetterError(
      dlqTopic(this.#consumerGroup),
      name,
      places.slice(0, MAX_LISTED),
      places.length > MAX_LISTED,
    );
  }
}
