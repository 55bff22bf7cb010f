import { Worker } from 'node:worker_threads';
import type { Finding, Job, Result } from './orders.ts';

/** No input counts for so long: the parser does not come back. */
const STUCK_MS = 20_000;
const MAX_HEAP_MB = 256;
const MAX_INPUT_BYTES = 1024 * 1024;

/** A job in a thread of its own, which is ended when it does not come back or takes more than 256 MB of heap. */
export function runJob(job: Job): Promise<Result> {
  const progress = new Int32Array(new SharedArrayBuffer(3 * Int32Array.BYTES_PER_ELEMENT));
  const current = new Uint8Array(new SharedArrayBuffer(MAX_INPUT_BYTES));
  const worker = new Worker(new URL('./worker.ts', import.meta.url), {
    workerData: { progress, current },
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
  });
  const broken = (kind: Finding['kind'], text: string): Result => ({
    target: job.target,
    inputs: progress[0] ?? 0,
    findings: [{ target: job.target, kind, text, input: inputOf(progress, current) }],
    outcomes: 0,
    slowestMs: STUCK_MS,
    memoryMb: progress[2] ?? 0,
  });
  return new Promise((resolve) => {
    let seen = -1;
    const watchdog = setInterval(() => {
      const count = Atomics.load(progress, 0);
      if (count === seen) end(broken('stuck', `no end within ${STUCK_MS / 1000} s`));
      seen = count;
    }, STUCK_MS);
    const end = (result: Result): void => {
      clearInterval(watchdog);
      void worker.terminate();
      resolve(result);
    };
    worker.once('message', end);
    worker.once('error', (error) => end(broken('out of memory', String(error))));
    worker.postMessage(job);
  });
}

function inputOf(progress: Int32Array, current: Uint8Array): string {
  return Buffer.from(current.slice(0, Math.min(progress[1] ?? 0, current.length))).toString(
    'base64',
  );
}
