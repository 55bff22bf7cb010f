import type { ProcessQueue } from '../decide/process-queue/process-queue.ts';
import type { LifecycleKeeper } from '../queue/lifecycle-keeper.ts';
import type { Wakeup } from '../queue/wakeup.ts';

/** How a queue gets its messages. */
export interface Fetching {
  /**
   * Fetches until the queue's work ends.
   * @param capacity messages that the deliverers can take at once
   */
  run(capacity: number): Promise<void>;
  /** Are new batches begun? */
  readonly delivers: boolean;
}

interface FetchParts {
  readonly lifecycle: Pick<LifecycleKeeper, 'state'>;
}

/** Messages are pulled: no new batch is begun while the queue is on its way out. */
export function fetchByPull({ lifecycle }: FetchParts, pull: () => Promise<void>): Fetching {
  return {
    run: pull,
    get delivers() {
      return lifecycle.state.phase === 'running';
    },
  };
}

/**
 * Messages are popped: they are delivered even while the queue is on its way out, as long as there is
 * time, because the broker would count their return as a failure.
 */
export function fetchByPop(
  {
    lifecycle,
    messages,
    wakeup,
  }: FetchParts & {
    readonly messages: Pick<ProcessQueue, 'count'>;
    readonly wakeup: Pick<Wakeup, 'all'>;
  },
  pop: (capacity: number) => Promise<void>,
): Fetching {
  let popping = false;
  return {
    async run(capacity) {
      popping = true;
      try {
        await pop(capacity);
      } finally {
        popping = false;
        wakeup.all();
      }
    },
    get delivers() {
      const { state } = lifecycle;
      if (state.phase === 'running') return true;
      if (state.phase === 'lost' || !state.deliverPopped) return false;
      return popping || messages.count > 0;
    },
  };
}
