import { isLive } from '../decide/lease/lease.ts';
import { ForeignMembersError, InvalidFilterError, UnequalSubscriptionsError } from '../errors.ts';
import type { Assignment } from '../model/assignment.ts';
import { RETRY_TOPIC_PREFIX } from '../model/message-queue.ts';
import type { SubscriptionConfig } from '../model/source.ts';
import { isEnabled } from '../model/source.ts';
import type { Subscription } from '../model/subscription.ts';
import { buildSubscription } from '../records/subscription.ts';
import type { GroupRun } from './group-run.ts';
import type { Routes } from './read-routes.ts';

/** A pause ends by itself, three passes after the last coordinator that wanted it. */
const PAUSE_MS = 60_000;

export interface GroupCheck {
  /** Other consumers are in the group, and they do not see us: nothing may be delivered. */
  readonly refused: boolean;
  /** The other members subscribe to other topics: our heartbeats would take theirs away from them. */
  readonly othersTopics: boolean;
  /** Topics that may be delivered, with what to ask of the broker: enabled, and with a good filter. The retry topic is one of them. */
  readonly subscriptions: ReadonlyMap<string, Subscription>;
}

/** Looks for foreign members on every broker, and for filters that do not compile. */
export async function checkGroup(run: GroupRun, routes: Routes): Promise<GroupCheck> {
  const [foreign, subscriptions] = await Promise.all([
    foreignMembers(run, routes),
    goodFilters(run, routes),
  ]);
  const { coexist = false, messageModel, consumerGroup } = run.source;
  const refused = foreign.length > 0 && !coexist && messageModel !== 'BROADCASTING';
  if (refused) run.problems.add(new ForeignMembersError(consumerGroup, foreign));
  if (foreign.length === 0) return { refused, othersTopics: false, subscriptions };
  const { differences, topics } = unequal(run.source, await subscriptionsOfMembers(run, routes));
  if (differences.length > 0)
    run.problems.add(new UnequalSubscriptionsError(consumerGroup, differences));
  return { refused, othersTopics: topics, subscriptions };
}

/** Members are on every broker, so the first that knows some is enough. */
async function subscriptionsOfMembers(
  run: GroupRun,
  { brokerNames }: Routes,
): Promise<Subscription[]> {
  for (const brokerName of brokerNames) {
    const subscriptions = await run.rocketmq
      .memberSubscriptions(run.group.consumerGroup, brokerName, { signal: run.signal })
      .catch((error: unknown) => {
        if (run.signal.aborted) throw error;
        return [];
      });
    if (subscriptions.length > 0) return subscriptions;
  }
  return [];
}

function unequal(
  { subscriptions }: GroupRun['source'],
  theirs: readonly Subscription[],
): { readonly differences: string[]; readonly topics: boolean } {
  // Before their first heartbeat has arrived, nothing is known.
  if (theirs.length === 0) return { differences: [], topics: false };
  const own = new Map(
    subscriptions.map(({ topic, filter }) => [topic, describeOwn(topic, filter)]),
  );
  const others = new Map(
    theirs
      .filter(({ topic }) => !topic.startsWith(RETRY_TOPIC_PREFIX))
      .map((subscription) => [subscription.topic, describe(subscription)]),
  );
  const differences = [...new Set([...own.keys(), ...others.keys()])].sort().flatMap((topic) => {
    const [here = 'not at all', there = 'not at all'] = [own.get(topic), others.get(topic)];
    return here === there ? [] : [`${topic}: here ${here}, there ${there}`];
  });
  return {
    differences,
    topics:
      [...own.keys()].some((topic) => !others.has(topic)) ||
      [...others.keys()].some((topic) => !own.has(topic)),
  };
}

function describeOwn(topic: string, { expression, type }: SubscriptionConfig['filter']): string {
  try {
    return describe(buildSubscription(topic, expression, type));
  } catch {
    return `${type} ${expression}`;
  }
}

/** The order of tags makes no difference. */
function describe({ expressionType, subString, tagsSet }: Subscription): string {
  return expressionType === 'TAG' && tagsSet.length > 0
    ? `TAG ${tagsSet.toSorted().join(' || ')}`
    : `${expressionType} ${subString}`;
}

/** Makes the holders of queues that may not be delivered drain: a pause that ends by itself, written only where somebody works. */
export async function drainHolders(
  run: GroupRun,
  assignments: readonly Assignment[],
  check: GroupCheck,
): Promise<void> {
  const now = run.clock.now();
  const unwanted = assignments.filter(
    ({ queue, lease, pausedUntil = 0 }) =>
      (check.refused || !isEnabled(run.source, queue.topic)) &&
      isLive(lease, now) &&
      pausedUntil < now + PAUSE_MS / 2,
  );
  await Promise.all(
    unwanted.map(({ queue }) => run.store.setPaused(run.group, queue, now + PAUSE_MS)),
  );
}

/** Members that are none of our slots. A broker that cannot be asked hides its members; the others still tell. */
async function foreignMembers(run: GroupRun, { brokerNames }: Routes): Promise<string[]> {
  const prefix = run.clientId(0).slice(0, -1);
  const members = await Promise.all(
    brokerNames.map(async (brokerName) => {
      try {
        return await run.rocketmq.consumerConnections(run.group.consumerGroup, brokerName, {
          signal: run.signal,
        });
      } catch (error) {
        if (run.signal.aborted) throw error;
        run.problems.add(error, { brokerName });
        return [];
      }
    }),
  );
  const ids = members.flat().map(({ clientId }) => clientId);
  return [...new Set(ids)]
    .filter((id) => !(id.startsWith(prefix) && /^\d+$/.test(id.slice(prefix.length))))
    .sort();
}

async function goodFilters(run: GroupRun, routes: Routes): Promise<Map<string, Subscription>> {
  const enabled = run.source.subscriptions.filter(({ topic }) => isEnabled(run.source, topic));
  const checked = await Promise.all(
    enabled.map((subscription) => checkFilter(run, routes, subscription)),
  );
  const good = new Map(
    checked.flatMap((subscription) =>
      subscription === undefined ? [] : [[subscription.topic, subscription]],
    ),
  );
  if (isEnabled(run.source, run.retryTopic))
    good.set(run.retryTopic, buildSubscription(run.retryTopic, '*'));
  return good;
}

/** Once per run and topic. Only a broker that calls the filter bad makes it bad. */
async function checkFilter(
  run: GroupRun,
  routes: Routes,
  { topic, filter }: SubscriptionConfig,
): Promise<Subscription | undefined> {
  const known = run.filters.get(topic);
  if (known !== undefined) return known;
  try {
    const subscription = buildSubscription(
      topic,
      filter.expression,
      filter.type,
      filter.type === 'TAG' ? 0 : run.clock.now(),
    );
    const brokerName = routes.queues.get(topic)?.[0]?.brokerName;
    if (filter.type !== 'TAG') {
      if (brokerName === undefined) return subscription;
      await run.rocketmq.checkSubscription(run.group.consumerGroup, subscription, brokerName, {
        signal: run.signal,
      });
    }
    run.filters.set(topic, subscription);
    return subscription;
  } catch (error) {
    if (run.signal.aborted) throw error;
    run.problems.add(error, { topic });
    if (error instanceof InvalidFilterError) return undefined;
    return buildSubscription(topic, filter.expression, filter.type, run.clock.now());
  }
}
