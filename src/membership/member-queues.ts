import { MemoryBudget } from '../decide/pull/memory-budget.ts';
import { codeOf } from '../errors.ts';
import type { MemberQueue } from '../model/membership.ts';
import { type MessageQueue, queueKey } from '../model/message-queue.ts';
import type { PullerRequest } from '../ports/invoke.ts';
import {
  MOVED,
  type PullerDeps,
  type QueueReport,
  type RunningQueue,
} from '../puller/puller-deps.ts';
import { runPuller } from '../puller/run-puller.ts';

/** A queue whose work ended by itself (its handler does not exist, say) is not begun again in a tight circle. */
const AGAIN_MS = 15_000;

interface Worked {
  readonly queue: MessageQueue;
  readonly stop: AbortController;
  readonly done: Promise<void>;
  running?: RunningQueue;
}

/** The queues that a member works now: a puller of its own for each. */
export class MemberQueues {
  readonly reports: QueueReport[] = [];
  readonly #deps: PullerDeps;
  readonly #memory: MemoryBudget;
  readonly #request: Omit<PullerRequest, 'queues' | 'notAfter'>;
  readonly #worked = new Map<string, Worked>();
  readonly #notBefore = new Map<string, number>();

  constructor(deps: PullerDeps, request: Omit<PullerRequest, 'queues' | 'notAfter'>) {
    this.#deps = deps;
    this.#memory = deps.memory ?? new MemoryBudget(deps.memoryBytes, 1, deps.collectGarbage);
    this.#request = request;
  }

  isWorked(queue: MessageQueue): boolean {
    return this.#worked.has(queueKey(queue));
  }

  /** Begins to work the queue, unless that is under way. */
  start(queue: MessageQueue): void {
    const key = queueKey(queue);
    const { clock } = this.#deps;
    if (this.#worked.has(key) || (this.#notBefore.get(key) ?? 0) > clock.now()) return;
    const stop = new AbortController();
    const done = this.#work(queue, stop.signal).finally(() => {
      this.#worked.delete(key);
      if (!stop.signal.aborted) this.#notBefore.set(key, clock.now() + AGAIN_MS);
    });
    this.#worked.set(key, { queue, stop, done });
  }

  /** Drains every queue that the owner has not kept: no new message, what is in flight ends, its offset is committed, its lease released. */
  keepOnly(isOurs: (queue: MessageQueue) => boolean): void {
    for (const { queue, stop } of this.#worked.values()) if (!isOurs(queue)) stop.abort(MOVED);
  }

  /** @param reason of the signals: MOVED when others go on, undefined when the slot's next invocation does */
  async drainAll(reason?: typeof MOVED): Promise<void> {
    for (const { stop } of this.#worked.values()) stop.abort(reason);
    await Promise.all([...this.#worked.values()].map(({ done }) => done));
  }

  /** False: the queue is not worked here. */
  reset(queue: MessageQueue, offset: bigint): boolean {
    const running = this.#worked.get(queueKey(queue))?.running;
    running?.adopt(offset);
    return running !== undefined;
  }

  figures(): MemberQueue[] {
    return [...this.#worked.values()].flatMap(({ running }) =>
      running === undefined ? [] : [running.figures()],
    );
  }

  async #work(queue: MessageQueue, signal: AbortSignal): Promise<void> {
    const deps: PullerDeps = {
      ...this.#deps,
      memory: this.#memory,
      signal,
      options: {
        ...this.#deps.options,
        // A member stays, idle or not.
        idleTimeoutMs: 'never',
      },
      onQueue: (running) => {
        const worked = this.#worked.get(queueKey(queue));
        if (worked !== undefined) worked.running = running;
      },
    };
    try {
      const { queues } = await runPuller({ ...this.#request, queues: [queue] }, deps);
      this.reports.push(...queues);
    } catch (error) {
      this.#deps.logger.error(
        { err: error, code: codeOf(error), queue: queueKey(queue) },
        'the queue cannot be worked now',
      );
    }
  }
}
