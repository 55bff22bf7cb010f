import { isolation, refreshCrash, suspect } from '../decide/crash/crash-record.ts';
import type { CrashRecord } from '../model/assignment.ts';

/** The deaths of earlier holders: which messages are delivered alone because of them, and what the next holder is to know. */
export class CrashKeeper {
  #record: CrashRecord | undefined;
  /** Messages that are delivered alone now: one, or none. */
  #isolated = 0;
  readonly #span: number;
  readonly #fence: number;

  /**
   * @param record as it stands for where this holder begins
   * @param span how far beyond the committed offset messages may be in flight
   * @param fence of this holder
   */
  constructor(record: CrashRecord | undefined, span: number, fence: number) {
    this.#record = record;
    this.#span = span;
    this.#fence = fence;
  }

  get record(): CrashRecord | undefined {
    return this.#record;
  }

  /** How to deliver the message at an offset. */
  isolation(offset: bigint): ReturnType<typeof isolation> {
    return isolation(this.#record, offset);
  }

  /** A message is delivered alone now: nothing else is delivered beside it. */
  get isIsolating(): boolean {
    return this.#isolated > 0;
  }

  /** Delivers one message alone, so that a death can only be its own. */
  async deliverAlone<Result>(deliver: () => Promise<Result>): Promise<Result> {
    this.#isolated++;
    try {
      return await deliver();
    } finally {
      this.#isolated--;
    }
  }

  /** The single message at the offset is about to be delivered. */
  suspect(offset: bigint): void {
    if (this.#record !== undefined) this.#record = suspect(this.#record, offset, this.#fence);
  }

  /**
   * The delivery of the message ended, and its holder lives: a later death is not the message's.
   * True: it was the suspect, and the table is to have that before others are delivered.
   */
  survived(offset: bigint): boolean {
    if (this.#record?.suspect !== offset) return false;
    this.#record = { ...this.#record, suspectedBy: 0 };
    return true;
  }

  /** The message has its end. True: it was the suspect, and the messages behind it are delivered as always. */
  passSuspect(offset: bigint): boolean {
    if (this.#record?.suspect !== offset) return false;
    this.#record = { ...this.#record, count: 0, isolateUntil: offset };
    return true;
  }

  /** The queue goes on at another offset. */
  restart(at: bigint): void {
    this.#record = refreshCrash(this.#record, at, this.#span);
  }

  /** The record to store while the queue is held; undefined: the holder has come past the deaths. */
  current(committed: bigint): CrashRecord | undefined {
    const record = this.#record;
    if (record === undefined) return undefined;
    const isPast =
      !this.isIsolating && committed > record.offset && committed >= record.isolateUntil;
    return isPast ? undefined : record;
  }

  /** The table has no record any more. @param record as it was when that was written */
  forget(record: CrashRecord | undefined): void {
    if (this.#record === record) this.#record = undefined;
  }

  /**
   * The record to leave behind; undefined: none is needed. A suspect that this holder had no time to
   * deliver, or whose delivery did not end, stays the suspect: its deaths go on to count, or it would
   * kill pullers without end.
   * @param outcome waits: nothing was delivered, because an order waits for functions of earlier
   * holders; unreachable: the broker gave nothing, so the deaths are neither repeated nor refuted
   */
  left(
    committed: bigint,
    outcome: { readonly waits: boolean; readonly unreachable: boolean },
  ): CrashRecord | undefined {
    if (this.#record === undefined) return undefined;
    const { suspect: suspected, suspectedBy, ...record } = this.#record;
    const { offset, isolateUntil } = record;
    const isUnproven = outcome.unreachable && committed <= offset;
    if (!(outcome.waits || isUnproven || isolateUntil > committed)) return undefined;
    const isProven = suspected === undefined || suspected < committed || suspectedBy === 0;
    return isProven ? record : this.#record;
  }
}
