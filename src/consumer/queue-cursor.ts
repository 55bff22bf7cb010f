import { ProcessQueue } from '../decide/process-queue/process-queue.ts';
import type { QueueMemory } from '../decide/pull/memory-budget.ts';
import type { LifeMark } from '../model/assignment.ts';
import type { MessageQueue } from '../model/message-queue.ts';
import type { Clock } from '../ports/clock.ts';
import type { Logger } from '../ports/logger.ts';
import type { CallOptions, RocketMQ } from '../ports/rocketmq.ts';
import { brokerStartedAt } from '../queue/broker-start.ts';
import { OffsetKeeper } from '../queue/offset-keeper.ts';
import type { OffsetAction } from '../queue/offset-tracker.ts';
import { printable } from '../queue/printable.ts';
import type { PullPosition } from '../queue/pull-ports.ts';
import { QueueLife } from '../queue/queue-life.ts';

/** Where a group begins in a queue. */
export interface CursorStart {
  readonly queue: MessageQueue;
  readonly position: bigint;
  /** The group's offset, as the broker has it; undefined: it has none. */
  readonly stored: bigint | undefined;
  readonly lifeMark: LifeMark | undefined;
}

/** What a loop lends to the cursor that it reads. */
interface CursorReader {
  /** Of the answers in hand. */
  readonly memory: QueueMemory;
  /** Aborts a held pull, because the position was changed. */
  interruptPull(): void;
}

/**
 * Where a PullConsumer is in one queue: what was pulled and not yet passed, and what the broker has
 * stored. It outlives the loops over the queue, so that the next one goes on where the last one stopped.
 */
export class QueueCursor {
  readonly queue: MessageQueue;
  readonly messages: ProcessQueue;
  readonly offsets: OffsetKeeper;
  readonly position: PullPosition;
  readonly life: QueueLife;
  readonly #logger: Logger;
  #reader: CursorReader | undefined;
  #wasRead = false;

  constructor(
    { queue, position, stored, lifeMark }: CursorStart,
    deps: {
      readonly consumerGroup: string;
      readonly client: Pick<RocketMQ, 'queryOffset' | 'commitOffset' | 'brokerInfo'>;
      readonly clock: Pick<Clock, 'now'>;
      readonly logger: Logger;
    },
  ) {
    const { client, clock, consumerGroup, logger } = deps;
    this.queue = queue;
    this.messages = new ProcessQueue(position, undefined, (bytes) =>
      this.#reader?.memory.note(bytes),
    );
    this.#logger = logger;
    this.offsets = new OffsetKeeper(stored, {
      store: {
        read: (options) => client.queryOffset(consumerGroup, this.queue, options),
        write: (offset, options) => client.commitOffset(consumerGroup, this.queue, offset, options),
        startedAt: (options) => brokerStartedAt(client, clock, queue.brokerName, options),
      },
      now: () => clock.now(),
      committable: () => this.messages.committable,
      perform: (action) => this.#perform(action),
    });
    // A stored offset that is not valid any more is written over, though the new one is lower.
    if (stored !== undefined && stored !== position) this.offsets.rewind(position);
    this.position = positionOf(this.offsets);
    this.life = new QueueLife(lifeMark);
  }

  /** A loop reads the queue now. */
  get busy(): boolean {
    return this.#reader !== undefined;
  }

  /** A loop has read it: its position is worth storing. */
  get wasRead(): boolean {
    return this.#wasRead;
  }

  startReading(reader: CursorReader): void {
    this.#reader = reader;
    this.#wasRead = true;
  }

  /** What was pulled and not passed is pulled again by the next loop. */
  stopReading(): void {
    this.messages.dropAll(this.messages.committable);
    this.#reader?.memory.close();
    this.#reader = undefined;
  }

  /** Stores an offset of the user's. Without a loop it is the position, too. */
  async store(offset: bigint, options: CallOptions): Promise<{ resetPending: boolean }> {
    await this.offsets.store(offset, options);
    const { resetPending } = this.offsets;
    if (!this.busy && !resetPending) this.messages.dropAll(offset);
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
        this.#reader?.interruptPull();
        break;
      case 'pull-from-master':
        this.#reader?.interruptPull();
        break;
      case 'report':
        if (action.finding.kind === 'committed' || action.finding.kind === 'committed-again') break;
        this.#logger.warn(
          { queue: this.queue, code: 'ROCKETMQ_OFFSET_CHANGED', ...printable(action.finding) },
          'stored offset differs from the last confirmed one',
        );
    }
  }
}

/** Nothing is stored but by commits of the user's. */
function positionOf(offsets: OffsetKeeper): PullPosition {
  return {
    get resetPending() {
      return offsets.resetPending;
    },
    moveTo: async (offset, reset) => offsets.moved(offset, reset),
    resolveReset: () => offsets.resolveReset(),
    connectionLost: () => offsets.connectionLost(),
  };
}
