/** Committed offsets of one broker, and resets that wait for the next pull. Mirrors ConsumerOffsetManager. */
export interface OffsetTable {
  /** The pending reset's value when there is one, else what was committed. */
  get(group: string, topic: string, queueId: number): bigint | undefined;
  /** Accepts any offset from anyone, lower ones too. */
  commit(group: string, topic: string, queueId: number, offset: bigint): void;
  hasReset(group: string, topic: string, queueId: number): boolean;
  /** Marks the queue: commits are dropped until a pull takes the mark. */
  reset(group: string, topic: string, queueId: number, offset: bigint): void;
  /** What a pull does: takes the mark away and answers its offset. */
  takeReset(group: string, topic: string, queueId: number): bigint | undefined;
  /** How far pulls have come; for statistics only. */
  notePull(group: string, topic: string, queueId: number, next: bigint): void;
  pulled(group: string, topic: string, queueId: number): bigint | undefined;
  /** Topics that the group has committed on. */
  topicsOf(group: string): string[];
  /** What a deleted topic takes with it, in every group. */
  forgetTopic(topic: string): void;
  /** What a lost consumerOffset.json, or a deleted group, takes with it. */
  forgetGroup(group: string): void;
  /** What a restart loses. */
  forgetVolatile(): void;
}

const key = (group: string, topic: string, queueId: number) => `${topic}@${group}@${queueId}`;

export function createOffsetTable(): OffsetTable {
  const committed = new Map<string, bigint>();
  const topics = new Map<string, Set<string>>();
  const resets = new Map<string, bigint>();
  const pulls = new Map<string, bigint>();

  function commit(group: string, topic: string, queueId: number, offset: bigint): void {
    committed.set(key(group, topic, queueId), offset);
    const known = topics.get(group);
    if (known) known.add(topic);
    else topics.set(group, new Set([topic]));
  }

  function forget(isMeant: (name: string) => boolean): void {
    for (const table of [committed, resets, pulls])
      for (const name of [...table.keys()]) if (isMeant(name)) table.delete(name);
  }

  return {
    get: (group, topic, queueId) =>
      resets.get(key(group, topic, queueId)) ?? committed.get(key(group, topic, queueId)),
    commit,
    hasReset: (group, topic, queueId) => resets.has(key(group, topic, queueId)),
    reset(group, topic, queueId, offset) {
      resets.set(key(group, topic, queueId), offset);
      commit(group, topic, queueId, offset);
    },
    takeReset(group, topic, queueId) {
      const offset = resets.get(key(group, topic, queueId));
      resets.delete(key(group, topic, queueId));
      return offset;
    },
    notePull: (group, topic, queueId, next) => void pulls.set(key(group, topic, queueId), next),
    pulled: (group, topic, queueId) => pulls.get(key(group, topic, queueId)),
    topicsOf: (group) => [...(topics.get(group) ?? [])],
    forgetTopic(topic) {
      forget((name) => name.startsWith(`${topic}@`));
      for (const known of topics.values()) known.delete(topic);
    },
    forgetGroup(group) {
      forget((name) => name.split('@')[1] === group);
      topics.delete(group);
    },
    forgetVolatile() {
      resets.clear();
      pulls.clear();
    },
  };
}
