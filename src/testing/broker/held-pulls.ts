/** A pull that waits for a message. */
export interface HeldPull {
  /** First offset that would satisfy it. */
  readonly offset: number;
  readonly expiresAt: number;
  /** By the tag hash in the consume queue. */
  matches(tagsCode: number): boolean;
  /** Runs the pull again; it answers whatever it finds then. */
  resume(): void;
}

/**
 * Long polls of one broker. Mirrors PullRequestHoldService: an arrival wakes only the pulls whose filter it matches; everything else — the end of the
 * suspend time, arrivals that did not match — is seen by the next tick. A reset is not, as in the real broker.
 */
export interface HeldPulls {
  hold(topic: string, queueId: number, pull: HeldPull): void;
  arrived(topic: string, queueId: number, maxOffset: number, tagsCode: number): void;
  tick(now: number): void;
  readonly size: number;
  clear(): void;
}

export function createHeldPulls(maxOffset: (topic: string, queueId: number) => number): HeldPulls {
  const queues = new Map<string, { topic: string; queueId: number; pulls: HeldPull[] }>();

  function wake(key: string, ready: (pull: HeldPull) => boolean): void {
    const queue = queues.get(key);
    if (queue === undefined) return;
    const awake = queue.pulls.filter(ready);
    if (awake.length === 0) return;
    queue.pulls = queue.pulls.filter((pull) => !awake.includes(pull));
    if (queue.pulls.length === 0) queues.delete(key);
    for (const pull of awake) pull.resume();
  }

  return {
    hold(topic, queueId, pull) {
      const key = `${topic}@${queueId}`;
      const queue = queues.get(key);
      if (queue) queue.pulls.push(pull);
      else queues.set(key, { topic, queueId, pulls: [pull] });
    },
    arrived: (topic, queueId, max, tagsCode) =>
      wake(`${topic}@${queueId}`, (pull) => max > pull.offset && pull.matches(tagsCode)),
    tick(now) {
      for (const [key, { topic, queueId }] of queues) {
        const max = maxOffset(topic, queueId);
        wake(key, (pull) => max > pull.offset || now >= pull.expiresAt);
      }
    },
    get size() {
      return [...queues.values()].reduce((sum, queue) => sum + queue.pulls.length, 0);
    },
    clear: () => queues.clear(),
  };
}
