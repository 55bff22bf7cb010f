import type { ResetAnswer, ResetQueue } from '../../src/operator/reset.ts';
import type { SkipAnswer } from '../../src/operator/skip.ts';
import { type CommandDefinition, type CommandRun, call, print } from './command.ts';
import { DRY_RUN, flag, parseTime, QUEUE, text, YES } from './options.ts';
import { progressBar } from './progress.ts';
import { confirm, EXIT } from './run-command.ts';
import { type Column, textTable } from './text-table.ts';

export const resetCommand: CommandDefinition = {
  words: ['reset'],
  usage: 'Sets the offsets of a group, whether it runs or not: preview, confirmation, receipt',
  options: {
    ...QUEUE,
    ...DRY_RUN,
    ...YES,
    to: text('first, last, offset:N, group:NAME, or a time: 2026-11-23T12:00, 2h (ago)'),
  },
  run: resetOffsets,
};

/** Queues of one request: each may have to wait for its holder. */
const STEP = 64;

async function resetOffsets(run: CommandRun): Promise<number> {
  const to = resetTarget(run);
  const preview = await call(run, 'reset', { to, 'dry-run': true });
  if (run.values['dry-run'] === true) {
    print(run, preview, resetText);
    return EXIT.done;
  }
  if (!run.json) run.terminal.err.write(`${resetText(preview)}\n`);
  await confirm(run, `Set ${preview.queues.length} offsets of group ${preview.consumerGroup}?`);
  const receipts: ResetQueue[] = [];
  const bar = progressBar(run);
  let left = preview.queues.map(({ queue, to: offset }) => `${queue}=${offset}`);
  while (left.length > 0 && !run.terminal.signal.aborted) {
    bar.show({
      at: receipts.length,
      of: preview.queues.length,
      text: 'offsets set; holders drain first',
    });
    const answer = await call(run, 'reset', {
      to: undefined,
      queue: undefined,
      topic: undefined,
      targets: left.slice(0, STEP),
    });
    receipts.push(...answer.queues);
    left = [...left.slice(STEP), ...answer.waiting];
  }
  bar.end();
  print(run, { ...preview, applied: true, queues: receipts, waiting: left }, resetText);
  return left.length === 0 ? EXIT.done : EXIT.failed;
}

/** Times become `time:MS`; what the operator function reads itself stays. */
function resetTarget({ values, terminal }: CommandRun): string | undefined {
  const { to } = values;
  if (typeof to !== 'string' || /^(first|last|offset:\d+|group:.+|time:\d+)$/.test(to))
    return to as string | undefined;
  return `time:${parseTime('to', to, terminal.now())}`;
}

const COLUMNS: readonly Column[] = [
  { title: 'QUEUE' },
  { title: 'FROM', right: true },
  { title: 'TO', right: true },
  { title: 'AGAIN', right: true },
  { title: 'SKIPPED', right: true },
  { title: 'STORED', right: true },
  { title: '' },
];

function resetText({ consumerGroup, applied, queues, waiting }: ResetAnswer): string {
  const rows = queues.map(({ queue, from, to, redelivered, skipped, stored, clamped }) => [
    queue,
    from ?? '-',
    to,
    redelivered,
    skipped,
    stored ?? '-',
    clamped ? 'outside the queue: its end is taken' : '',
  ]);
  return [
    `${consumerGroup}: ${applied ? `${queues.length} offsets are set and read back` : 'nothing is changed yet'}`,
    textTable(COLUMNS, rows),
    ...(waiting.length === 0 ? [] : [`not set, still held: ${waiting.join(', ')}`]),
  ].join('\n');
}

export const skipCommand: CommandDefinition = {
  words: ['skip'],
  usage: 'Moves a group past the one message that it is stuck at',
  options: {
    ...QUEUE,
    ...DRY_RUN,
    ...YES,
    offset: text('Of the message: where the group stands'),
    park: flag('Put it into the dead letters first'),
  },
  run: skipMessage,
};

async function skipMessage(run: CommandRun): Promise<number> {
  const look = await call(run, 'skip', { 'dry-run': true });
  if (run.values['dry-run'] === true) {
    print(run, look, (answer) => skipText(answer, true));
    return EXIT.done;
  }
  if (!run.json) run.terminal.err.write(`${skipText(look, true)}\n`);
  await confirm(
    run,
    run.values.park === true
      ? 'Park this message and go on behind it?'
      : 'Skip this message for good?',
  );
  let answer = await call(run, 'skip');
  const bar = progressBar(run);
  while (answer.held && !run.terminal.signal.aborted) {
    bar.show({ text: 'waiting for the holder to drain …' });
    answer = await call(run, 'skip');
  }
  bar.end();
  print(run, answer, (done) => skipText(done, false));
  return answer.held ? EXIT.failed : EXIT.done;
}

function skipText({ queue, offset, message, parked, stored }: SkipAnswer, isLook: boolean): string {
  const what =
    message === undefined
      ? 'nothing can be read there'
      : `message ${message.messageId}, ${message.bodySize} bytes: ${message.body.slice(0, 200)}`;
  if (isLook) return `${queue} offset ${offset}: ${what}`;
  return `${queue} offset ${offset} ${stored === undefined ? 'is not skipped: the queue is held' : `is ${parked ? 'parked and ' : ''}skipped, the group goes on at ${stored}`}`;
}
