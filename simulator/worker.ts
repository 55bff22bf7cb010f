/** Entry of a thread: replaces its globals, applies a mutant, loads the product and carries out orders. */
import { parentPort, workerData } from 'node:worker_threads';
import { replaceGlobals } from './kernel/globals.ts';
import { applyMutant } from './mutants/apply.ts';
import type { Answer, Order, ThreadData } from './orders.ts';

const { mutant } = workerData as ThreadData;
if (mutant !== undefined) applyMutant(mutant);
replaceGlobals();
const { carryOut } = await import('./carry-out.ts');

const port = parentPort!;
port.on('message', (order: Order) => {
  carryOut(order).then(
    (answer) => port.postMessage(answer),
    (error: unknown) =>
      port.postMessage({
        kind: 'broken',
        text: error instanceof Error ? `${error.stack}` : String(error),
      } satisfies Answer),
  );
});
