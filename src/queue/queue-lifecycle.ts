import { type DrainReason, STOP_REASONS } from './stop-reasons.ts';

/**
 * From the acquisition of a queue to its release. A pure state machine.
 * ```
 *   running ── stop ──▶ draining ── lease-lost ──▶ lost
 *      └────────────── lease-lost ────────────────▲
 * ```
 * Draining: nothing new is pulled and no new batch begun, what is in flight may finish. Lost: every
 * request is aborted, nothing is committed or sent back.
 */
export type LifecycleState =
  | { readonly phase: 'running'; readonly handlersAborted: boolean }
  | {
      readonly phase: 'draining';
      /** The first one: it is reported and decides what is flushed and unlocked. */
      readonly reason: DrainReason;
      /** Whether popped messages are still delivered. Any reason after the first one can end it. */
      readonly deliverPopped: boolean;
      readonly handlersAborted: boolean;
    }
  | { readonly phase: 'lost'; readonly takenOver: boolean };

export type LifecycleEvent =
  | { readonly type: 'stop'; readonly reason: Exclude<DrainReason, 'lease-lost'> }
  /** Handlers are not waited for any longer: the rest of the time is needed to commit and release. */
  | { readonly type: 'abort-handlers' }
  /** `takenOver`: somebody else holds the queue; otherwise the lease could not be renewed in time. */
  | { readonly type: 'lease-lost'; readonly takenOver: boolean };

/**
 * - pull: a held pull;
 * - backoff: waits between attempts;
 * - handlers: handler calls;
 * - requests: every other request in flight.
 */
export type Abortable = 'pull' | 'backoff' | 'handlers' | 'requests';

export type LifecycleAction =
  | { readonly type: 'abort'; readonly what: readonly Abortable[] }
  | { readonly type: 'log'; readonly reason: DrainReason };

export interface LifecycleStep {
  readonly state: LifecycleState;
  readonly actions: readonly LifecycleAction[];
}

export const RUNNING: LifecycleState = { phase: 'running', handlersAborted: false };

export function stepLifecycle(state: LifecycleState, event: LifecycleEvent): LifecycleStep {
  if (state.phase === 'lost') return { state, actions: [] };
  switch (event.type) {
    case 'stop':
      return stop(state, event.reason);
    case 'abort-handlers':
      return state.handlersAborted
        ? { state, actions: [] }
        : {
            state: { ...state, handlersAborted: true },
            actions: [{ type: 'abort', what: ['handlers'] }],
          };
    case 'lease-lost':
      return {
        state: { phase: 'lost', takenOver: event.takenOver },
        actions: [
          { type: 'log', reason: 'lease-lost' },
          { type: 'abort', what: ['requests', 'handlers', 'pull', 'backoff'] },
        ],
      };
  }
}

function stop(
  state: Exclude<LifecycleState, { phase: 'lost' }>,
  reason: Exclude<DrainReason, 'lease-lost'>,
): LifecycleStep {
  const { deliverPopped } = STOP_REASONS[reason];
  if (state.phase === 'draining')
    return {
      state: { ...state, deliverPopped: state.deliverPopped && deliverPopped },
      actions: [],
    };
  return {
    state: { phase: 'draining', reason, deliverPopped, handlersAborted: state.handlersAborted },
    actions: [
      { type: 'log', reason },
      { type: 'abort', what: ['pull', 'backoff'] },
    ],
  };
}

/** Why the queue ends; undefined: it does not. */
export function endingOf(state: LifecycleState): DrainReason | undefined {
  switch (state.phase) {
    case 'running':
      return undefined;
    case 'draining':
      return state.reason;
    case 'lost':
      return 'lease-lost';
  }
}
