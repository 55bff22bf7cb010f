import {
  type DeadLetter,
  type DeadLetterQueue,
  isReached,
  listDeadLetters,
  readQueue,
  selectedQueues,
} from '../dlq/dead-letters.ts';
import { arePlaces, NamedLetters, namesLetter, queuesWithin } from '../dlq/letter-names.ts';
import { noteRedriven, sendDeadLetter } from '../dlq/redrive.ts';
import {
  type RedriveTarget,
  redrivenMessage,
  whyNotRedriven,
  whyNotToOrigin,
} from '../dlq/redriven-message.ts';
import { RedriveStoppedError } from '../errors.ts';
import { inWindow } from '../flow/in-window.ts';
import { type MessageQueue, queueKey, retryTopic } from '../model/message-queue.ts';
import type { SourceConfig } from '../model/source.ts';
import type { RocketMQ } from '../ports/rocketmq.ts';
import { orderKeyOf } from '../records/order-key.ts';
import { Property } from '../records/properties.ts';
import type { Arguments } from './arguments.ts';
import { type MessageView, messageView } from './message-view.ts';
import type { OperatorDeps } from './operator-deps.ts';
import { refused, usage } from './operator-error.ts';
import { requireSendable } from './permissions.ts';
import { chooseSource, chooseSources, parsePlace, parseQueue } from './scope.ts';

export interface DeadLetterGroup {
  readonly cluster: string;
  readonly consumerGroup: string;
  readonly topic: string;
  readonly stored: string;
  /** Not redriven or dropped yet. */
  readonly waiting: string;
  readonly queues: readonly {
    readonly queue: string;
    readonly first: string;
    readonly next: string;
    readonly doneUpTo: string;
    readonly readable: boolean;
  }[];
}

/** The dead letters of the service's groups. */
export async function dlqList(
  deps: OperatorDeps,
  args: Arguments,
): Promise<{ groups: readonly DeadLetterGroup[] }> {
  const sources = chooseSources(deps, args);
  args.finish();
  const groups = await Promise.all(
    sources.map(async ({ cluster, consumerGroup }) => {
      const topics = await listDeadLetters(deps.clients(cluster), { consumerGroup });
      return topics.map(({ topic, count, waiting, queues }) => ({
        ...{ cluster, consumerGroup, topic, stored: String(count), waiting: String(waiting) },
        queues: queues.map(({ queue, minOffset, maxOffset, redrivenUpTo, readable }) => ({
          ...{
            queue: queueKey(queue),
            first: String(minOffset),
            next: String(maxOffset),
            doneUpTo: String(redrivenUpTo),
            readable,
          },
        })),
      }));
    }),
  );
  return { groups: groups.flat() };
}

export interface DeadLetterView extends MessageView {
  /** The topic that it was sent to first. */
  readonly originTopic?: string;
  /** Where a redrive sent it, or would send it. */
  readonly to?: string;
}

export interface DeadLettersAnswer {
  readonly consumerGroup: string;
  readonly letters: readonly (
    | DeadLetterView
    | { readonly queue: string; readonly offset: string; readonly problem: string }
  )[];
  readonly scanned: number;
  /** Letters that were sent, or passed by a drop. */
  readonly done: number;
  /** The step ended here, before the end of the letters: go on with it. Absent: it is through. */
  readonly cursor?: string;
  /** With a cursor: how many letters are behind it, of those that are looked through. */
  readonly left?: number;
}

/** One request's share of long work: what is done stays done, and the next request goes on behind it. */
const STEP_MS = 20_000;
const RESERVE_MS = 10_000;
const MOST_SCANNED = 20_000;
const MOST_CHARACTERS = 2_000_000;
/** Letters of one answer of dlq peek. */
const MAX_SHOWN = 1_000;
const LONG_BODY = 4_000;

interface Chosen {
  readonly source: SourceConfig;
  readonly client: RocketMQ;
  readonly queue: MessageQueue | undefined;
  /** undefined: there is none. */
  readonly limit: number | undefined;
  readonly cursor: string | undefined;
  readonly selects: boolean;
  /** Places or message ids. */
  readonly ids: readonly string[] | undefined;
  readonly isWanted: (letter: DeadLetter) => boolean;
  readonly since: number | undefined;
  readonly until: number | undefined;
  /** From the oldest that is stored, not from the first that waits. */
  readonly all: boolean;
  /** Notes how far each queue is done. It begins there then, so that the note leaves no gap and never goes back. */
  readonly notes?: boolean;
  /** Ends the step before its time: the response has no room for another message. */
  readonly isFull?: () => boolean;
}

