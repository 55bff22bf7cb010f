import type { TraceAnswer } from '../../src/operator/trace.ts';
import { type CommandDefinition, type CommandRun, call, print } from './command.ts';
import { GROUP, text } from './options.ts';
import { showSearch } from './peek.ts';
import { progressBar } from './progress.ts';
import { EXIT } from './run-command.ts';
import { instant, textTable } from './text-table.ts';

export const traceCommand: CommandDefinition = {
  words: ['trace'],
  usage:
    'What the message trace knows of a message: sent by whom, given to which handlers, with what result',
  options: {
    ...{
      ...GROUP,
      id: text('Message id, as producers and handlers see it'),
      'trace-topic': text('Of a producer with a trace topic of its own'),
    },
    ...{
      since: text('Traced then or later: a time, or 10m, 2h (ago); searches less'),
      until: text('Traced before'),
    },
  },
  run: traceMessage,
};

/** To the end of the topic, or to Ctrl-C: what a trace says last is often what matters. */
async function traceMessage(run: CommandRun): Promise<number> {
  const bar = progressBar(run);
  bar.show({ text: 'looking through the trace topic …' });
  let answer: TraceAnswer = await call(run, 'trace');
  while (answer.cursor !== undefined && !run.terminal.signal.aborted) {
    showSearch(bar, answer, answer.entries.length);
    const more: TraceAnswer = await call(run, 'trace', { cursor: answer.cursor });
    answer = {
      ...more,
      entries: [...answer.entries, ...more.entries],
      scanned: answer.scanned + more.scanned,
    };
  }
  bar.end();
  const entries = answer.entries.toSorted((a, b) => (a.at ?? 0) - (b.at ?? 0));
  print(run, { ...answer, entries }, traceText);
  return entries.length === 0 ? EXIT.failed : EXIT.done;
}

function traceText({ entries, messageId, traceTopic, scanned, cursor }: TraceAnswer): string {
  const end = `${scanned} trace messages of ${traceTopic} looked through${cursor === undefined ? '' : `; there are more behind ${cursor}`}`;
  if (entries.length === 0) return `nothing is known of ${messageId}: ${end}`;
  const rows = entries.map((entry) => [
    entry.at === undefined ? '-' : instant(entry.at),
    entry.kind,
    entry.group ?? '-',
    detail(entry),
  ]);
  return [
    textTable([{ title: 'TIME' }, { title: 'WHAT' }, { title: 'GROUP' }, { title: '' }], rows),
    end,
  ].join('\n');
}

function detail(entry: TraceAnswer['entries'][number]): string {
  switch (entry.kind) {
    case 'sent':
      return `${entry.success ? '' : 'failed, '}to ${entry.topic} at ${entry.storeHost} in ${entry.costMs} ms`;
    case 'delivered':
      return `${entry.reconsumeTimes === 0 ? 'for the first time' : `redelivery ${entry.reconsumeTimes}`}, call ${entry.requestId}`;
    case 'handled':
      return `${entry.success ? 'done' : `failed${entry.result === undefined ? '' : ` (${entry.result})`}`} in ${entry.costMs} ms, call ${entry.requestId}`;
    case 'transaction':
      return `${entry.state}${entry.fromCheck ? ', when the broker asked' : ''}`;
  }
}
