import { filterPatterns } from '../config/filter-patterns.ts';
import { firstMatch } from '../decide/filter/matches-pattern.ts';
import { filterable } from '../delivery/build-record.ts';
import { inWindow } from '../flow/in-window.ts';
import { storedOffset } from '../flow/stored-offset.ts';
import type { FilterPattern } from '../model/filter-pattern.ts';
import type { Message } from '../model/message.ts';
import type { MessageQueue } from '../model/message-queue.ts';
import { queueKey } from '../model/message-queue.ts';
import type { SourceConfig } from '../model/source.ts';
import type { RocketMQ } from '../ports/rocketmq.ts';
import { Property } from '../records/properties.ts';
import { buildSubscription, userTopic } from '../records/subscription.ts';
import type { Arguments } from './arguments.ts';
import { type MessageView, messageView } from './message-view.ts';
import type { OperatorDeps } from './operator-deps.ts';
import { notFound, usage } from './operator-error.ts';
import { queuesOfTopic } from './queue-figures.ts';
import { assignmentsOf, chooseQueue, chooseSource, chooseTopic, parsePlace } from './scope.ts';

export interface PeekAnswer {
  readonly messages: readonly (
    | PeekedMessage
    | { readonly queue: string; readonly offset: string; readonly problem: string }
  )[];
  /** How many messages were looked through. */
  readonly scanned: number;
  /** The search was cut short here: ask again with it for the rest. Absent: everything was looked through. */
  readonly cursor?: string;
  /** With a search that was cut short: how many messages are behind the cursor. */
  readonly left?: number;
}

/** A message, and what `filterPatterns` make of it. */
export interface PeekedMessage extends MessageView {
  /** Index of the first pattern that matches; `none`: it is done without its handler. Absent: there are no patterns for its topic. */
  readonly pattern?: number | 'none';
}

/** All bodies of an answer together; Lambda's answers hold 6 MB. */
const MOST_CHARACTERS = 2_000_000;
/** Ten patterns as long as Lambda takes them. */
const MAX_PATTERNS_LENGTH = 10 * 4_100;
const LONG_BODY = 4_000;
const MOST_SCANNED = 20_000;
const PULL = 32;
const RESERVE_MS = 10_000;
const STEP_MS = 20_000;

interface Wanted {
  readonly id: string | undefined;
  readonly key: string | undefined;
  readonly tag: string | undefined;
  readonly since: number | undefined;
  readonly until: number | undefined;
}

/**
 * Looks at messages of the group's topics: from what the group has committed on, or from an offset or time; by id, key and tag. Nothing is committed.
 * A search looks through at most 20,000 messages or 20 s of them in one request, and says where it stopped.
 */
export async function peek(deps: OperatorDeps, args: Arguments): Promise<PeekAnswer> {
  const source = chooseSource(deps, args);
  const client = deps.clients(source.cluster);
  const queue = chooseQueue(source, args);
  const topic = chooseTopic(source, args) ?? queue?.topic ?? onlyTopic(source);
  const offset = args.offset('offset');
  const limit = args.whole('limit', 1, 1_000) ?? 10;
  const wanted: Wanted = {
    id: args.text('id'),
    key: args.text('key'),
    tag: args.text('tag'),
    since: args.time('since'),
    until: args.time('until'),
  };
  const full = args.flag('full');
  const cursor = args.text('cursor');
  const patterns = readPatterns(args.text('filter-patterns', MAX_PATTERNS_LENGTH));
  args.finish();
  if (offset !== undefined && queue === undefined)
    usage('--offset is of one queue: name it with --queue TOPIC/BROKER/ID');
  const queues = queue === undefined ? await queuesOfTopic(client, topic) : [queue];
  const searches = wanted.id !== undefined || wanted.key !== undefined;
  const own = new Map(
    (await assignmentsOf(deps, source)).map((each) => [queueKey(each.queue), each]),
  );
  const start = async (each: MessageQueue): Promise<bigint> => {
    if (offset !== undefined) return offset;
    if (wanted.since !== undefined) return client.searchOffset(each, wanted.since);
    const item = own.get(queueKey(each));
    // Who searches for one message does not know whether it is done.
    return searches
      ? client.minOffset(each)
      : ((await storedOffset(client, source, each, item?.committedOffset)) ??
          item?.startOffset ??
          client.minOffset(each));
  };
  return scan(deps, client, source, {
    queues,
    start,
    wanted,
    limit: wanted.id === undefined ? limit : 1,
    mostBody: full ? MOST_CHARACTERS : LONG_BODY,
    cursor,
    patterns,
  });
}

