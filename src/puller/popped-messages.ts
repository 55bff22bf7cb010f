import { isOurs, prolongDue } from '../decide/pop/invisible-time.ts';
import type { ProcessQueue, QueueEntry } from '../decide/process-queue/process-queue.ts';
import { answerCost, entryCost } from '../decide/pull/memory-costs.ts';
import { inWindow } from '../flow/in-window.ts';
import { CutMap } from '../model/cut-map.ts';
import type { MessageQueue } from '../model/message-queue.ts';
import type { PopHandle, PoppedMessage, PoppedUndecodable } from '../model/pop.ts';
import type { SourceConfig } from '../model/source.ts';
import type { Logger } from '../ports/logger.ts';
import type { LifecycleKeeper } from '../queue/lifecycle-keeper.ts';
import type { HeldLease } from './held-lease.ts';
import type { PullerDeps, PullerOptions } from './puller-deps.ts';

interface PoppedParts extends Pick<PullerDeps, 'client' | 'clock'> {
  readonly options: Pick<PullerOptions, 'popInvisibleMs'>;
  readonly source: Pick<SourceConfig, 'consumerGroup'>;
  readonly queue: MessageQueue;
  readonly messages: Pick<ProcessQueue, 'append'>;
  readonly logger: Logger;
  readonly lifecycle: Pick<LifecycleKeeper, 'isLost' | 'signal'>;
  readonly lease: Pick<HeldLease, 'mayAct'>;
}

/** A record in hand. The messages of an inner batch share one. */
interface Popped {
  handle: PopHandle;
  /** Its messages that have no end yet. */
  left: number;
  /** One of its messages is left to its time, so the record must not be acknowledged. */
  forgotten: boolean;
  /** False: the broker cannot bring its messages back. */
  readonly revivable: boolean;
  /** Epoch ms of our clock: from then on somebody else may get it. */
  visibleAt: number;
  /** One call about a message at a time: each change of the time makes the handle before it worthless. */
  turn: Promise<unknown>;
  /** Epoch ms: not to be prolonged before. */
  prolongFrom: number;
}

/** What a popped record takes of its answer. */
export function memoryOf(record: PoppedMessage | PoppedUndecodable): number {
  if (!('message' in record)) return entryCost();
  const { message } = record;
  return answerCost(message.storeSize, [message]);
}

/** A call that failed is made again after this. */
const PROLONG_AGAIN_MS = 2_000;
/** Calls to the broker in parallel when the time of many messages is prolonged. */
const PROLONG_WINDOW = 16;

/** What the broker lent to this puller: the handles of the entries in the process queue. Mirrors PopProcessQueue. */
export class PoppedMessages {
  readonly #parts: PoppedParts;
  /** By the entry's place in the process queue. */
  readonly #popped = new CutMap<bigint, Popped>();
  #prolonging = false;

  constructor(parts: PoppedParts) {
    this.#parts = parts;
  }

  /** @param sentAt when the pop was sent, so that the time is never thought longer than it is; epoch ms */
  put(popped: readonly (PoppedMessage | PoppedUndecodable)[], sentAt: number): void {
    const { messages } = this.#parts;
    // Bodies are views of the answer, which is held until the last of its messages has its end.
    const bytes = popped.reduce((sum, record) => sum + memoryOf(record), 0);
    const answer = { bytes, left: 0 };
    const records = new Map<PopHandle, Popped>();
    for (const one of popped) {
      const { handle } = one;
      const record = records.get(handle) ?? {
        handle,
        left: 0,
        forgotten: false,
        revivable: !('unrevivable' in one && one.unrevivable === 'inner-batch'),
        visibleAt: sentAt + Number(handle.invisibleTime),
        turn: Promise.resolve(),
        prolongFrom: 0,
      };
      record.left++;
      records.set(handle, record);
      this.#popped.set(messages.append(one, sentAt, answer), record);
    }
  }

  /** Can the broker bring the message back? */
  isRevivable({ offset }: QueueEntry): boolean {
    return this.#popped.get(offset)?.revivable ?? true;
  }

  /** Does the message still belong to this puller? What the broker cannot bring back belongs to it until its end. */
  isOurs({ offset }: QueueEntry): boolean {
    const popped = this.#popped.get(offset);
    if (popped === undefined) return false;
    return !popped.revivable || isOurs(popped.visibleAt, this.#parts.clock.now());
  }

  /**
   * Gives the message its end at the broker, with the handle that is valid then; it is not prolonged afterwards.
   * Of several messages of one record the last one calls, because the broker knows records only.
   * @returns false: its time is over. A call to prolong it that was under way has been waited for
   */
  async finish(entry: QueueEntry, call: (handle: PopHandle) => Promise<unknown>): Promise<boolean> {
    const popped = this.#popped.get(entry.offset);
    if (popped === undefined) return false;
    const turn = popped.turn.then(async () => {
      if (!this.isOurs(entry)) return false;
      if (popped.left === 1 && !popped.forgotten) await call(popped.handle);
      if (this.#popped.delete(entry.offset)) popped.left--;
      return true;
    });
    popped.turn = turn.catch(() => {});
    return turn;
  }

  /** Leaves the message to its time: it comes again when that is over. */
  forget({ offset }: QueueEntry): void {
    const popped = this.#popped.get(offset);
    if (popped === undefined) return;
    popped.forgotten = true;
    popped.left--;
    this.#popped.delete(offset);
  }

  /** Begins to prolong what is at its half, unless that is under way. A failure is tried again soon; what is over by then comes again from the broker. */
  prolong(): void {
    if (this.#prolonging) return;
    this.#prolonging = true;
    this.#prolongAll()
      .finally(() => {
        this.#prolonging = false;
      })
      .catch((error: unknown) =>
        this.#parts.logger.error(
          { err: error, code: 'ROCKETMQ_INTERNAL' },
          'popped messages not prolonged, trying again',
        ),
      );
  }

  async #prolongAll(): Promise<void> {
    const { clock, options } = this.#parts;
    const now = clock.now();
    const due = [...new Set(this.#popped.values())].filter(
      ({ visibleAt, prolongFrom }) =>
        prolongFrom <= now && prolongDue(visibleAt, now, options.popInvisibleMs),
    );
    await inWindow(due, (one) => this.#prolongOne(one), PROLONG_WINDOW);
  }

  async #prolongOne(popped: Popped): Promise<void> {
    const { client, clock, options, source, queue, logger, lifecycle, lease } = this.#parts;
    const invisibleMs = options.popInvisibleMs;
    const turn = popped.turn.then(async () => {
      // It may have got its end meanwhile.
      if (popped.left === 0 || !lease.mayAct()) return;
      const sentAt = clock.now();
      const signal = lifecycle.signal('requests');
      popped.handle = await client.changeInvisibleTime(
        source.consumerGroup,
        queue.topic,
        popped.handle,
        invisibleMs,
        { signal },
      );
      popped.visibleAt = sentAt + invisibleMs;
    });
    popped.turn = turn.catch((error: unknown) => {
      popped.prolongFrom = clock.now() + PROLONG_AGAIN_MS;
      if (!lifecycle.isLost)
        logger.warn({ err: error }, 'the invisible time of a message could not be prolonged');
    });
    await popped.turn;
  }
}
