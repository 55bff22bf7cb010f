import {
  LOCK_TOGETHER_MS,
  type LockState,
  lockAnswered,
  lockUnanswered,
  unlocked,
} from '../decide/order/lock-time.ts';
import { type MessageQueue, queueKey } from '../model/message-queue.ts';
import type { Clock } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';
import type { RocketMQ } from '../ports/rocketmq.ts';

/** One queue's lock at its broker, as far as we know. */
export interface BrokerLock {
  readonly state: LockState;
  /** Stops renewing; the broker keeps the lock until it runs out, for whoever comes under the same client id. */
  drop(): void;
  /** Stops renewing and gives the lock back. Throws what the client throws. */
  unlock(): Promise<void>;
}

interface Held {
  readonly queue: MessageQueue;
  readonly onAnswer: () => void;
  state: LockState;
}

/**
 * The broker locks (41, 42) of the queues that one invocation works in order: asked for at once, renewed while they are held, with one request per
 * broker for all that are due. Mirrors RebalanceImpl.lock and lockAll.
 */
export class BrokerLocks {
  readonly #deps: { readonly client: RocketMQ; readonly clock: Clock; readonly logger: Logger };
  readonly #consumerGroup: string;
  readonly #clientId: string;
  readonly #brokers = new Map<string, { readonly held: Set<Held>; wake: AbortController }>();

  /** @param clientId of the slot: the next invocation of the slot renews its locks at once */
  constructor(
    deps: { readonly client: RocketMQ; readonly clock: Clock; readonly logger: Logger },
    consumerGroup: string,
    clientId: string,
  ) {
    this.#deps = deps;
    this.#consumerGroup = consumerGroup;
    this.#clientId = clientId;
  }

  /** Begins to ask for a queue's lock, and goes on renewing it. @param onAnswer after every answer */
  hold(queue: MessageQueue, onAnswer: () => void): BrokerLock {
    const held: Held = { queue, onAnswer, state: unlocked(this.#deps.clock.now()) };
    const broker = this.#brokers.get(queue.brokerName);
    if (broker === undefined) {
      this.#brokers.set(queue.brokerName, { held: new Set([held]), wake: new AbortController() });
      this.#keep(queue.brokerName).catch((error: unknown) => {
        this.#brokers.delete(queue.brokerName);
        this.#deps.logger.error(
          { err: error, brokerName: queue.brokerName, code: 'ROCKETMQ_INTERNAL' },
          'broker locks not renewed any more',
        );
      });
    } else {
      broker.held.add(held);
      broker.wake.abort();
    }
    const drop = (): void => {
      const own = this.#brokers.get(queue.brokerName);
      if (own?.held.delete(held) === true && own.held.size === 0) own.wake.abort();
    };
    return {
      get state() {
        return held.state;
      },
      drop,
      unlock: async () => {
        drop();
        await this.#deps.client.unlockQueues(this.#consumerGroup, this.#clientId, [queue]);
      },
    };
  }

  /** Ends when none of the broker's queues is held any more. */
  async #keep(brokerName: string): Promise<void> {
    const { clock } = this.#deps;
    // All that this turn of the process adds goes into the first request.
    await Promise.resolve();
    for (
      let broker = this.#brokers.get(brokerName);
      broker !== undefined && broker.held.size > 0;
    ) {
      const now = clock.now();
      const next = Math.min(...[...broker.held].map(({ state }) => state.askAt));
      if (next > now) {
        broker.wake = new AbortController();
        await clock.sleep(next - now, broker.wake.signal).catch(() => {});
      } else
        await this.#ask(
          [...broker.held].filter(({ state }) => state.askAt <= now + LOCK_TOGETHER_MS),
        );
    }
    this.#brokers.delete(brokerName);
  }

  /** What one queue makes of the answer leaves the others' locks alone. */
  #report({ queue, onAnswer }: Held): void {
    try {
      onAnswer();
    } catch (error) {
      this.#deps.logger.error(
        { err: error, queue: queueKey(queue), code: 'ROCKETMQ_INTERNAL' },
        'broker lock answer not handled',
      );
    }
  }

  async #ask(due: readonly Held[]): Promise<void> {
    const { client, clock, logger } = this.#deps;
    const sentAt = clock.now();
    try {
      const queues = due.map(({ queue }) => queue);
      const ours = new Set(
        (await client.lockQueues(this.#consumerGroup, this.#clientId, queues)).map(queueKey),
      );
      for (const held of due)
        held.state = lockAnswered(held.state, sentAt, clock.now(), ours.has(queueKey(held.queue)));
    } catch (error) {
      logger.warn(
        { err: error, queues: due.map(({ queue }) => queueKey(queue)) },
        'the broker locks could not be renewed: trying again soon',
      );
      for (const held of due) held.state = lockUnanswered(held.state, clock.now());
    }
    for (const held of due) this.#report(held);
  }
}