function readPatterns(text: string | undefined): readonly FilterPattern[] | undefined {
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return usage(
      `--filter-patterns is no JSON: give a list such as '[{"body":{"state":["paid"]}}]'`,
    );
  }
  const parsed = filterPatterns.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const place = issue?.path.map((part) => `.${String(part)}`).join('') ?? '';
  return usage(`--filter-patterns${place}: give ${issue?.message}`);
}

/** One message with its whole body. */
export async function get(deps: OperatorDeps, args: Arguments): Promise<PeekAnswer> {
  const id = args.text('id');
  const key = args.text('key');
  const offset = args.offset('offset');
  if ([id, key, offset].filter((one) => one !== undefined).length !== 1)
    usage('give one of --id, --key, or --queue with --offset');
  const source = chooseSource(deps, args);
  const queue = chooseQueue(source, args);
  if (offset !== undefined) {
    if (queue === undefined)
      return usage('--offset is of one queue: name it with --queue TOPIC/BROKER/ID');
    args.finish();
    const { messages } = await scan(deps, deps.clients(source.cluster), source, {
      ...{
        queues: [queue],
        start: async () => offset,
        limit: 1,
        mostBody: MOST_CHARACTERS,
        cursor: undefined,
      },
      wanted: { id: undefined, key: undefined, tag: undefined, since: undefined, until: undefined },
    });
    const [found] = messages;
    if (found?.offset !== String(offset))
      return notFound(
        `${queueKey(queue)} has no message at offset ${offset}${found === undefined ? '' : `; the next one is at ${found.offset}`}`,
      );
    return { messages, scanned: 1 };
  }
  args.whole('limit', 1, 1_000);
  const answer = await peek(deps, args);
  if (answer.messages.length === 0 && answer.cursor === undefined)
    return notFound(
      `no message of that ${id === undefined ? 'key' : 'id'} is stored in the topic any more (${answer.scanned} were looked through); look into another one with --topic, or retry`,
    );
  return answer;
}

function onlyTopic({ subscriptions }: SourceConfig): string {
  const [first] = subscriptions;
  if (first === undefined || subscriptions.length > 1)
    return usage(
      `--topic is missing: the group reads ${subscriptions.map(({ topic }) => topic).join(', ')}`,
    );
  return first.topic;
}

interface Scan {
  readonly queues: readonly MessageQueue[];
  readonly start: (queue: MessageQueue) => Promise<bigint>;
  readonly wanted: Wanted;
  readonly limit: number;
  readonly mostBody: number;
  readonly cursor: string | undefined;
  /** Instead of those of the event. */
  readonly patterns?: readonly FilterPattern[] | undefined;
}

