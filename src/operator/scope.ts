import type { Assignment } from '../model/assignment.ts';
import { dlqTopic, type MessageQueue, retryTopic } from '../model/message-queue.ts';
import type { SourceConfig } from '../model/source.ts';
import type { AssignmentStore } from '../ports/assignment-store.ts';
import { type Arguments, didYouMean } from './arguments.ts';
import type { OperatorDeps } from './operator-deps.ts';
import { cut, notFound, refused, usage } from './operator-error.ts';

/** The groups that `--cluster` and `--group` leave; all of them without. */
export function chooseSources({ service }: OperatorDeps, args: Arguments): readonly SourceConfig[] {
  const cluster = args.text('cluster');
  const group = args.text('group');
  const { sources } = service;
  if (cluster !== undefined && !Object.hasOwn(service.clusters, cluster))
    notFound(
      `this service has no cluster "${cut(cluster)}"${didYouMean(cluster, Object.keys(service.clusters))}: it has ${Object.keys(service.clusters).join(', ')}`,
    );
  if (sources.length === 0) usage('--group is missing: nothing else says what is meant');
  const groups = [...new Set(sources.map(({ consumerGroup }) => consumerGroup))];
  const chosen = sources.filter(
    (source) =>
      (cluster === undefined || source.cluster === cluster) &&
      (group === undefined || source.consumerGroup === group),
  );
  if (chosen.length === 0)
    notFound(
      `this service has no consumer group "${cut(group ?? '')}"${didYouMean(group ?? '', groups)}: it has ${groups.join(', ') || 'none'}`,
    );
  return chosen;
}

/** The one group that a command is about; it need not be named where there is only one. */
export function chooseSource(deps: OperatorDeps, args: Arguments): SourceConfig {
  const chosen = chooseSources(deps, args);
  const [only] = chosen;
  if (only === undefined || chosen.length > 1)
    return usage(
      `--group is missing: this service has ${chosen.map((source) => `${source.consumerGroup} (cluster ${source.cluster})`).join(', ')}`,
    );
  return only;
}

/** Topics that a group reads: those that it subscribes, and its retry topic. */
export function topicsOf({ subscriptions, consumerGroup, messageModel }: SourceConfig): string[] {
  return [
    ...subscriptions.map(({ topic }) => topic),
    ...(messageModel === 'BROADCASTING' ? [] : [retryTopic(consumerGroup)]),
  ];
}

/** `--topic`, as one of the group's. `retry` and `dlq` are short for its own. */
export function chooseTopic(source: SourceConfig, args: Arguments): string | undefined {
  const given = args.text('topic');
  if (given === undefined) return undefined;
  const topic = given === 'retry' ? retryTopic(source.consumerGroup) : given;
  const topics = topicsOf(source);
  if (topics.includes(topic)) return topic;
  return notFound(
    `group "${source.consumerGroup}" does not read topic "${cut(given)}"${didYouMean(given, topics)}: it reads ${topics.join(', ')}`,
  );
}

/** `--queue TOPIC/BROKER/ID`, or `BROKER/ID` where the topic is clear. */
export function parseQueue(text: string, topic: string | undefined): MessageQueue {
  const match = /^(?:(.+)\/)?([^/]+)\/(\d{1,9})$/.exec(text);
  const named = match?.[1] ?? topic;
  if (match === null || named === undefined)
    return usage(`--queue is "${cut(text)}": give TOPIC/BROKER/ID, for example orders/broker-a/0`);
  return { topic: named, brokerName: match[2] as string, queueId: Number(match[3]) };
}

/** `TOPIC/BROKER/ID=OFFSET`: how cursors and targets name a place. */
export function parsePlace(text: string): { queue: MessageQueue; offset: bigint } {
  const at = text.lastIndexOf('=');
  const offset = text.slice(at + 1);
  if (at < 0 || !/^\d{1,19}$/.test(offset))
    return usage(
      `"${cut(text)}" is no place: give TOPIC/BROKER/ID=OFFSET, or begin without a cursor`,
    );
  return { queue: parseQueue(text.slice(0, at), undefined), offset: BigInt(offset) };
}

/** The queue that a command is about. Its topic is one of the group's, or its dead-letter topic. */
export function chooseQueue(source: SourceConfig, args: Arguments): MessageQueue | undefined {
  const text = args.text('queue');
  const [first] = source.subscriptions;
  const onlyTopic = source.subscriptions.length === 1 ? first?.topic : undefined;
  const topic = chooseTopic(source, args);
  if (text === undefined) return undefined;
  return requireOwn(source, parseQueue(text, topic ?? onlyTopic));
}

/** The queue, when its topic is one of the group's, or its dead-letter topic. */
export function requireOwn(source: SourceConfig, queue: MessageQueue): MessageQueue {
  const known = [...topicsOf(source), dlqTopic(source.consumerGroup)];
  if (!known.includes(queue.topic))
    notFound(
      `group "${source.consumerGroup}" does not read topic "${cut(queue.topic)}"${didYouMean(queue.topic, known)}`,
    );
  return queue;
}

export async function assignmentsOf(
  { store }: OperatorDeps,
  { cluster, consumerGroup }: SourceConfig,
): Promise<Assignment[]> {
  return store === undefined ? [] : store.list({ cluster, consumerGroup });
}

/** For what cannot be done without the table. */
export function requireStore({ store }: OperatorDeps): AssignmentStore {
  return (
    store ??
    refused(
      'this needs the assignment table: name it with --table (and AWS_ENDPOINT_URL_DYNAMODB where it is a local one)',
    )
  );
}

export function groupKey({ cluster, consumerGroup }: SourceConfig): {
  cluster: string;
  consumerGroup: string;
} {
  return { cluster, consumerGroup };
}
