import { ConnectionError } from '../errors.ts';
import type { CallOptions } from '../ports/rocketmq.ts';
import {
  followingFrom,
  isCommitDue,
  type OffsetAction,
  type OffsetEvent,
  type OffsetState,
  step,
} from './offset-tracker.ts';

/** Where a group's offset of one queue is stored. Mirrors OffsetStore. */
export interface OffsetStore {
  /** undefined: the group has none. @throws what the client throws */
  read(options: CallOptions): Promise<bigint | undefined>;
  /** `resetPending`: it was not stored, because an operator's reset waits for the next pull. @throws what the client throws */
  write(offset: bigint, options: CallOptions): Promise<{ readonly resetPending: boolean }>;
  /**
   * Earliest time at which the store may have been started, epoch ms; undefined: not known. Absent:
   * a restart loses nothing that was confirmed.
   */
  startedAt?(options: CallOptions): Promise<number | undefined>;
}

export interface OffsetKeeperDeps {
  readonly store: OffsetStore;
  /** The lowest unfinished offset of the queue. */
  readonly committable: () => bigint;
  /** Whatever is not a request to the store. */
  readonly perform: (action: Exclude<OffsetAction, { type: 'read' | 'write' }>) => void;
  /** May the store be written now? Without it a commit ends before its write. */
  readonly mayWrite?: () => boolean;
  /** Epoch ms. Without it no confirmation has a time. */
  readonly now?: () => number;
}

/** Carries out what the offset tracker decides: one request at a time, its answer is the next event. */
export class OffsetKeeper {
  readonly #deps: OffsetKeeperDeps;
  #state: OffsetState;
  #underWay: Promise<void> | undefined;
  #confirmedAt: number | undefined;
  /** The last request to the store failed. */
  #isFailing = false;

  /** @param stored the offset that the broker has; undefined: it has none */
  constructor(stored: bigint | undefined, deps: OffsetKeeperDeps) {
    this.#state = followingFrom(stored);
    this.#deps = deps;
    this.#confirmedAt = deps.now?.();
  }

  /** The last offset that the broker confirmed. */
  get confirmed(): bigint | undefined {
    return this.#state.confirmed;
  }

  /** When the broker was known to have it last, epoch ms. */
  get confirmedAt(): number | undefined {
    return this.#confirmedAt;
  }

  /** Everything below it is settled, but the last request failed; undefined: there is nothing of the kind. */
  get notCommitted(): bigint | undefined {
    const committable = this.#deps.committable();
    const { position, confirmed } = this.#state;
    return this.#isFailing &&
      position === 'following' &&
      confirmed !== undefined &&
      committable > confirmed
      ? committable
      : undefined;
  }

  /** An operator's reset waits for the next pull: nothing is delivered before. */
  get resetPending(): boolean {
    return this.#state.position === 'reset-pending';
  }

  /** A request about the stored offset has no answer yet. */
  get isUnderWay(): boolean {
    return this.#underWay !== undefined;
  }

  get isCommitDue(): boolean {
    return isCommitDue(this.#state, this.#deps.committable());
  }

  /** Stores what is settled, or follows the offset that somebody else stored. @throws what the store throws */
  commit(options: CallOptions = {}): Promise<void> {
    const due = () => ({ type: 'commit-due', committable: this.#deps.committable() }) as const;
    return this.#request(due, options);
  }

  /** Follows the offset that somebody else stored. @throws what the store throws */
  check(options: CallOptions = {}): Promise<void> {
    return this.#request(() => ({ type: 'check-due' }), options);
  }

  /** A pull came back and did not say where the reset went that it was to report. @throws what the store throws */
  resolveReset(options: CallOptions = {}): Promise<void> {
    return this.#request(() => ({ type: 'reset-unresolved' }), options);
  }

  /** Stores an offset of the user's. Afterwards `resetPending` says whether it was dropped. @throws what the store throws */
  store(offset: bigint, options: CallOptions = {}): Promise<void> {
    return this.#request(() => ({ type: 'store', offset }), options);
  }

  /** A pull was answered with another offset. @param reset an operator's, which the broker has stored itself */
  moved(to: bigint, reset: boolean): void {
    this.#dispatch({ type: 'moved', to, reset });
  }

  /** Goes on at another offset; it is stored with the next commit. */
  rewind(to: bigint): void {
    this.#dispatch({ type: 'rewind', to });
  }

  /** Some other request failed with its connection: the broker may have been restarted. */
  connectionLost(): void {
    this.#dispatch({ type: 'connection-lost' });
  }

  async #request(event: () => OffsetEvent, options: CallOptions): Promise<void> {
    while (this.#underWay !== undefined) await this.#underWay.catch(() => {});
    const work = this.#answer(this.#dispatch(event()), options);
    this.#underWay = work;
    try {
      await work;
    } finally {
      if (this.#underWay === work) this.#underWay = undefined;
    }
  }

  /** Carries out requests until an answer leads to none. */
  async #answer(first: StoreAction | undefined, options: CallOptions): Promise<void> {
    for (let action = first; action !== undefined; ) {
      const sentAt = this.#deps.now?.();
      let event: OffsetEvent;
      try {
        event = await this.#carryOut(action, options);
      } catch (error) {
        this.#isFailing = true;
        const connectionLost = error instanceof ConnectionError;
        this.#dispatch({ type: 'request-failed', connectionLost });
        throw error;
      }
      this.#isFailing = false;
      const offset = event.type === 'stored' ? event.offset : undefined;
      const arrived = action.type === 'write' && event.type === 'written' ? action.offset : offset;
      action = this.#dispatch(event);
      if (arrived !== undefined && arrived === this.#state.confirmed) this.#confirmedAt = sentAt;
    }
  }

  async #carryOut(action: StoreAction, options: CallOptions): Promise<OffsetEvent> {
    const { store, committable, mayWrite } = this.#deps;
    if (action.type === 'read') {
      const offset = await store.read(options);
      if (await this.#wasRestarted(offset, options)) this.connectionLost();
      return { type: 'stored', offset, committable: committable() };
    }
    if (mayWrite?.() === false) return { type: 'request-failed', connectionLost: false };
    const { resetPending } = await store.write(action.offset, options);
    return { type: resetPending ? 'write-dropped' : 'written' };
  }

  /**
   * Was the store started after the last confirmation? A connection that breaks is not always seen: a
   * read that is repeated over a new one does not fail, and a process that stood still meanwhile had
   * no request under way. It is asked for only where the stored offset is below the confirmed one.
   */
  async #wasRestarted(stored: bigint | undefined, options: CallOptions): Promise<boolean> {
    const { confirmed, connectionLost, position } = this.#state;
    const confirmedAt = this.#confirmedAt;
    if (connectionLost || position === 'reset-pending' || confirmedAt === undefined) return false;
    if (stored === undefined || confirmed === undefined || stored >= confirmed) return false;
    const startedAt = await this.#deps.store.startedAt?.(options);
    return startedAt !== undefined && startedAt > confirmedAt;
  }

  /** Performs what needs no answer. Returns the request to the store, if there is one: it is the last action. */
  #dispatch(event: OffsetEvent): StoreAction | undefined {
    const { state, actions } = step(this.#state, event);
    this.#state = state;
    let request: StoreAction | undefined;
    for (const action of actions) {
      if (action.type === 'read' || action.type === 'write') request = action;
      else this.#deps.perform(action);
    }
    return request;
  }
}

type StoreAction = Extract<OffsetAction, { type: 'read' | 'write' }>;
