import type { PullerDeps } from './puller-deps.ts';
import type { QueueSession } from './queue-session.ts';

/** Writes that go on beside the loop that began them: at most one of each kind at a time. */
export class BackgroundWrites {
  readonly #session: QueueSession;
  readonly #running = new Map<string, Promise<void>>();

  constructor(session: QueueSession) {
    this.#session = session;
  }

  /** Begins the write, unless one of its kind is under way. What it throws drains the queue. */
  begin(kind: string, write: () => Promise<void>): void {
    if (this.#running.has(kind)) return;
    const running = write()
      .catch((error: unknown) => {
        this.#session.logger.error({ err: error }, 'an unexpected error: draining');
        this.#session.end('error');
      })
      .finally(() => this.#running.delete(kind));
    this.#running.set(kind, running);
  }

  /** Resolves when none is under way: what outlives its invocation is frozen with it. */
  async settled(): Promise<void> {
    await Promise.all(this.#running.values());
  }
}

const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Waits for work, but not into the last `reserveMs` of the invocation.
 * @throws what the work throws in that time
 */
export async function beforeTheEnd(
  { clock, remainingMs }: Pick<PullerDeps, 'clock' | 'remainingMs'>,
  reserveMs: number,
  work: Promise<void>,
): Promise<void> {
  const done = new AbortController();
  const tooLate = clock
    .sleep(Math.min(Math.max(0, remainingMs() - reserveMs), MAX_TIMER_MS), done.signal)
    .catch(() => undefined);
  try {
    await Promise.race([work, tooLate]);
  } finally {
    done.abort(new Error('the work has ended'));
  }
}
