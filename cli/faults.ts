/** `npm run faults`: kills, freezes and throttles a packaged service under load, and judges what is left. */
import { createWriteStream } from 'node:fs';
import { FAULT_KINDS } from '../test/faults/plan-faults.ts';
import { checkLines, closingLine, costTable, pullerTable } from '../test/faults/print-report.ts';
import { runFaults } from '../test/faults/run-faults.ts';
import { ORDERS, type Order } from '../test/faults/workload.ts';
import { missingStack } from '../test/support/stack.ts';
import { readArguments } from './arguments.ts';
import { print, printError } from './print.ts';

const { values, refuse } = readArguments({
  help: `usage: npm run faults -- [--messages N] [--faults N] [--order none|queue|key] [--seed N] [--every SECONDS] [--only KIND] [--log FILE]

Runs a packaged service on a real broker and DynamoDB Local while faults happen, and exits with 0 only if every check passed.
  --messages N      how many, spread over the faults (20,000)
  --faults N        how many; ten of them have each kind once (30)
  --order ORDER     none, queue or key; several side by side: none,key (none)
  --seed N          decides which faults happen when (1)
  --every SECONDS   mean pause between two faults (6)
  --only KIND       faults of this kind: ${FAULT_KINDS.join(', ')}
  --log FILE        what the functions log`,
  options: {
    messages: { type: 'string', default: '20000' },
    faults: { type: 'string', default: '30' },
    order: { type: 'string', default: 'none' },
    seed: { type: 'string', default: '1' },
    every: { type: 'string', default: '6' },
    only: { type: 'string' },
    log: { type: 'string' },
  },
});
const wholeNumber = (option: 'messages' | 'faults' | 'seed', least: number): number => {
  const number = Number(values[option]);
  if (!Number.isSafeInteger(number) || number < least)
    refuse(`--${option} ${values[option]}: give a whole number from ${least} on`);
  return number;
};
const orders = values.order.split(',') as Order[];
if (orders.some((order) => !ORDERS.includes(order)))
  refuse(`--order ${values.order}: give ${ORDERS.join(', ')}, or several divided by commas`);
const everyMs = Number(values.every) * 1000;
if (!(everyMs > 0)) refuse(`--every ${values.every}: give seconds above 0`);
const kinds = FAULT_KINDS.filter((kind) => values.only === undefined || values.only === kind);
if (kinds.length === 0) refuse(`--only ${values.only}: give one of ${FAULT_KINDS.join(', ')}`);
const [messages, faults, seed] = [
  wholeNumber('messages', 100),
  wholeNumber('faults', 1),
  wholeNumber('seed', 0),
];
const missing = missingStack('rocketmq', 'dynamodb');
if (missing !== false) {
  printError(missing);
  process.exit(1);
}

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => {
    // A second one ends this process at once; what it started ends with it.
    if (interrupted.signal.aborted) process.exit(130);
    interrupted.abort(new Error(`interrupted by ${signal}`));
  });
const log = values.log === undefined ? undefined : createWriteStream(values.log);
try {
  const { checks, costs, startedAt, summary } = await runFaults({
    ...{ orders, messages, faults, seed, everyMs, kinds, say: print },
    onLog: (name, line) => void log?.write(`${name} ${line}\n`),
    signal: interrupted.signal,
  });
  print(`\n${costTable(costs)}\n\n${pullerTable(costs, startedAt)}\n`);
  print(`${faults} faults, seed ${seed}\n${summary.join('\n')}\n`);
  print(`${checkLines(checks)}\n\n${closingLine(checks)}`);
  process.exitCode = checks.every(({ errors }) => errors.length === 0) ? 0 : 1;
} catch (error) {
  const stopped = interrupted.signal.aborted;
  const { message, stack = message } = stopped
    ? (interrupted.signal.reason as Error)
    : (error as Error);
  printError(stopped ? message : stack);
  process.exitCode = stopped ? 130 : 1;
} finally {
  log?.end();
}
// Sockets that are kept alive must not keep it.
process.exit();