/** Looks through queues, message by message, until the limit, the end of the step or the end of the queues. */
export async function scan(
  deps: OperatorDeps,
  client: RocketMQ,
  source: SourceConfig,
  { queues, start, wanted, limit, mostBody, cursor, patterns }: Scan,
): Promise<PeekAnswer> {
  const { consumerGroup } = source;
  const found: PeekAnswer['messages'][number][] = [];
  const endAt = deps.clock.now() + Math.min(STEP_MS, deps.remainingMs() - RESERVE_MS);
  const from = cursor === undefined ? undefined : parsePlace(cursor);
  const begin =
    from === undefined
      ? 0
      : Math.max(
          0,
          queues.findIndex((queue) => queueKey(queue) === queueKey(from.queue)),
        );
  let scanned = 0;
  let characters = 0;
  for (const queue of queues.slice(begin)) {
    let next =
      from !== undefined && queueKey(queue) === queueKey(from.queue)
        ? from.offset
        : await start(queue);
    for (;;) {
      if (found.length >= limit)
        return {
          messages: found,
          scanned,
          ...(wanted.id === undefined ? { cursor: `${queueKey(queue)}=${next}` } : {}),
        };
      if (scanned >= MOST_SCANNED || characters >= MOST_CHARACTERS || deps.clock.now() > endAt)
        return {
          ...{ messages: found, scanned, cursor: `${queueKey(queue)}=${next}` },
          left: await countBehind(client, queues.slice(queues.indexOf(queue)), async (each) =>
            each === queue ? next : start(each),
          ),
        };
      const result = await client.pull({
        consumerGroup,
        queue,
        offset: next,
        subscription: buildSubscription(queue.topic, '*'),
        maxMessages: PULL,
        suspendMs: 0,
      });
      if (result.status === 'NO_NEW_MSG') break;
      if (result.status === 'FOUND') {
        const records = [
          ...result.messages.map((message) => ({
            offset: message.queueOffset,
            message,
            problem: '',
          })),
          ...result.undecodable.map((record) => ({
            offset: record.queueOffset,
            message: undefined,
            problem: `it cannot be decoded: ${record.error.message}`,
          })),
        ].sort((a, b) => (a.offset < b.offset ? -1 : 1));
        let stopped = false;
        for (const { offset, message, problem } of records) {
          if (found.length >= limit || characters >= MOST_CHARACTERS) {
            stopped = true;
            break;
          }
          next = offset + 1n;
          scanned++;
          if (message === undefined) {
            if (isOpen(wanted))
              found.push({ queue: queueKey(queue), offset: String(offset), problem });
          } else if (isWanted(message, wanted)) {
            const view = {
              ...messageView(message, mostBody),
              ...matched(message, patterns ?? patternsFor(message, source)),
            };
            characters += view.body.length;
            found.push(view);
          }
        }
        if (stopped) continue;
      }
      if (result.nextBeginOffset <= next && result.status !== 'FOUND') break;
      if (result.nextBeginOffset > next) next = result.nextBeginOffset;
      else if (result.status !== 'FOUND') break;
    }
  }
  return { messages: found, scanned };
}

function patternsFor(
  message: Message,
  { subscriptions, consumerGroup }: SourceConfig,
): readonly FilterPattern[] | undefined {
  const topic = userTopic(message, consumerGroup);
  return subscriptions.find((each) => each.topic === topic)?.filterPatterns;
}

function matched(
  message: Message,
  patterns: readonly FilterPattern[] | undefined,
): Pick<PeekedMessage, 'pattern'> {
  if (patterns === undefined) return {};
  return { pattern: firstMatch(patterns, filterable(message)) ?? 'none' };
}

/** Messages of queues from given offsets on; a queue that cannot be asked counts for none. */
async function countBehind(
  client: RocketMQ,
  queues: readonly MessageQueue[],
  from: (queue: MessageQueue) => Promise<bigint>,
): Promise<number> {
  const counts = await inWindow(queues, async (queue) => {
    const [next, end] = await Promise.all([from(queue), client.maxOffset(queue)]).catch(
      () => [0n, 0n] as const,
    );
    return end > next ? Number(end - next) : 0;
  });
  return counts.reduce((sum, count) => sum + count, 0);
}

function isOpen({ id, key, tag }: Wanted): boolean {
  return id === undefined && key === undefined && tag === undefined;
}

function isWanted(message: Message, { id, key, tag, since, until }: Wanted): boolean {
  const { properties, storeTimestamp } = message;
  if (id !== undefined && message.msgId !== id && message.offsetMsgId !== id) return false;
  if (key !== undefined && !(properties.get(Property.KEYS)?.split(' ').includes(key) ?? false))
    return false;
  if (tag !== undefined && properties.get(Property.TAGS) !== tag) return false;
  return (
    (since === undefined || storeTimestamp >= since) &&
    (until === undefined || storeTimestamp < until)
  );
}