function choose(deps: OperatorDeps, args: Arguments, defaultLimit: number): Chosen {
  const source = chooseSource(deps, args);
  const ids = args.list('id');
  const tag = args.text('tag');
  const key = args.text('key');
  const since = args.time('since');
  const until = args.time('until');
  const place = args.text('queue');
  const limit = args.whole('limit', 1, 1_000_000) ?? defaultLimit;
  const cursor = args.text('cursor');
  const all = args.flag('all');
  const queue = place === undefined ? undefined : parseQueue(place, `%DLQ%${source.consumerGroup}`);
  return {
    ...{
      source,
      queue,
      limit,
      cursor,
      since,
      until,
      all: all || since !== undefined || ids !== undefined,
    },
    client: deps.clients(source.cluster),
    selects: [ids, tag, key, since, until].some((one) => one !== undefined) || all,
    ids,
    isWanted: (letter) => {
      const properties = letter.message?.properties;
      const storedAt = storedAtOf(letter);
      return (
        (ids === undefined || ids.some((id) => namesLetter(id, letter))) &&
        (tag === undefined || properties?.get(Property.TAGS) === tag) &&
        (key === undefined ||
          (properties?.get(Property.KEYS)?.split(' ').includes(key) ?? false)) &&
        (since === undefined || storedAt === undefined || storedAt >= since) &&
        (until === undefined || storedAt === undefined || storedAt < until)
      );
    },
  };
}

/** undefined: the record does not tell. */
function storedAtOf({ message, undecodable }: DeadLetter): number | undefined {
  return (message ?? undecodable?.unopened)?.storeTimestamp;
}

interface Walk {
  scanned: number;
  done: number;
  cursor: string | undefined;
  left: number | undefined;
}

/** How an answer says where its step ended. */
function endOf({
  cursor,
  left,
}: Pick<Walk, 'cursor' | 'left'>): Pick<DeadLettersAnswer, 'cursor' | 'left'> {
  return { ...(cursor === undefined ? {} : { cursor }), ...(left === undefined ? {} : { left }) };
}

/**
 * Goes through the chosen dead letters, queue by queue, until the limit or the end of the step.
 * @param work `queue-ends`: the letter is not taken, and neither are those behind it in its queue
 */
async function walk(
  deps: OperatorDeps,
  chosen: Chosen,
  work: (letter: DeadLetter, place: DeadLetterQueue) => Promise<void | 'queue-ends'>,
  passed: (queue: DeadLetterQueue, upTo: bigint) => Promise<void> = async () => {},
): Promise<Walk> {
  const { client, source, limit, since } = chosen;
  const endAt = deps.clock.now() + Math.min(STEP_MS, deps.remainingMs() - RESERVE_MS);
  const all = await selectedQueues(client, source.consumerGroup, {}, {});
  const ofBroker = all.filter(
    ({ queue }) => chosen.queue === undefined || queueKey(queue) === queueKey(chosen.queue),
  );
  const { ids } = chosen;
  const queues = ids !== undefined && arePlaces(ids) ? queuesWithin(ofBroker, ids) : ofBroker;
  const from = chosen.cursor === undefined ? undefined : parsePlace(chosen.cursor);
  const begin =
    from === undefined
      ? 0
      : Math.max(
          0,
          queues.findIndex(({ queue }) => queueKey(queue) === queueKey(from.queue)),
        );
  const progress: Walk = { scanned: 0, done: 0, cursor: undefined, left: undefined };
  for (const [index, place] of queues.entries()) {
    if (index < begin) continue;
    const start =
      from !== undefined && queueKey(place.queue) === queueKey(from.queue) && chosen.notes !== true
        ? from.offset
        : await startOf(client, place, chosen, since);
    let next = start;
    try {
      reading: for await (const letters of readQueue(
        client,
        place,
        start < place.minOffset ? place.minOffset : start,
        {},
      )) {
        for (const letter of letters) {
          if (
            isReached(limit, progress.done) ||
            progress.scanned >= MOST_SCANNED ||
            deps.clock.now() > endAt ||
            chosen.isFull?.() === true ||
            deps.signal?.aborted === true
          ) {
            progress.cursor = `${queueKey(place.queue)}=${letter.offset}`;
            progress.left = await countBehind(letter, place, queues.slice(index + 1), (each) =>
              startOf(client, each, chosen, since),
            );
            return progress;
          }
          progress.scanned++;
          if (chosen.isWanted(letter)) {
            if ((await work(letter, place)) === 'queue-ends') break reading;
            progress.done++;
          }
          next = letter.offset + 1n;
        }
        if (next > start) await passed(place, next);
      }
    } finally {
      if (next > start) await passed(place, next);
    }
  }
  return progress;
}

