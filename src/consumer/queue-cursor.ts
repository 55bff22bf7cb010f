import { ProcessQueue } from '../decide/process-queue/process-queue.ts';
import type { MessageQueue } from '../model/message-queue.ts';
import type { Logger } from '../ports/logger.ts';
import type { CallOptions, RocketMQ } from '../ports/rocketmq.ts';
import { OffsetKeeper } from '../queue/offset-keeper.ts';
import type { OffsetAction } from '../queue/offset-tracker.ts';

/**
 * Where a PullConsumer is in one queue: what was pulled and not yet passed, and what the broker has
 * stored. It outlives the loops over the queue, so that the next one goes on where the last one stopped.
 */
export class QueueCursor {
  readonly queue: MessageQueue;
  readonly messages: ProcessQueue;
  readonly offsets: OffsetKeeper;
  readonly #logger: Logger | undefined;
  #busy = false;
  #wasRead = false;
  #pull = new AbortController();

  constructor(
    place: {
      readonly queue: MessageQueue;
      readonly position: bigint;
      readonly stored: bigint | undefined;
    },
    deps: {
      readonly consumerGroup: string;
      readonly client: RocketMQ;
      readonly logger?: Logger | undefined;
    },
  ) {
    const { client, consumerGroup, logger } = deps;
    this.queue = place.queue;
    this.messages = new ProcessQueue(place.position);
    this.#logger = logger;
    this.offsets = new OffsetKeeper(place.stored, {
      store: {
        read: (options) => client.queryOffset(consumerGroup, this.queue, options),
        write: (offset, options) => client.commitOffset(consumerGroup, this.queue, offset, options),
      },
      committable: () => this.messages.committable,
      perform: (action) => this.#perform(action),
    });
  }

  /** A loop reads the queue now. */
  get busy(): boolean {
    return this.#busy;
  }

  /** A loop has read it: its position is worth storing. */
  get wasRead(): boolean {
    return this.#wasRead;
  }

  /** Aborts a held pull when the position is dictated. */
  get pullSignal(): AbortSignal {
    return this.#pull.signal;
  }

  startReading(): void {
    this.#busy = true;
    this.#wasRead = true;
  }

  /** What was pulled and not passed is pulled again by the next loop. */
  stopReading(): void {
    this.messages.dropAll(this.messages.committable);
    this.#busy = false;
  }

  /** Stores an offset of the user's. Without a loop it is the position, too. */
  async store(offset: bigint, options: CallOptions): Promise<{ resetPending: boolean }> {
    await this.offsets.store(offset, options);
    const { resetPending } = this.offsets;
    if (!this.#busy && !resetPending) this.messages.dropAll(offset);
    return { resetPending };
  }

  /**
   * Stores what the loops have passed. An offset that somebody else stored meanwhile wins, as in the
   * puller: the cursor goes on there.
   * @throws what the client throws
   */
  async commit(options: CallOptions): Promise<void> {
    await this.offsets.commit(options);
  }

  #perform(action: Exclude<OffsetAction, { type: 'read' | 'write' }>): void {
    switch (action.type) {
      case 'restart':
        this.messages.dropAll(action.at);
        this.#interrupt();
        break;
      case 'pull-from-master':
        this.#interrupt();
        break;
      case 'report':
        if (action.finding.kind === 'committed') break;
        this.#logger?.warn(
          { queue: this.queue, code: 'ROCKETMQ_OFFSET_CHANGED', ...printable(action.finding) },
          'stored offset differs from the last confirmed one',
        );
    }
  }

  #interrupt(): void {
    const interrupted = this.#pull;
    this.#pull = new AbortController();
    interrupted.abort(new Error('the position was dictated anew'));
  }
}

function printable(finding: object): object {
  return Object.fromEntries(
    Object.entries(finding).map(([name, value]) => [
      name,
      typeof value === 'bigint' ? String(value) : value,
    ]),
  );
}
