import { printableLine, printableText } from '../../src/model/printable-text.ts';
import type { PeekAnswer } from '../../src/operator/peek.ts';
import { type CommandDefinition, type CommandRun, call, print } from './command.ts';
import { flag, QUEUE, text } from './options.ts';
import { type ProgressBar, progressBar } from './progress.ts';
import { EXIT } from './run-command.ts';
import { instant } from './text-table.ts';

const SEARCH = { id: text('Message id, either kind'), key: text('One of its keys') } as const;

export const peekCommand: CommandDefinition = {
  words: ['peek'],
  usage:
    'Looks at messages, from where the group stands or from an offset or time; commits nothing',
  options: {
    ...{ ...QUEUE, ...SEARCH, tag: text('Its tag'), offset: text('Begin there; with --queue') },
    ...{
      since: text('Stored then or later: a time, or 10m, 2h (ago)'),
      until: text('Stored before'),
    },
    ...{ limit: text('Most messages (10)'), full: flag('Whole bodies') },
    'filter-patterns': text('Patterns to try instead of those of the event, as JSON'),
  },
  run: (run) => search(run, 'peek'),
};

export const getCommand: CommandDefinition = {
  words: ['get'],
  usage: 'One message with its whole body: by id, by key, or by queue and offset',
  options: { ...QUEUE, ...SEARCH, offset: text('With --queue') },
  run: (run) => search(run, 'get'),
};

/** Goes on where a search was cut short, until it has found enough; Ctrl-C leaves what was found. */
async function search(run: CommandRun, name: 'peek' | 'get'): Promise<number> {
  const limit = name === 'get' ? 1 : Number(run.args.limit ?? 10);
  const bar = progressBar(run);
  bar.show({ text: 'looking through the messages …' });
  let answer: PeekAnswer = await call(
    run,
    name,
    name === 'get' && run.args.offset === undefined ? { full: true } : {},
  );
  while (
    answer.cursor !== undefined &&
    answer.messages.length < limit &&
    !run.terminal.signal.aborted
  ) {
    showSearch(bar, answer, answer.messages.length);
    const more: PeekAnswer = await call(run, 'peek', {
      ...{ cursor: answer.cursor, limit: limit - answer.messages.length },
      ...(name === 'get' ? { full: true } : {}),
    });
    answer = {
      messages: [...answer.messages, ...more.messages],
      scanned: answer.scanned + more.scanned,
      ...(more.cursor === undefined ? {} : { cursor: more.cursor }),
      ...(more.left === undefined ? {} : { left: more.left }),
    };
  }
  bar.end();
  print(run, answer, messagesText);
  return name === 'get' && answer.messages.length === 0 ? EXIT.failed : EXIT.done;
}

export function showSearch(
  bar: ProgressBar,
  { scanned, left }: Pick<PeekAnswer, 'scanned' | 'left'>,
  found: number,
): void {
  bar.show({
    at: scanned,
    of: left === undefined ? undefined : scanned + left,
    text: `looked through, ${found} found`,
  });
}

function patternText(pattern: number | 'none'): string {
  return pattern === 'none'
    ? 'no pattern matches: done without its handler'
    : `matched by filterPatterns.${pattern}`;
}

export function messagesText({ messages, scanned, cursor }: PeekAnswer): string {
  const texts = messages.map((message) => {
    if ('problem' in message)
      return `${message.queue} offset ${message.offset}: ${printableLine(message.problem)}`;
    const {
      queue,
      offset,
      messageId,
      storeTimestamp,
      tags,
      keys,
      reconsumeTimes,
      body,
      bodySize,
      bodyEncoding,
      bodyCut,
      pattern,
    } = message;
    const facts = [
      `stored ${instant(storeTimestamp)}`,
      ...(tags === undefined ? [] : [`tag ${printableLine(tags)}`]),
      ...(keys === undefined ? [] : [`keys ${printableLine(keys)}`]),
      ...(reconsumeTimes === 0 ? [] : [`failed ${reconsumeTimes} times`]),
      `${bodySize} bytes${bodyEncoding === 'base64' ? ', base64' : ''}${bodyCut ? ', cut (--full shows all)' : ''}`,
      ...(pattern === undefined ? [] : [patternText(pattern)]),
    ];
    return `${queue} offset ${offset}  ${printableLine(messageId)}\n  ${facts.join(', ')}\n  ${printableText(body)}`;
  });
  const end =
    cursor === undefined
      ? `${messages.length} messages`
      : `${messages.length} messages; there are more behind ${cursor}`;
  return [...texts, `${end}, ${scanned} looked through`].join('\n');
}
