import { Worker } from 'node:worker_threads';
import type { Answer, Began, Order, RunOrder, ThreadData } from './orders.ts';

/** No run computes so long: its code goes round in microtasks, and virtual time stands. Computing, not waiting for a core. */
const HANG_CPU_MS = 60_000;
const LOOKS_EVERY_MS = 5_000;

export class HangError extends Error {
  readonly run: RunOrder | undefined;

  constructor(run: RunOrder | undefined) {
    super(
      `${run?.scenario}, seed ${run?.seed}: no end within ${HANG_CPU_MS / 1000} s of CPU time, the code loops without waiting`,
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
        /** CPU time at the first look at this run. */
        let before: number | undefined;
        const settle = (finish: () => void): void => {
          clearInterval(timer);
          worker.off('message', onMessage);
          worker.off('error', onError);
          finish();
        };
        const look = async (): Promise<void> => {
          const looked = run;
          const spent = await cpuMs(worker);
          if (run !== looked) return;
          before ??= spent;
          if (spent - before > HANG_CPU_MS) settle(() => reject(new HangError(run)));
        };
        const onError = (error: unknown): void => settle(() => reject(error));
        const onMessage = (answer: Answer | Began): void => {
          if (answer.kind === 'began') {
            run = answer.run;
            before = undefined;
          } else if (answer.kind === 'broken') settle(() => reject(new Error(answer.text)));
          else settle(() => resolve(answer));
        };
        const timer = setInterval(() => void look(), LOOKS_EVERY_MS);
        worker.on('message', onMessage);
        worker.on('error', onError);
        worker.postMessage(order);
      }),
    async [Symbol.asyncDispose]() {
      await worker.terminate();
    },
  };
}

/** What a thread has computed, 0 before it runs. Answered while its code loops, too. */
async function cpuMs(worker: Worker): Promise<number> {
  const { user, system } = await worker.cpuUsage().catch(() => ({ user: 0, system: 0 }));
  return (user + system) / 1000;
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
