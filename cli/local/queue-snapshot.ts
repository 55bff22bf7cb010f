import { TopicNotFoundError } from '../../src/errors.ts';
import {
  compareQueues,
  type MessageQueue,
  queueKey,
  retryTopic,
} from '../../src/model/message-queue.ts';
import { readableQueues } from '../../src/model/route.ts';
import type { AssignmentStore, GroupKey } from '../../src/ports/assignment-store.ts';
import type { RocketMQ } from '../../src/ports/rocketmq.ts';

/** One queue at one moment: what the broker says of its offsets and the table of its holder. */
export interface QueueSnapshot {
  readonly queue: MessageQueue;
  /** undefined: nothing committed yet. */
  readonly committed: bigint | undefined;
  readonly max: bigint;
  readonly holder: string | undefined;
}

/** Reads every queue of the topics and of the group's retry topic, in queue order. Topics without a route yet are left out. */
export async function snapshotQueues(
  client: RocketMQ,
  store: AssignmentStore,
  group: GroupKey,
  topics: readonly string[],
  now: number,
): Promise<QueueSnapshot[]> {
  const routes = await Promise.all(
    [...topics, retryTopic(group.consumerGroup)].map((topic) =>
      client.topicRoute(topic, { fresh: true }).catch((error: unknown) => {
        if (error instanceof TopicNotFoundError) return undefined;
        throw error;
      }),
    ),
  );
  const assignments = await store.list(group);
  const holders = new Map(
    assignments.map(({ queue, lease }) => [
      queueKey(queue),
      lease !== undefined && lease.leaseUntil > now ? lease.holder : undefined,
    ]),
  );
  const queues = routes
    .flatMap((route) => (route === undefined ? [] : readableQueues(route)))
    .sort(compareQueues);
  return Promise.all(
    queues.map(async (queue) => ({
      queue,
      committed: await client.queryOffset(group.consumerGroup, queue),
      max: await client.maxOffset(queue),
      holder: holders.get(queueKey(queue)),
    })),
  );
}

/** Messages that the group has not committed. A queue without a committed offset counts whole. */
export function lagOf(snapshot: QueueSnapshot): bigint {
  return snapshot.max - (snapshot.committed ?? 0n);
}

/** True when every queue's committed offset has reached its end; a queue that never had a message needs no commit. */
export function allCommitted(snapshots: readonly QueueSnapshot[]): boolean {
  return snapshots.length > 0 && snapshots.every((snapshot) => lagOf(snapshot) === 0n);
}
