import {
  DLQ_TOPIC_PREFIX,
  dlqTopic,
  RETRY_TOPIC_PREFIX,
  retryTopic,
} from '../model/message-queue.ts';
import type { EventOptions } from './event-options.ts';
import type { ConfigPath, Problems } from './problems.ts';
import type { ServiceOptions } from './service-options.ts';

interface Event extends EventOptions {
  readonly path: ConfigPath;
}

/**
 * Messages that failed for good must not come back to the group that they failed in: one that always
 * fails would go round without end, and every round is a new message.
 */
export function failuresLeave(
  events: readonly Event[],
  { clusters, groups }: ServiceOptions,
  problems: Problems,
): void {
  const byGroup = Map.groupBy(events, ({ cluster, consumerGroup }) =>
    JSON.stringify([cluster, consumerGroup]),
  );
  for (const ofGroup of byGroup.values()) {
    const { cluster, consumerGroup } = ofGroup[0] as Event;
    // What fails in a broadcast is dropped.
    if (groups[consumerGroup]?.messageModel === 'BROADCASTING') continue;
    const plain = plainNames(clusters[cluster]?.namespace);
    const next = new Map(
      ofGroup.map((event) => [plain(event.topic), destinationOf(event, plain)] as const),
    );
    for (const event of ofGroup) {
      const problem = loopOf(event, next, plain);
      if (problem !== undefined) problems.add([...event.path, optionOf(event)], problem);
    }
  }
}

function optionOf({ onFailure, firstTopic }: Event): string {
  if (onFailure !== undefined) return 'onFailure';
  return firstTopic === undefined ? 'topic' : 'topics';
}

type Plain = (name: string) => string;

/** Names without the namespace of their cluster, which people may write or leave out. */
function plainNames(namespace: string | undefined): Plain {
  if (namespace === undefined) return (name) => name;
  return (name) => {
    const prefix =
      [RETRY_TOPIC_PREFIX, DLQ_TOPIC_PREFIX].find((each) => name.startsWith(each)) ?? '';
    const rest = name.slice(prefix.length);
    return rest.startsWith(`${namespace}%`) ? prefix + rest.slice(namespace.length + 1) : name;
  };
}

/** The topic of the event's cluster that takes what failed for good; undefined: it leaves RocketMQ. */
function destinationOf({ onFailure, consumerGroup }: Event, plain: Plain): string | undefined {
  if (onFailure === undefined) return dlqTopic(plain(consumerGroup));
  return onFailure.type === 'topic' ? plain(onFailure.topic) : undefined;
}

function loopOf(
  event: Event,
  next: ReadonlyMap<string, string | undefined>,
  plain: Plain,
): string | undefined {
  const topic = plain(event.topic);
  const group = plain(event.consumerGroup);
  const destination = next.get(topic);
  const own = dlqTopic(group);
  if (destination === topic)
    return event.onFailure === undefined
      ? ` is "${event.topic}", the dead-letter topic of its own group, so that what fails would come again without end: another consumerGroup, or onFailure with another destination`
      : ` is the topic itself, so that what fails would come again without end: another topic${topic === own ? '' : ', or dlq'}`;
  if (destination === retryTopic(group))
    return ' is the retry topic of its own group, so that what fails would come again without end: another topic, or dlq';
  const passed = new Set<string>();
  for (let at = destination; at !== undefined && !passed.has(at); at = next.get(at)) {
    if (at === topic)
      return `: what fails goes from topic "${event.topic}" to "${destination}", which the group takes too, and from there back, without end: another consumerGroup for one of them, or another onFailure`;
    passed.add(at);
  }
  return undefined;
}
