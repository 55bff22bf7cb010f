import { Worker } from 'node:worker_threads';
import type { Answer, Order, ThreadData } from './orders.ts';

/** No order takes so long: its code goes round in microtasks, and virtual time stands. */
const HANG_MS = 300_000;

export class HangError extends Error {
  constructor(what: string) {
    super(`no answer within ${HANG_MS / 1000} s of ${what}: the code loops without waiting`);
    this.name = 'HangError';
  }
}

function describe(order: Order): string {
  if (order.kind === 'explain') return `${order.run.scenario}, seed ${order.run.seed}`;
  const [first] = order.runs;
  const last = order.runs[order.runs.length - 1];
  return `${first?.scenario}, seed ${first?.seed} to ${last?.scenario}, seed ${last?.seed}`;
}

/** A thread that runs simulations. */
export interface SimulatorThread extends AsyncDisposable {
  ask(order: Order): Promise<Exclude<Answer, { readonly kind: 'broken' }>>;
}

export function startThread(data: ThreadData = {}): SimulatorThread {
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData: data });
  return {
    ask: (order) =>
      new Promise((resolve, reject) => {
        const settle = (finish: () => void): void => {
          clearTimeout(timer);
          worker.off('message', onMessage);
          worker.off('error', onError);
          finish();
        };
        const timer = setTimeout(
          () => settle(() => reject(new HangError(describe(order)))),
          HANG_MS,
        );
        const onError = (error: unknown): void => settle(() => reject(error));
        const onMessage = (answer: Answer): void =>
          settle(() =>
            answer.kind === 'broken' ? reject(new Error(answer.text)) : resolve(answer),
          );
        worker.on('message', onMessage);
        worker.on('error', onError);
        worker.postMessage(order);
      }),
    async [Symbol.asyncDispose]() {
      await worker.terminate();
    },
  };
}

/** Shares the work among threads: each takes the next piece when it has done one. */
export async function inThreads<Work, Result>(
  threads: number,
  pieces: readonly Work[],
  data: ThreadData,
  run: (thread: SimulatorThread, piece: Work) => Promise<Result>,
  isEnough: (result: Result) => boolean = () => false,
): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  let enough = false;
  await Promise.all(
    Array.from({ length: Math.min(threads, pieces.length) }, async () => {
      await using thread = startThread(data);
      while (!enough && next < pieces.length) {
        const result = await run(thread, pieces[next++]!);
        results.push(result);
        enough ||= isEnough(result);
      }
    }),
  );
  return results;
}
