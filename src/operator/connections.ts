import type { ConsumerConnection } from '../model/consumer-connection.ts';
import { retryTopic } from '../model/message-queue.ts';
import type { SourceConfig } from '../model/source.ts';
import type { Subscription } from '../model/subscription.ts';
import { buildSubscription } from '../records/subscription.ts';
import type { Arguments } from './arguments.ts';
import type { OperatorDeps } from './operator-deps.ts';
import { LOOK_MS, type Trouble, troubleOf } from './queue-figures.ts';
import { chooseSources } from './scope.ts';
import { isOwnSlot } from './status.ts';

export interface Member extends ConsumerConnection {
  readonly brokers: readonly string[];
  /** A slot of this service. */
  readonly own: boolean;
}

export interface GroupConnections {
  readonly cluster: string;
  readonly consumerGroup: string;
  readonly members: readonly Member[];
  /** As brokers know them: the last heartbeat counts. */
  readonly subscriptions: readonly {
    readonly topic: string;
    readonly type: string;
    readonly expression: string;
  }[];
  /** Where others subscribe to something else than this service. */
  readonly conflicts: readonly string[];
  readonly problems: readonly (Trouble & { readonly broker: string })[];
}

/** Who is in the groups, by the brokers. A group that nobody shares (`coexist`) has no members at all: its pullers are none. */
export async function connections(
  deps: OperatorDeps,
  args: Arguments,
): Promise<{ groups: readonly GroupConnections[] }> {
  const sources = chooseSources(deps, args);
  args.finish();
  return { groups: await Promise.all(sources.map((source) => connectionsOf(deps, source))) };
}

export async function connectionsOf(
  deps: OperatorDeps,
  source: SourceConfig,
): Promise<GroupConnections> {
  const { cluster, consumerGroup } = source;
  const { service, stage } = deps.service;
  const client = deps.clients(cluster);
  const call = { timeoutMs: LOOK_MS };
  const members = new Map<string, Member>();
  const subscriptions = new Map<string, Subscription>();
  const problems: (Trouble & { broker: string })[] = [];
  for (const broker of await client.brokerNames(call))
    try {
      for (const connection of await client.consumerConnections(consumerGroup, broker, call)) {
        const known = members.get(connection.clientId)?.brokers ?? [];
        const own = isOwnSlot(service, stage, consumerGroup, connection.clientId);
        members.set(connection.clientId, { ...connection, brokers: [...known, broker], own });
      }
      for (const subscription of await client.memberSubscriptions(consumerGroup, broker, call))
        subscriptions.set(subscription.topic, subscription);
    } catch (error) {
      problems.push({ broker, ...troubleOf(error) });
    }
  const theirs = [...subscriptions.values()].sort((a, b) => (a.topic < b.topic ? -1 : 1));
  return {
    ...{
      cluster,
      consumerGroup,
      problems,
      members: [...members.values()].sort((a, b) => (a.clientId < b.clientId ? -1 : 1)),
    },
    subscriptions: theirs.map(({ topic, expressionType, subString }) => ({
      topic,
      type: expressionType,
      expression: subString,
    })),
    conflicts: conflictsOf(source, theirs),
  };
}

function conflictsOf(source: SourceConfig, theirs: readonly Subscription[]): string[] {
  // Where nobody is there is nothing to differ from.
  if (theirs.length === 0) return [];
  const own = new Map(
    source.subscriptions.map(({ topic, filter }) => [
      topic,
      textOf(buildSubscription(topic, filter.expression, filter.type)),
    ]),
  );
  const others = new Map(
    theirs
      .filter(({ topic }) => topic !== retryTopic(source.consumerGroup))
      .map((one) => [one.topic, textOf(one)]),
  );
  return [...new Set([...own.keys(), ...others.keys()])].sort().flatMap((topic) => {
    const [here = 'not at all', there = 'not at all'] = [own.get(topic), others.get(topic)];
    return here === there ? [] : [`${topic}: here ${here}, there ${there}`];
  });
}

/** The order of tags makes no difference. */
function textOf({ expressionType, subString, tagsSet }: Subscription): string {
  return expressionType === 'TAG' && tagsSet.length > 0
    ? `TAG ${tagsSet.toSorted().join(' || ')}`
    : `${expressionType} ${subString}`;
}