/** Letters from this one on, and those of the queues behind it. Undefined: it cannot be told, which is no reason for a step to fail. */
async function countBehind(
  { offset }: DeadLetter,
  { maxOffset }: DeadLetterQueue,
  later: readonly DeadLetterQueue[],
  start: (queue: DeadLetterQueue) => Promise<bigint>,
): Promise<number | undefined> {
  const counts = await inWindow(later, async (each) => each.maxOffset - (await start(each))).catch(
    () => undefined,
  );
  return counts === undefined
    ? undefined
    : Number(counts.reduce((sum, count) => (count > 0n ? sum + count : sum), maxOffset - offset));
}

async function startOf(
  client: RocketMQ,
  { queue, minOffset, redrivenUpTo }: DeadLetterQueue,
  { all }: Chosen,
  since: number | undefined,
): Promise<bigint> {
  if (since !== undefined) return client.searchOffset(queue, since);
  return all ? minOffset : redrivenUpTo;
}

/** Each id as the place of the one letter that it names, so that nothing is sent before that is known. */
async function placesOf(deps: OperatorDeps, chosen: Chosen): Promise<Chosen['ids']> {
  const { ids, source } = chosen;
  if (ids === undefined || arePlaces(ids)) return ids;
  const named = new NamedLetters(source.consumerGroup, ids);
  const all = { ...chosen, cursor: undefined, limit: undefined };
  const { scanned, cursor } = await walk(deps, all, async (letter) => named.note(letter));
  const places = named.places();
  if (cursor !== undefined)
    refused(
      `${scanned} dead letters looked through, and there are more: whether --id names one letter is not known. Find its place with dlq peek --id, and redrive with --id BROKER/QUEUE/OFFSET`,
    );
  return places;
}

/** Looks at dead letters: those that wait, or all that are stored (`all`, `id`, `since`). Changes nothing. */
export async function dlqPeek(deps: OperatorDeps, args: Arguments): Promise<DeadLettersAnswer> {
  const chosen = choose(deps, args, 10);
  const full = args.flag('full');
  args.finish();
  const letters: DeadLettersAnswer['letters'][number][] = [];
  let characters = 0;
  const limited: Chosen = {
    ...chosen,
    limit: Math.min(chosen.limit ?? MAX_SHOWN, MAX_SHOWN),
    isFull: () => characters > MOST_CHARACTERS,
  };
  const { scanned, done, ...end } = await walk(deps, limited, async (letter) => {
    const view = viewOf(letter, full ? MOST_CHARACTERS : LONG_BODY);
    if ('body' in view) characters += view.body.length;
    letters.push(view);
  });
  return { consumerGroup: chosen.source.consumerGroup, letters, scanned, done, ...endOf(end) };
}

/**
 * Sends dead letters back: to the topic that they came from, to the group alone, or to a topic by name. Each is sent first and noted after. Without a
 * selection it goes on where the last redrive ended, and notes how far it is; a selection (id, tag, key, since, until, all) notes nothing.
 */
export async function dlqRedrive(deps: OperatorDeps, args: Arguments): Promise<DeadLettersAnswer> {
  const asked = choose(deps, args, 1_000_000);
  const to = args.text('to') ?? 'topic';
  const rate = args.whole('rate', 1, 10_000);
  const dryRun = args.flag('dry-run');
  const skipFailed = args.flag('skip-failed');
  args.finish();
  const target: RedriveTarget = to === 'topic' || to === 'group' ? to : { topic: to };
  const { client, source } = asked;
  const topics = source.subscriptions.map(({ topic }) => topic);
  if (target === 'group' && source.messageModel === 'BROADCASTING')
    usage(
      `group "${source.consumerGroup}" is BROADCASTING and reads no retry topic: give --to TOPIC, or leave --to out`,
    );
  if (typeof target === 'object') requireSendable(deps, source.cluster, target.topic);
  const ids = await placesOf(deps, asked);
  const isWanted = (letter: DeadLetter): boolean =>
    asked.isWanted(letter) && ids?.some((id) => namesLetter(id, letter)) !== false;
  const notes = !asked.selects && !dryRun;
  const chosen = { ...asked, ids, isWanted, notes };
  const letters: DeadLettersAnswer['letters'][number][] = [];
  const began = deps.clock.now();
  let sent = 0;
  const { scanned, ...end } = await walk(
    deps,
    chosen,
    async (letter) => {
      const view = viewOf(letter, 200);
      const unfit = whyNotRedriven(letter);
      const foreign = await whyNotToOrigin(letter, target, (topic) => topics.includes(topic));
      const outgoing =
        letter.message === undefined || unfit !== undefined || foreign !== undefined
          ? undefined
          : redrivenMessage(letter, letter.message, source.consumerGroup, target);
      if (outgoing === undefined) {
        const problem =
          unfit ??
          `${foreign ?? 'nothing tells the topic that it came from'}: name one with --to TOPIC`;
        letters.push({ queue: view.queue, offset: view.offset, problem });
        return;
      }
      if (!dryRun) {
        if (rate !== undefined)
          await deps.clock.sleep(Math.max(0, began + (sent * 1000) / rate - deps.clock.now()));
        const error = await sendDeadLetter(
          client,
          outgoing,
          source.consumerGroup,
          letter.queue,
          letterOrderKey(source, outgoing.topic, letter),
        ).catch((thrown: Error) => thrown);
        if (error !== undefined && !skipFailed)
          throw new RedriveStoppedError(source.consumerGroup, view.queue, letter.offset, error);
        if (error !== undefined) {
          letters.push({ queue: view.queue, offset: view.offset, problem: error.message });
          return;
        }
      }
      sent++;
      if (letters.length < MOST_TOLD)
        letters.push({ ...(view as DeadLetterView), to: outgoing.topic });
    },
    async ({ queue }, upTo) => {
      if (notes) await noteRedriven(client, queue, upTo);
    },
  );
  return { consumerGroup: source.consumerGroup, letters, scanned, done: sent, ...endOf(end) };
}

