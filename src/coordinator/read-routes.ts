import { createHash } from 'node:crypto';
import { popUnits } from '../decide/pop/pop-units.ts';
import { TopicNotFoundError } from '../errors.ts';
import { type MessageQueue, queueKey } from '../model/message-queue.ts';
import { readableQueues } from '../model/route.ts';
import type { GroupRun } from './group-run.ts';

export interface Routes {
  /** Readable queues of every topic whose route is known; none for a topic that does not exist. */
  readonly queues: ReadonlyMap<string, readonly MessageQueue[]>;
  /** Topics whose route could not be read: nothing may be concluded about their queues. */
  readonly unknown: ReadonlySet<string>;
  readonly brokerNames: readonly string[];
  /** Digest of the queues: another one means another topology. */
  readonly hash: string;
}

/** The routes of all topics of the group, fresh from a name server. The retry topic is one of them once it exists. */
export async function readRoutes(run: GroupRun): Promise<Routes> {
  const queues = new Map<string, readonly MessageQueue[]>();
  const unknown = new Set<string>();
  const brokerNames = new Set<string>();
  const read = async (topic: string): Promise<void> => {
    try {
      const route = await run.rocketmq.topicRoute(topic, { fresh: true, signal: run.signal });
      for (const { brokerName } of route.brokers) brokerNames.add(brokerName);
      const readable = readableQueues(route);
      // What was sent back before the group popped is pulled to its end, as Java's members do it (QueryAssignmentProcessor).
      queues.set(
        topic,
        run.source.mode === 'pop' && topic !== run.retryTopic
          ? popUnits(readable, run.source.pullers)
          : readable,
      );
    } catch (error) {
      if (run.signal.aborted) throw error;
      if (error instanceof TopicNotFoundError) queues.set(topic, []);
      else unknown.add(topic);
      // A group's retry topic comes into being with its first heartbeat or send-back.
      if (!(topic === run.retryTopic && error instanceof TopicNotFoundError))
        run.problems.add(error, { topic });
    }
  };
  // In broadcasting nothing is sent back, and the group's retry topic is that of others.
  const retries = run.source.messageModel === 'BROADCASTING' ? [] : [run.retryTopic];
  await Promise.all([...run.source.subscriptions.map(({ topic }) => topic), ...retries].map(read));
  return { queues, unknown, brokerNames: [...brokerNames].sort(), hash: topologyHash(queues) };
}

function topologyHash(queues: Routes['queues']): string {
  const keys = [...queues.values()].flat().map(queueKey).sort();
  return createHash('sha256').update(keys.join('\n')).digest('hex').slice(0, 16);
}
