import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import type { DeadLetterGroup, DeadLettersAnswer } from '../../src/operator/dlq.ts';
import { type CommandDefinition, type CommandRun, call, print } from './command.ts';
import { DRY_RUN, flag, GROUP, text, YES } from './options.ts';
import { messagesText } from './peek.ts';
import { type ProgressBar, progressBar } from './progress.ts';
import { confirm, EXIT } from './run-command.ts';
import { textTable } from './text-table.ts';

const TIMES = {
  until: text('Dead-lettered before'),
  queue: text('BROKER/ID of the dead-letter topic'),
} as const;
const WHICH = {
  ...{
    ...GROUP,
    ...TIMES,
    id: {
      usage: 'Place BROKER/QUEUE/OFFSET, or message id of either kind; may be repeated',
      type: 'multiple',
    } as const,
  },
  ...{
    tag: text('Its tag'),
    key: text('One of its keys'),
    since: text('Dead-lettered then or later: a time, or 10m, 2h (ago)'),
  },
  ...{ limit: text('Most letters'), all: flag('Those too that were redriven or dropped before') },
} as const;

export const dlqCommands: readonly CommandDefinition[] = [
  {
    words: ['dlq', 'list'],
    usage: 'Dead letters of each group: stored, and waiting for a redrive',
    options: GROUP,
    run: async (run) => print(run, await call(run, 'dlqList'), listText),
  },
  {
    words: ['dlq', 'peek'],
    usage: 'Looks at dead letters; changes nothing',
    options: { ...WHICH, full: flag('Whole bodies') },
    run: async (run) => {
      const answer = await steps(run, 'dlqPeek', Number(run.args.limit ?? 10));
      print(run, answer, (found) => messagesText({ ...found, messages: found.letters }));
    },
  },
  {
    words: ['dlq', 'redrive'],
    usage: 'Sends dead letters back to where they came from',
    options: {
      ...WHICH,
      ...DRY_RUN,
      ...YES,
      to: text(
        'topic (where it came from, if the group subscribes to it), group (this group alone), or a topic by name',
      ),
      rate: text('Most messages a second'),
      'skip-failed': flag('Passes over letters that cannot be sent, and reports them'),
    },
    run: redrive,
  },
  {
    words: ['dlq', 'export'],
    usage: 'Writes dead letters to a file, one JSON document per line; changes nothing',
    options: { ...WHICH, output: text('The file; stdout without') },
    run: exportLetters,
  },
  {
    words: ['dlq', 'drop'],
    usage:
      'Notes dead letters as done without sending them; brokers keep them until their retention ends',
    options: { ...GROUP, ...TIMES, ...DRY_RUN, ...YES, limit: text('Most letters') },
    run: drop,
  },
];

type Step = 'dlqPeek' | 'dlqRedrive' | 'dlqDrop';
const MOST_TOLD = 1_000;

/** Step after step until the end, the limit or Ctrl-C: what is done stays done. */
async function steps(
  run: CommandRun,
  name: Step,
  limit: number,
  more: object = {},
  each?: (answer: DeadLettersAnswer) => Promise<void>,
): Promise<DeadLettersAnswer> {
  const bar = progressBar(run);
  bar.show({ text: 'looking through the dead letters …' });
  let total: DeadLettersAnswer | undefined;
  try {
    do {
      const left = limit - (total?.done ?? 0);
      const answer: DeadLettersAnswer = await call(run, name, {
        ...more,
        limit: Math.min(left, 1_000_000),
        ...(total?.cursor === undefined ? {} : { cursor: total.cursor }),
      });
      await each?.(answer);
      total = {
        consumerGroup: answer.consumerGroup,
        letters:
          each === undefined
            ? [...(total?.letters ?? []), ...answer.letters].slice(0, MOST_TOLD)
            : [],
        scanned: (total?.scanned ?? 0) + answer.scanned,
        done: (total?.done ?? 0) + answer.done,
        ...(answer.cursor === undefined ? {} : { cursor: answer.cursor }),
        ...(answer.left === undefined ? {} : { left: answer.left }),
      };
      showSteps(bar, total, limit, DOING[name]);
    } while (total.cursor !== undefined && total.done < limit && !run.terminal.signal.aborted);
    return total;
  } finally {
    bar.end();
  }
}

const DOING: Readonly<Record<Step, string>> = {
  dlqPeek: 'read',
  dlqRedrive: 'sent',
  dlqDrop: 'passed',
};

/** Of the limit, where it ends the work; else of all that is to be looked through. */
function showSteps(
  bar: ProgressBar,
  { done, scanned, cursor, left = cursor === undefined ? 0 : undefined }: DeadLettersAnswer,
  limit: number,
  doing: string,
): void {
  const all = left === undefined ? undefined : scanned + left;
  if (limit < (all ?? Number.MAX_SAFE_INTEGER)) bar.show({ at: done, of: limit, text: doing });
  else bar.show({ at: scanned, of: all, text: `looked through, ${done} ${doing}` });
}

