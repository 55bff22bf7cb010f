import { createInterface } from 'node:readline/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { RocketMQError } from '../../src/errors.ts';
import { OperatorError } from '../../src/operator/operator-error.ts';
import type { CommandDefinition, CommandRun, Operator, Terminal, Values } from './command.ts';
import { COMMON, positive, requestArguments } from './options.ts';
import { safeTerminal } from './safe-terminal.ts';

/** Exit codes, as docs/operating.md lists them. */
export const EXIT = { done: 0, failed: 1, usage: 2, refused: 3 } as const;

/**
 * Runs one command from its options to its exit code. Nothing is thrown: what went wrong is told, with --json as a document of its own.
 * @param open makes the way to the brokers; not called when the options are wrong
 */
export async function runCommand(
  command: CommandDefinition,
  values: Values,
  open: () => Promise<Operator>,
  bare: Terminal,
): Promise<number> {
  const terminal = safeTerminal(bare);
  const json = values.json === true;
  let operator: Operator | undefined;
  try {
    const names = Object.keys({ ...COMMON, ...command.options });
    const args = requestArguments(values, names, terminal.now());
    operator = await open();
    return (await command.run({ operator, terminal, values, json, args })) ?? EXIT.done;
  } catch (error) {
    if (terminal.signal.aborted) return EXIT.done;
    const code = error instanceof RocketMQError ? error.code : 'UNEXPECTED';
    const message = error instanceof Error ? error.message : String(error);
    if (json) terminal.out.write(`${JSON.stringify({ error: { code, message } })}\n`);
    else terminal.err.write(`${code}: ${message}\n`);
    return exitCodeOf(code);
  } finally {
    await operator?.close();
  }
}

function exitCodeOf(code: string): number {
  if (code === 'ROCKETMQ_OPERATOR_USAGE') return EXIT.usage;
  return code === 'ROCKETMQ_OPERATOR_REFUSED' || code === 'ROCKETMQ_OPERATOR_NOT_CONFIRMED'
    ? EXIT.refused
    : EXIT.failed;
}

/**
 * Asks before what cannot be undone.
 * @throws OperatorError ROCKETMQ_OPERATOR_NOT_CONFIRMED when the answer is no, or nobody is there to be asked
 */
export async function confirm(
  { values, terminal, json }: CommandRun,
  question: string,
): Promise<void> {
  if (values.yes === true || values['dry-run'] === true) return;
  if (terminal.ask === undefined || json)
    throw new OperatorError(
      'ROCKETMQ_OPERATOR_NOT_CONFIRMED',
      `${question} Nobody can be asked here: look with --dry-run, then repeat it with --yes`,
    );
  const answer = await terminal.ask(`${question} [y/N] `);
  if (!/^y(es)?$/i.test(answer.trim()))
    throw new OperatorError('ROCKETMQ_OPERATOR_NOT_CONFIRMED', 'nothing was done');
}

/** Does it once, or with --watch until Ctrl-C: on a terminal each look takes the place of the one before. */
export async function watched(run: CommandRun, look: () => Promise<string>): Promise<void> {
  const { terminal, values, json } = run;
  if (values.watch !== true) {
    terminal.out.write(`${await look()}\n`);
    return;
  }
  const pauseMs = positive(values, 'interval', 2) * 1000;
  while (!terminal.signal.aborted) {
    const screen = await look();
    if (terminal.out.isTTY === true && !json) terminal.control?.('out', '\x1b[H\x1b[2J');
    terminal.out.write(`${screen}\n`);
    await terminal.sleep(pauseMs);
  }
}

/** This process's terminal; Ctrl-C ends what is under way between two requests. */
export function processTerminal(): Terminal {
  const interrupted = new AbortController();
  const onSignal = (): void => {
    if (interrupted.signal.aborted) process.exit(130);
    interrupted.abort(new Error('interrupted'));
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  return {
    out: process.stdout,
    err: process.stderr,
    signal: interrupted.signal,
    now: Date.now,
    sleep: (ms) => sleep(ms, undefined, { signal: interrupted.signal }).catch(() => undefined),
    ask: process.stdin.isTTY
      ? async (question) => {
          const lines = createInterface({ input: process.stdin, output: process.stderr });
          try {
            return await lines.question(question, { signal: interrupted.signal });
          } finally {
            lines.close();
          }
        }
      : undefined,
  };
}