/**
 * The key that the readers of the topic are ordered by, where that is not the sharding key: letters of
 * one key go to one queue, which is that of their producer if it hashes the key as Java's clients do.
 */
function letterOrderKey(
  { subscriptions, consumerGroup }: SourceConfig,
  topic: string,
  { message, originTopic }: DeadLetter,
): string | undefined {
  const read = topic === retryTopic(consumerGroup) ? originTopic : topic;
  const order = subscriptions.find((subscription) => subscription.topic === read)?.order;
  return message && orderKeyOf(message, order);
}

/** What a step tells one by one; the rest is counted. */
const MOST_TOLD = 200;

/**
 * Notes dead letters as done without sending them: those of a queue, or all, up to a time. They stay stored until the broker's retention ends; a
 * redrive without a selection begins behind them.
 */
export async function dlqDrop(deps: OperatorDeps, args: Arguments): Promise<DeadLettersAnswer> {
  if (['id', 'tag', 'key', 'since'].some((name) => args.has(name)))
    usage(
      'drop notes how far the letters are done, so that it cannot leave gaps: give --until, --queue or --limit, or nothing for all; single ones are redriven with --id',
    );
  const chosen = choose(deps, args, 1_000_000);
  const dryRun = args.flag('dry-run');
  args.finish();
  const { client, source, until } = chosen;
  const timeBehind = new TimeBehind(client);
  const { scanned, done, ...end } = await walk(
    deps,
    // Letters before the note are done, also with --all.
    { ...chosen, all: false, notes: !dryRun, isWanted: () => true },
    async (letter, place) => {
      if (until === undefined) return;
      const storedAt = storedAtOf(letter) ?? (await timeBehind.of(letter, place));
      return storedAt === undefined || storedAt >= until ? 'queue-ends' : undefined;
    },
    async ({ queue }, upTo) => {
      if (!dryRun) await noteRedriven(client, queue, upTo);
    },
  );
  return { consumerGroup: source.consumerGroup, letters: [], scanned, done, ...endOf(end) };
}

/** When the next letter was stored that tells it: one that does not is not younger. */
class TimeBehind {
  readonly #client: RocketMQ;
  /** The last answer, for several such letters in a row. */
  #known: { readonly queue: string; readonly at: bigint; readonly time: number | undefined } = {
    queue: '',
    at: 0n,
    time: undefined,
  };

  constructor(client: RocketMQ) {
    this.#client = client;
  }

  /** undefined: no letter behind it tells. */
  async of({ queue, offset }: DeadLetter, place: DeadLetterQueue): Promise<number | undefined> {
    const key = queueKey(queue);
    if (this.#known.queue !== key || offset >= this.#known.at)
      this.#known = { queue: key, ...(await this.#find(place, offset + 1n)) };
    return this.#known.time;
  }

  async #find(place: DeadLetterQueue, start: bigint) {
    for await (const letters of readQueue(this.#client, place, start, {}))
      for (const letter of letters) {
        const time = storedAtOf(letter);
        if (time !== undefined) return { at: letter.offset, time };
      }
    return { at: place.maxOffset, time: undefined };
  }
}

function viewOf(letter: DeadLetter, mostBody: number): DeadLettersAnswer['letters'][number] {
  const { message, queue, offset, originTopic, undecodable } = letter;
  if (message === undefined)
    return {
      queue: queueKey(queue),
      offset: String(offset),
      problem: undecodable?.error.message ?? 'it cannot be decoded',
    };
  return {
    ...messageView(message, mostBody),
    ...(originTopic === undefined ? {} : { originTopic }),
  };
}
