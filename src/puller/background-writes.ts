import type { Logger } from '../ports/logger.ts';
import type { LifecycleKeeper } from '../queue/lifecycle-keeper.ts';
import type { PullerDeps } from './puller-deps.ts';
import { waitAtMost } from './wait-at-most.ts';

interface WriteParts {
  readonly logger: Logger;
  readonly lifecycle: Pick<LifecycleKeeper, 'stop'>;
}

/** Writes that go on beside the loop that began them: at most one of each kind at a time. */
export class BackgroundWrites {
  readonly #parts: WriteParts;
  readonly #running = new Map<string, Promise<void>>();

  constructor(parts: WriteParts) {
    this.#parts = parts;
  }

  /** Begins the write, unless one of its kind is under way. What it throws drains the queue. */
  begin(kind: string, write: () => Promise<void>): void {
    if (this.#running.has(kind)) return;
    const running = write()
      .catch((error: unknown) => {
        this.#parts.logger.error({ err: error }, 'an unexpected error: draining');
        this.#parts.lifecycle.stop('error');
      })
      .finally(() => this.#running.delete(kind));
    this.#running.set(kind, running);
  }

  /** Resolves when none is under way: what outlives its invocation is frozen with it. */
  async settled(): Promise<void> {
    await Promise.all(this.#running.values());
  }
}

/** One step of the end of a queue or an invocation. What it throws is logged, and the next step goes on. */
export async function endStep(logger: Logger, step: string, work: () => unknown): Promise<void> {
  try {
    await work();
  } catch (error) {
    logger.error(
      { err: error, step, code: 'ROCKETMQ_INTERNAL' },
      'step at the end failed, going on with the next one',
    );
  }
}

/**
 * Waits for work, but not into the last `reserveMs` of the invocation.
 * @throws what the work throws in that time
 */
export async function beforeTheEnd(
  { clock, remainingMs }: Pick<PullerDeps, 'clock' | 'remainingMs'>,
  reserveMs: number,
  work: Promise<void>,
): Promise<void> {
  await waitAtMost(clock, remainingMs() - reserveMs, work);
}
