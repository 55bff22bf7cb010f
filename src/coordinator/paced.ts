import { type AtMost, atMost } from '../flow/at-most.ts';
import type { AssignmentStore } from '../ports/assignment-store.ts';
import type { RocketMQ } from '../ports/rocketmq.ts';

/** Writes and reads of the table at once. */
const TABLE_CALLS = 32;
/** Invocations at once. */
const INVOCATIONS = 16;
/** Requests to brokers and name servers at once, without long polls. */
const BROKER_CALLS = 64;

/**
 * Limits the requests of a run that are in flight, over all groups of its service. A function with
 * little memory has little processor: of 500 connections that it opens together most time out.
 */
export interface Pace {
  readonly store: (store: AssignmentStore) => AssignmentStore;
  readonly rocketmq: (rocketmq: RocketMQ) => RocketMQ;
  readonly invocation: AtMost;
}

export function createPace(): Pace {
  const [table, brokers] = [atMost(TABLE_CALLS), atMost(BROKER_CALLS)];
  return {
    store: (store) => through(store, table, () => true),
    rocketmq: (rocketmq) => through(rocketmq, brokers, ([request]) => !isLongPoll(request)),
    invocation: atMost(INVOCATIONS),
  };
}

/** The broker holds it: it takes no processor time here. */
function isLongPoll(request: unknown): boolean {
  const { suspendMs = 0, pollMs = 0 } = (request ?? {}) as { suspendMs?: number; pollMs?: number };
  return suspendMs > 0 || pollMs > 0;
}

/** The port, with a limit of calls in flight. */
function through<Port extends object>(
  port: Port,
  turns: AtMost,
  waits: (parameters: readonly unknown[]) => boolean,
): Port {
  return new Proxy(port, {
    get(target, name) {
      const method: unknown = Reflect.get(target, name, target);
      if (typeof method !== 'function') return method;
      return (...parameters: unknown[]): unknown => {
        const call = (): unknown => Reflect.apply(method, target, parameters);
        return waits(parameters) ? turns(async () => await call()) : call();
      };
    },
  });
}
