import { offsetStory } from '../decide/offset/offset-story.ts';
import { ProcessQueue } from '../decide/process-queue/process-queue.ts';
import { ConnectionError } from '../errors.ts';
import type { MessageQueue } from '../model/message-queue.ts';
import type { Logger } from '../ports/logger.ts';
import type { CallOptions, RocketMQ } from '../ports/rocketmq.ts';

/**
 * Where a PullConsumer is in one queue: what was pulled and not yet passed, and what the broker has stored. It outlives the loops over the queue, so
 * that the next one goes on where the last one stopped.
 */
export class QueueCursor {
  readonly queue: MessageQueue;
  readonly messages: ProcessQueue;
  /** A loop reads the queue now. */
  busy = false;
  /** A loop has read it: its position is worth storing. */
  wasRead = false;
  /** A call to the broker failed for a broken connection since the last commit: it may have been restarted. */
  connectionBroke = false;
  readonly #group: string;
  readonly #client: RocketMQ;
  readonly #logger: Logger | undefined;
  /** The last offset that the broker confirmed; undefined: it has none. */
  #known: bigint | undefined;
  #sent: bigint | undefined;
  /** A commit was dropped for an operator's reset: the next pull tells where to. */
  #resetPending = false;
  #pull = new AbortController();
  #turn: Promise<unknown> = Promise.resolve();

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
    this.queue = place.queue;
    this.messages = new ProcessQueue(place.position);
    this.#known = place.stored;
    this.#group = deps.consumerGroup;
    this.#client = deps.client;
    this.#logger = deps.logger;
  }

  /** Ends a held pull when the position is dictated anew. */
  get pullSignal(): AbortSignal {
    return this.#pull.signal;
  }

  /** An operator's reset is under way: what is cached belongs to the time before it. */
  get resetPending(): boolean {
    return this.#resetPending;
  }

  /** Goes on at another offset; everything pulled before is forgotten. */
  seek(offset: bigint): void {
    this.messages.dropAll(offset);
    this.#interrupt();
  }

  /** The broker says where to go on. After an operator's reset it has stored that offset itself. */
  moved(offset: bigint, reset: boolean): void {
    this.messages.dropAll(offset);
    this.#resetPending = false;
    if (reset) this.#known = offset;
    this.#interrupt();
  }

  /** What was pulled and not passed is pulled again by the next loop. */
  forgetCached(): void {
    this.messages.dropAll(this.messages.committable);
  }

  /** The user stored an offset by himself. */
  async store(offset: bigint, options: CallOptions): Promise<{ resetPending: boolean }> {
    return this.#inTurn(async () => {
      const resetPending = !(await this.#write(offset, options));
      if (!this.busy && !resetPending) this.seek(offset);
      return { resetPending };
    });
  }

  /**
   * Stores what the loops have passed. An offset that somebody else stored meanwhile wins, as in the puller: the cursor goes on there.
   * @throws what the client throws
   */
  async commit(options: CallOptions): Promise<void> {
    await this.#inTurn(async () => {
      const { generation, committable } = this.messages;
      if (committable === this.#known || this.#resetPending) return;
      const stored = await this.#client.queryOffset(this.#group, this.queue, options);
      if (this.messages.generation !== generation) return;
      if (stored !== this.#known && !this.#review(stored)) return;
      await this.#write(this.messages.committable, options);
    });
  }

  /** False: somebody else moved the offset, and the cursor followed. */
  #review(stored: bigint | undefined): boolean {
    const story = offsetStory(stored, {
      known: this.#known ?? NONE,
      sent: this.#sent,
      connectionBroke: this.connectionBroke,
    });
    if (story.kind !== 'reset') return true;
    this.#logger?.warn(
      { queue: this.queue, known: String(this.#known), stored: String(stored) },
      'the stored offset was changed by somebody else: going on there',
    );
    this.#known = story.offset;
    this.seek(story.offset);
    return false;
  }

  async #write(offset: bigint, options: CallOptions): Promise<boolean> {
    this.#sent = offset;
    try {
      const { resetPending } = await this.#client.commitOffset(
        this.#group,
        this.queue,
        offset,
        options,
      );
      this.#sent = undefined;
      if (resetPending) {
        this.#resetPending = true;
        this.#interrupt();
        return false;
      }
      this.#known = offset;
      this.connectionBroke = false;
      return true;
    } catch (error) {
      if (error instanceof ConnectionError) this.connectionBroke = true;
      throw error;
    }
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => {});
    return turn;
  }

  #interrupt(): void {
    const interrupted = this.#pull;
    this.#pull = new AbortController();
    interrupted.abort(new Error('the position was dictated anew'));
  }
}

/** Less than every offset. */
const NONE = -1n;
