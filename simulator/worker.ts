/** Entry of a thread: replaces its globals, applies a mutant, loads the product and carries out orders. */
import { parentPort, workerData } from 'node:worker_threads';
import { replaceGlobals } from './kernel/globals.ts';
import { applyMutant } from './mutants/apply.ts';
import type { Answer, Began, Order, RunOrder, ThreadData } from './orders.ts';

const { mutant } = workerData as ThreadData;
if (mutant !== undefined) applyMutant(mutant);
replaceGlobals();
const { carryOut } = await import('./carry-out.ts');

const port = parentPort!;
port.on('message', (order: Order) => {
  const began = (run: RunOrder): void => port.postMessage({ kind: 'began', run } satisfies Began);
  carryOut(order, began).then(
    (answer) => port.postMessage(answer),
    (error: unknown) =>
      port.postMessage({
        kind: 'broken',
        text: error instanceof Error ? `${error.stack}` : String(error),
      } satisfies Answer),
  );
});
