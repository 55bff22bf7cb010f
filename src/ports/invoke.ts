import { MAX_CLOCK_SKEW_MS } from '../model/clock-skew.ts';
import type { MessageQueue } from '../model/message-queue.ts';

/** What the coordinator hands to a puller invocation (asynchronous Lambda payload, far below 256 KB). */
export interface PullerRequest {
  readonly cluster: string;
  readonly consumerGroup: string;
  readonly slot: number;
  /**
   * The slot itself is to be held, as a member of its group beside others (`coexist`). It finds its
   * queues itself.
   */
  readonly asMember?: true;
  /** The queues to work: those of the slot that need a holder. */
  readonly queues: readonly MessageQueue[];
  /**
   * Epoch ms, by the coordinator's clock: an invocation that starts later, by more than clocks may
   * differ, returns at once (asynchronous invocations may arrive hours late). Absent: it has started
   * in time.
   */
  readonly notAfter?: number;
}

export function isTooLate({ notAfter }: PullerRequest, now: number): boolean {
  return notAfter !== undefined && now > notAfter + MAX_CLOCK_SKEW_MS;
}

export interface PullerInvoker {
  invoke(request: PullerRequest): Promise<void>;
}

/** How a handler call ended. Only `answered` and `failed` are verdicts; the rest leaves the messages unfinished. */
export type HandlerOutcome =
  | { readonly kind: 'answered'; readonly answer: unknown }
  /** The handler threw, timed out or killed its process. */
  | { readonly kind: 'failed'; readonly errorType: string; readonly errorMessage: string }
  /** Throttled, service error, lost network: try again with back-off, nothing was decided. */
  /** `mayRun`: the call may have reached the function, which may still be at work with it. */
  | { readonly kind: 'unavailable'; readonly error: Error; readonly mayRun?: boolean }
  /** This event is larger than the function takes. It was not called. Smaller events may go through. */
  | { readonly kind: 'too-large'; readonly error: Error }
  /** Cannot succeed by repetition: function missing, access denied. */
  | { readonly kind: 'misconfigured'; readonly error: Error };

/** One event for a handler, in the form that its invocation needs. */
export interface BatchPayload {
  /** The event as JSON text. */
  json(): string;
  /** X-Ray's header that the invocation goes on with. Absent: none of the messages'. */
  readonly traceHeader?: string | undefined;
  /** The event itself, in the shape of its `eventFormat`. */
  event(): unknown;
}

export interface MessageHandler {
  /** Delivers one event. Never throws, except the signal's reason. */
  invoke(
    payload: BatchPayload,
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ): Promise<HandlerOutcome>;
}
