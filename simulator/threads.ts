import { Worker } from 'node:worker_threads';
import type { Answer, Began, Order, RunOrder, ThreadData } from './orders.ts';

/** No run takes so long: its code goes round in microtasks, and virtual time stands. */
const HANG_MS = 60_000;

export class HangError extends Error {
  readonly run: RunOrder | undefined;

  constructor(run: RunOrder | undefined) {
    super(
      `${run?.scenario}, seed ${run?.seed}: no end within ${HANG_MS / 1000} s, the code loops without waiting`,
    );
    this.name = 'HangError';
    this.run = run;
  }
}

/** A thread that runs simulations, one order at a time. */
export interface SimulatorThread extends AsyncDisposable {
  /** @throws HangError; the thread is of no use any more */
  ask(order: Order): Promise<Exclude<Answer, { readonly kind: 'broken' }>>;
}

export function startThread(data: ThreadData = {}): SimulatorThread {
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData: data });
  return {
    ask: (order) =>
      new Promise((resolve, reject) => {
        let run: RunOrder | undefined;
        const settle = (finish: () => void): void => {
          clearTimeout(timer);
          worker.off('message', onMessage);
          worker.off('error', onError);
          finish();
        };
        const onHang = (): void => settle(() => reject(new HangError(run)));
        let timer = setTimeout(onHang, HANG_MS);
        const onError = (error: unknown): void => settle(() => reject(error));
        const onMessage = (answer: Answer | Began): void => {
          if (answer.kind === 'began') {
            run = answer.run;
            clearTimeout(timer);
            timer = setTimeout(onHang, HANG_MS);
          } else if (answer.kind === 'broken') settle(() => reject(new Error(answer.text)));
          else settle(() => resolve(answer));
        };
        worker.on('message', onMessage);
        worker.on('error', onError);
        worker.postMessage(order);
      }),
    async [Symbol.asyncDispose]() {
      await worker.terminate();
    },
  };
}

/** Shares pieces of work among threads: each takes the next one when it has done one. A thread that hangs is replaced. */
export async function inThreads<Work, Result>(
  threads: number,
  pieces: readonly Work[],
  run: (thread: SimulatorThread, piece: Work) => Promise<Result>,
  hung: (error: HangError) => Result,
): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  const workOff = async (): Promise<void> => {
    await using thread = startThread();
    while (next < pieces.length) {
      try {
        results.push(await run(thread, pieces[next++]!));
      } catch (error) {
        if (!(error instanceof HangError)) throw error;
        results.push(hung(error));
        break;
      }
    }
  };
  await Promise.all(
    Array.from({ length: Math.min(threads, pieces.length) }, async () => {
      while (next < pieces.length) await workOff();
    }),
  );
  return results;
}
