/** Entry of a thread: reads mutated inputs with one target, and reports what it threw and how long it took. */
import { parentPort, workerData } from 'node:worker_threads';
import { createRandom } from '../../simulator/kernel/random.ts';
import { RocketMQError } from '../../src/errors.ts';
import { mutate } from './mutate.ts';
import type { Finding, Job, Result } from './orders.ts';
import { TARGETS } from './targets.ts';

/** An input that takes more of the processor, four times out of four, is a hang. */
const HANG_MS = 100;
const MAX_SAMPLES = 5_000;
const MAX_FINDINGS = 20;
const COUNT_EVERY = 1_000;

const { progress, current } = workerData as {
  progress: Int32Array;
  current: Uint8Array;
};

function runJob({ target: name, seed, inputs }: Job): Result {
  const target = TARGETS.find((one) => one.name === name);
  if (target === undefined) throw new Error(`no target ${name}`);
  const random = createRandom(seed, name);
  const samples = [...target.samples];
  const seen = new Set<string>();
  const findings: Finding[] = [];
  let slowestMs = 0;
  const time = (input: Buffer): { ms: number; outcome: string } => {
    const began = processorMs();
    const outcome = outcomeOf(target.run, input, (error) => {
      if (findings.length < MAX_FINDINGS)
        findings.push({
          target: name,
          kind: 'crash',
          text: error,
          input: input.toString('base64'),
        });
    });
    return { ms: processorMs() - began, outcome };
  };
  for (let n = 0; n < inputs; n++) {
    const input = mutate(samples, random);
    current.set(input.subarray(0, current.length));
    progress[1] = input.length;
    Atomics.add(progress, 0, 1);
    const { ms: first, outcome } = time(input);
    // The collector of garbage may have come in between.
    let ms = first;
    for (let again = 0; again < 3 && ms > slowestMs; again++) ms = Math.min(ms, time(input).ms);
    slowestMs = Math.max(slowestMs, ms);
    if (ms > HANG_MS && findings.length < MAX_FINDINGS)
      findings.push({
        ...{ target: name, kind: 'hang', text: `${Math.round(ms)} ms` },
        input: input.toString('base64'),
      });
    if (seen.size < MAX_SAMPLES && !seen.has(outcome)) {
      seen.add(outcome);
      samples.push(input);
    }
    if (n % COUNT_EVERY === 0) progress[2] = Math.max(progress[2] ?? 0, memoryMb());
  }
  return {
    target: name,
    inputs,
    findings,
    outcomes: seen.size,
    slowestMs,
    memoryMb: progress[2] ?? 0,
  };
}

function outcomeOf(
  run: (input: Buffer) => string,
  input: Buffer,
  onCrash: (text: string) => void,
): string {
  try {
    return `read ${run(Buffer.from(input))}`;
  } catch (error) {
    if (error instanceof RocketMQError)
      return `${error.code} ${error.message.replace(/".*"|\d+/g, '').slice(0, 80)}`;
    onCrash(error instanceof Error ? `${error.stack}` : String(error));
    return `crash ${String(error).slice(0, 80)}`;
  }
}

/** Of this thread: other programs have the processor, too. */
function processorMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

function memoryMb(): number {
  const { heapUsed, external } = process.memoryUsage();
  return Math.round((heapUsed + external) / 1024 / 1024);
}

parentPort!.on('message', (job: Job) => parentPort!.postMessage(runJob(job)));
