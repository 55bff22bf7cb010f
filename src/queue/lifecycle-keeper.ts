import {
  type Abortable,
  endingOf,
  type LifecycleEvent,
  type LifecycleState,
  RUNNING,
  stepLifecycle,
} from './queue-lifecycle.ts';
import { type DrainReason, stopPolicy } from './stop-reasons.ts';

/** Reason of the signals: the request was ended by its queue, it did not fail. */
export class RequestAbortedError extends Error {
  constructor(why: string) {
    super(`request aborted: ${why}`);
    this.name = 'RequestAbortedError';
  }
}

export interface LifecycleKeeperDeps {
  readonly log: (level: 'info' | 'warn' | 'error', fields: object, message: string) => void;
  /** After every change of the state. */
  readonly onChange: () => void;
}

/** Carries out what the lifecycle decides: it owns the signals that end what is in flight. */
export class LifecycleKeeper {
  readonly #deps: LifecycleKeeperDeps;
  readonly #controllers: Record<Abortable, AbortController> = {
    pull: new AbortController(),
    backoff: new AbortController(),
    handlers: new AbortController(),
    requests: new AbortController(),
  };
  #state: LifecycleState = RUNNING;

  constructor(deps: LifecycleKeeperDeps) {
    this.#deps = deps;
  }

  get state(): LifecycleState {
    return this.#state;
  }

  /** Why the queue ends; undefined: it does not. */
  get ending(): DrainReason | undefined {
    return endingOf(this.#state);
  }

  get isLost(): boolean {
    return this.#state.phase === 'lost';
  }

  /** The signal that aborts these requests. The one of the pull is another one after `interruptPull`. */
  signal(what: Abortable): AbortSignal {
    return this.#controllers[what].signal;
  }

  stop(reason: Exclude<DrainReason, 'lease-lost'>, fields: object = {}): void {
    this.#dispatch({ type: 'stop', reason }, fields);
  }

  abortHandlers(): void {
    this.#dispatch({ type: 'abort-handlers' }, {});
  }

  loseLease(takenOver: boolean, fields: object = {}): void {
    this.#dispatch({ type: 'lease-lost', takenOver }, fields);
  }

  /** Ends a held pull, so that its loop looks again; the next pull has a signal of its own. */
  interruptPull(): void {
    if (this.#state.phase !== 'running') return;
    const interrupted = this.#controllers.pull;
    this.#controllers.pull = new AbortController();
    interrupted.abort(new RequestAbortedError('the position was changed'));
  }

  #dispatch(event: LifecycleEvent, fields: object): void {
    const { state, actions } = stepLifecycle(this.#state, event);
    if (state === this.#state) return;
    this.#state = state;
    for (const action of actions) {
      if (action.type === 'log') {
        const { level, message } = stopPolicy(action.reason);
        this.#deps.log(level, { reason: action.reason, ...fields }, message);
      } else
        for (const what of action.what)
          this.#controllers[what].abort(new RequestAbortedError(this.ending ?? 'invocation ends'));
    }
    this.#deps.onChange();
  }
}
