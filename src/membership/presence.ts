import type { GroupRun } from '../coordinator/group-run.ts';
import type { Routes } from '../coordinator/read-routes.ts';
import type { GroupMember } from '../model/membership.ts';
import type { MessageQueue } from '../model/message-queue.ts';

/** Far below the 120 s after which a broker closes a connection that heartbeated once, whatever else it does. */
export const BEAT_INTERVAL_MS = 10_000;
const CALL_TIMEOUT_MS = 3_000;

/** A slot as a member of its group at every broker of its topics, over the connections of its client. Mirrors MQClientInstance's heartbeats. */
export class Presence {
  readonly #run: GroupRun;
  readonly #member: GroupMember;
  readonly #joined = new Set<string>();
  /** Brokers that did not answer the last heartbeat. */
  readonly #missed = new Set<string>();
  #beatAt = Number.NEGATIVE_INFINITY;

  constructor(run: GroupRun, member: GroupMember) {
    this.#run = run;
    this.#member = member;
  }

  /** Heartbeats to every broker when it is time, and at once to one that is new or did not answer the last heartbeat. */
  async beat(brokerNames: readonly string[]): Promise<void> {
    const { clock } = this.#run;
    const due = clock.now() - this.#beatAt >= BEAT_INTERVAL_MS;
    if (due) this.#beatAt = clock.now();
    await Promise.all(
      brokerNames
        .filter((name) => due || !this.#joined.has(name) || this.#missed.has(name))
        .map((name) => this.#beatTo(name)),
    );
  }

  /**
   * Client ids of the group's members for each topic, from one of its brokers; none when no broker could tell. A broker that does not know us
   * (it restarted, or the connection broke) is told at once. Mirrors MQClientInstance.findConsumerIdList.
   */
  async membersByTopic(queues: Routes['queues']): Promise<Map<string, readonly string[]>> {
    const asked = new Map<string, Promise<readonly string[]>>();
    const ask = (brokerName: string): Promise<readonly string[]> => {
      const answer = asked.get(brokerName) ?? this.#idsAt(brokerName);
      asked.set(brokerName, answer);
      return answer;
    };
    const found = await Promise.all(
      Array.from(
        queues,
        async ([topic, ofTopic]): Promise<[string, readonly string[]]> => [
          topic,
          await firstKnown(ofTopic, ask),
        ],
      ),
    );
    return new Map(found);
  }

  /** Do others heartbeat under our client id too? */
  async standsTwice(): Promise<boolean> {
    const lists = await Promise.all([...this.#joined].map((brokerName) => this.#list(brokerName)));
    return (
      lists.length > 0 &&
      lists.every((ids) => ids.filter((id) => id === this.#member.clientId).length > 1)
    );
  }

  /** Leaves the group at every broker; the others rebalance at once. */
  async leave(): Promise<void> {
    const names = [...this.#joined];
    this.#joined.clear();
    // No heartbeat follows, so what cannot be told ends with the connection.
    await Promise.allSettled(
      names.map((name) =>
        this.#run.rocketmq.unregister(this.#member, name, { timeoutMs: CALL_TIMEOUT_MS }),
      ),
    );
  }

  async #idsAt(brokerName: string): Promise<readonly string[]> {
    const ids = await this.#list(brokerName);
    if (ids.includes(this.#member.clientId)) return ids;
    await this.#beatTo(brokerName);
    return this.#list(brokerName);
  }

  async #list(brokerName: string): Promise<readonly string[]> {
    const { rocketmq, group } = this.#run;
    try {
      return await rocketmq.consumerIds(group.consumerGroup, brokerName, {
        timeoutMs: CALL_TIMEOUT_MS,
      });
    } catch (error) {
      this.#run.problems.add(error, { brokerName });
      return [];
    }
  }

  async #beatTo(brokerName: string): Promise<void> {
    try {
      await this.#run.rocketmq.heartbeat(this.#member, brokerName, { timeoutMs: CALL_TIMEOUT_MS });
      this.#joined.add(brokerName);
      this.#missed.delete(brokerName);
    } catch (error) {
      this.#missed.add(brokerName);
      this.#run.problems.add(error, { brokerName });
    }
  }
}

async function firstKnown(
  queues: readonly MessageQueue[],
  ask: (brokerName: string) => Promise<readonly string[]>,
): Promise<readonly string[]> {
  for (const brokerName of new Set(queues.map((queue) => queue.brokerName))) {
    const ids = await ask(brokerName);
    if (ids.length > 0) return ids;
  }
  return [];
}
