import { isLive } from '../decide/lease/lease.ts';
import { ForeignMembersError, InvalidFilterError } from '../errors.ts';
import type { Assignment } from '../model/assignment.ts';
import type { SubscriptionConfig } from '../model/source.ts';
import type { Subscription } from '../model/subscription.ts';
import { buildSubscription } from '../records/subscription.ts';
import { type GroupRun, isEnabled } from './group-run.ts';
import type { Routes } from './read-routes.ts';

/** A pause ends by itself, three passes after the last coordinator that wanted it. */
const PAUSE_MS = 60_000;

export interface GroupCheck {
  /** Other consumers are in the group: nothing may be delivered. */
  readonly refused: boolean;
  /** Topics that may be delivered, with what to ask of the broker: enabled, and with a good filter. The retry topic is one of them. */
  readonly subscriptions: ReadonlyMap<string, Subscription>;
}

/** Looks for foreign members on every broker, and for filters that do not compile. */
export async function checkGroup(run: GroupRun, routes: Routes): Promise<GroupCheck> {
  const [foreign, filters] = await Promise.all([foreignMembers(run, routes), goodFilters(run, routes)]);
  if (foreign.length > 0) run.problems.add(new ForeignMembersError(run.group.consumerGroup, foreign));
  return { refused: foreign.length > 0, subscriptions: filters };
}

/** Makes the holders of queues that may not be delivered drain: a pause that ends by itself, written only where somebody works. */
export async function drainHolders(run: GroupRun, assignments: readonly Assignment[], check: GroupCheck): Promise<void> {
  const now = run.clock.now();
  const unwanted = assignments.filter(
    ({ queue, lease, pausedUntil = 0 }) =>
      (check.refused || !isEnabled(run, queue.topic)) && isLive(lease, now) && pausedUntil < now + PAUSE_MS / 2,
  );
  await Promise.all(unwanted.map(({ queue }) => run.store.setPaused(run.group, queue, now + PAUSE_MS)));
}

/** Members that are none of our slots. A broker that cannot be asked hides its members; the others still tell. */
async function foreignMembers(run: GroupRun, { brokerNames }: Routes): Promise<string[]> {
  const prefix = run.clientId(0).slice(0, -1);
  const members = await Promise.all(
    brokerNames.map(async (brokerName) => {
      try {
        return await run.rocketmq.consumerConnections(run.group.consumerGroup, brokerName, { signal: run.signal });
      } catch (error) {
        if (run.signal.aborted) throw error;
        run.problems.add(error, { brokerName });
        return [];
      }
    }),
  );
  const ids = members.flat().map(({ clientId }) => clientId);
  return [...new Set(ids)].filter((id) => !(id.startsWith(prefix) && /^\d+$/.test(id.slice(prefix.length)))).sort();
}

async function goodFilters(run: GroupRun, routes: Routes): Promise<Map<string, Subscription>> {
  const enabled = run.source.subscriptions.filter(({ topic }) => isEnabled(run, topic));
  const checked = await Promise.all(enabled.map((subscription) => checkFilter(run, routes, subscription)));
  const good = new Map(checked.flatMap((subscription) => (subscription === undefined ? [] : [[subscription.topic, subscription]])));
  if (isEnabled(run, run.retryTopic)) good.set(run.retryTopic, buildSubscription(run.retryTopic, '*'));
  return good;
}

/** Once per run and topic. Only a broker that calls the filter bad makes it bad. */
async function checkFilter(run: GroupRun, routes: Routes, { topic, filter }: SubscriptionConfig): Promise<Subscription | undefined> {
  const known = run.filters.get(topic);
  if (known !== undefined) return known;
  try {
    const subscription = buildSubscription(topic, filter.expression, filter.type, filter.type === 'TAG' ? 0 : run.clock.now());
    const brokerName = routes.queues.get(topic)?.[0]?.brokerName;
    if (filter.type !== 'TAG') {
      if (brokerName === undefined) return subscription;
      await run.rocketmq.checkSubscription(run.group.consumerGroup, subscription, brokerName, { signal: run.signal });
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
