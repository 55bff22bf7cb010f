import type { RemotingCommand } from '../remoting/command.ts';

/** A request as a control sees it, before the server does. */
export interface ControlledRequest {
  /** "PULL_MESSAGE"; "request 999" when the code has no name. */
  readonly name: string;
  readonly code: number;
  /** Name of the broker that got it, or "name-server". */
  readonly server: string;
  readonly remoteAddress: string;
  readonly command: RemotingCommand;
}

/**
 * What a control wants:
 * - nothing (undefined): the request goes on, so a control may observe, or delay and hold it by answering later;
 * - `drop`: the server never sees it and nothing is answered;
 * - `lose-answer`: the server carries it out, but its answer is lost;
 * - `disconnect`: the connection is closed and the server never sees it;
 * - an answer with a code: the client gets this instead.
 */
export type ControlDecision =
  | undefined
  | void
  | 'drop'
  | 'lose-answer'
  | 'disconnect'
  | {
      readonly code: number;
      readonly remark?: string;
      readonly extFields?: Readonly<Record<string, string>>;
      readonly body?: Buffer;
    };

export type Control = (request: ControlledRequest) => ControlDecision | Promise<ControlDecision>;

export interface ControlOptions {
  /** How many requests it takes before it removes itself: 1 by default, Infinity to keep it. */
  readonly times?: number;
  /** Only requests to this broker (or "name-server"). */
  readonly server?: string;
}

/** A control that is in place. */
export interface ControlHandle {
  /** Requests that it has taken so far. */
  readonly calls: number;
  remove(): void;
  [Symbol.dispose](): void;
}

export interface Controls {
  readonly add: (key: string | number, control: Control, options?: ControlOptions) => ControlHandle;
  /** The control that takes this request, if any; the latest added wins. Counts the call. */
  take(name: string, code: number, server: string): Control | undefined;
}

/** The hooks that tests put in front of the servers. `key` is a request's name, its code, or "*" for all. */
export function createControls(): Controls {
  let entries: {
    key: string | number;
    control: Control;
    options: ControlOptions;
    calls: number;
  }[] = [];

  return {
    add(key, control, options = {}) {
      const entry = { key, control, options, calls: 0 };
      entries = [entry, ...entries];
      const remove = () => {
        entries = entries.filter((other) => other !== entry);
      };
      return {
        get calls() {
          return entry.calls;
        },
        remove,
        [Symbol.dispose]: remove,
      };
    },
    take(name, code, server) {
      const entry = entries.find(
        ({ key, options }) =>
          (key === '*' || key === name || key === code) && (options.server ?? server) === server,
      );
      if (entry === undefined) return undefined;
      entry.calls++;
      if (entry.calls >= (entry.options.times ?? 1))
        entries = entries.filter((other) => other !== entry);
      return entry.control;
    },
  };
}