const limitOf = ({ args }: CommandRun): number =>
  Number(args.limit ?? Number.MAX_SAFE_INTEGER) || 1;
/** What one request may be asked for. */
const MOST_A_STEP = 500;

async function redrive(run: CommandRun): Promise<number> {
  const dryRun = run.values['dry-run'] === true;
  const { to } = run.args;
  if (!dryRun) {
    const { groups } = await run.operator
      .request('dlqList', pick(run.args, ['cluster', 'group']))
      .then((answer) =>
        answer.ok ? (answer.answer as { groups: DeadLetterGroup[] }) : { groups: [] },
      );
    const waiting = groups
      .map(({ consumerGroup, waiting: count }) => `${count} of ${consumerGroup}`)
      .join(', ');
    await confirm(
      run,
      `Send dead letters ${typeof to === 'string' && to !== 'topic' && to !== 'group' ? `to topic ${to}` : 'back'} (waiting: ${waiting || 'none'})? Consumers get them again.`,
    );
  }
  const answer = await stepwise(run, 'dlqRedrive');
  print(run, answer, (done) => `${dryRun ? 'would be redriven' : 'redriven'}: ${doneText(done)}`);
  return exitOf(run, answer);
}

async function drop(run: CommandRun): Promise<number> {
  const look = await stepwise(run, 'dlqDrop', { 'dry-run': true });
  const dryRun = run.values['dry-run'] === true;
  if (!dryRun)
    await confirm(
      run,
      `Note ${look.done} dead letters of ${look.consumerGroup} as done, without sending them?`,
    );
  const answer = dryRun ? look : await stepwise(run, 'dlqDrop');
  print(run, answer, (done) => `${dryRun ? 'would be dropped' : 'dropped'}: ${doneText(done)}`);
  return exitOf(run, answer);
}

/** Many small requests instead of few long ones: progress is seen, and Ctrl-C acts soon. */
async function stepwise(
  run: CommandRun,
  name: Step,
  more: object = {},
): Promise<DeadLettersAnswer> {
  const limit = limitOf(run);
  const request: CommandRun['operator'] = {
    ...run.operator,
    request: (command, args) =>
      run.operator.request(command, { ...args, limit: Math.min(Number(args.limit), MOST_A_STEP) }),
  };
  return steps({ ...run, operator: request }, name, limit, more);
}

async function exportLetters(run: CommandRun): Promise<number> {
  const { output } = run.values;
  const file = typeof output === 'string' ? createWriteStream(output, { flags: 'wx' }) : undefined;
  if (file !== undefined) await once(file, 'open');
  const answer = await steps(
    run,
    'dlqPeek',
    limitOf(run),
    { full: true, limit: undefined },
    async ({ letters }) => {
      for (const letter of letters) {
        const line = `${JSON.stringify(letter)}\n`;
        if (file === undefined) run.terminal.out.write(line);
        else if (!file.write(line)) await once(file, 'drain');
      }
    },
  );
  if (file !== undefined) {
    file.end();
    await once(file, 'close');
  }
  if (file !== undefined)
    print(
      run,
      { file: output, exported: answer.done, complete: answer.cursor === undefined },
      () =>
        `${answer.done} dead letters are in ${String(output)}${answer.cursor === undefined ? '' : ', and there are more'}`,
    );
  return exitOf(run, answer);
}

/** A scan that Ctrl-C or the limit cut short is done as asked; the text says so. */
function exitOf({ terminal }: CommandRun, { cursor }: DeadLettersAnswer): number {
  return cursor !== undefined && terminal.signal.aborted ? EXIT.failed : EXIT.done;
}

function doneText({ done, scanned, letters, cursor }: DeadLettersAnswer): string {
  const problems = letters.flatMap((letter) =>
    'problem' in letter ? [`  ${letter.queue} offset ${letter.offset}: ${letter.problem}`] : [],
  );
  const cut = cursor === undefined ? '' : `; cut short at ${cursor}, there are more`;
  return [
    `${done} dead letters, ${scanned} looked through${cut}`,
    ...(problems.length === 0 ? [] : ['passed over:', ...problems]),
  ].join('\n');
}

function listText({ groups }: { readonly groups: readonly DeadLetterGroup[] }): string {
  if (groups.length === 0) return 'no group has dead letters';
  const rows = groups.map(({ consumerGroup, topic, stored, waiting, queues }) => [
    consumerGroup,
    topic,
    stored,
    waiting,
    queues.every(({ readable }) => readable)
      ? ''
      : `may not be read on every broker: mqadmin updateTopicPerm -t ${topic} -p 6 -c <cluster>`,
  ]);
  return textTable(
    [
      { title: 'GROUP' },
      { title: 'TOPIC' },
      { title: 'STORED', right: true },
      { title: 'WAITING', right: true },
      { title: '' },
    ],
    rows,
  );
}

function pick(
  values: Readonly<Record<string, unknown>>,
  names: readonly string[],
): Record<string, unknown> {
  return Object.fromEntries(
    names.flatMap((name) => (values[name] === undefined ? [] : [[name, values[name]]])),
  );
}
