import { queueKey } from '../../src/model/message-queue.ts';
import type { GroupStatus, QueueStatus, StatusAnswer } from '../../src/operator/status.ts';
import { type CommandDefinition, type CommandRun, call } from './command.ts';
import { TOPIC, WATCH } from './options.ts';
import { watched } from './run-command.ts';
import { type Column, duration, instant, textTable } from './text-table.ts';

export const statusCommand: CommandDefinition = {
  words: ['status'],
  usage: 'Groups and queues: who holds them, lag, age of the oldest message, state and reason',
  options: { ...TOPIC, ...WATCH },
  run: (run) =>
    watched(run, async () => {
      const answer = await readStatus(run);
      return run.json ? JSON.stringify(answer) : statusText(answer);
    }),
};

/** All groups, page by page. */
export async function readStatus(
  run: Pick<CommandRun, 'operator' | 'args'>,
): Promise<StatusAnswer> {
  let page = await call(run, 'status');
  const groups = [...page.groups];
  while (page.cursor !== undefined) {
    page = await call(run, 'status', { cursor: page.cursor });
    groups.push(...page.groups);
  }
  const { at, service, stage } = page;
  return { at, service, stage, groups };
}

const COLUMNS: readonly Column[] = [
  { title: 'QUEUE' },
  { title: 'STATE' },
  { title: 'SLOT', right: true },
  { title: 'HOLDER' },
  { title: 'BROKER OFFSET', right: true },
  { title: 'CONSUMER OFFSET', right: true },
  { title: 'LAG', right: true },
  { title: 'OLDEST', right: true },
  { title: 'REASON' },
];

export function statusText({ groups, service, stage, at }: StatusAnswer): string {
  return [`${service} (${stage}) at ${instant(at)}`, ...groups.map(groupText)].join('\n\n');
}

function groupText(group: GroupStatus): string {
  const { consumerGroup, cluster, mode, lag, oldestAgeMs, deadLetters, problems, queues } = group;
  const head = [
    `${consumerGroup} (cluster ${cluster}, ${mode})`,
    `lag ${lag}`,
    ...(oldestAgeMs === undefined ? [] : [`oldest ${duration(oldestAgeMs)}`]),
    ...(deadLetters === undefined
      ? []
      : [`dead letters ${deadLetters.waiting} waiting of ${deadLetters.stored}`]),
  ].join(', ');
  return [
    head,
    ...problems.map(({ topic, ...problem }) => problemText(problem, topic)),
    ...queueProblems(group),
    ...(queues.length === 0
      ? ['no queues: its topics have none, or cannot be read']
      : [textTable(COLUMNS, queues.map(row))]),
  ].join('\n');
}

const MAX_QUEUE_PROBLEMS = 10;

/** What is wrong with single queues, once where it is the same for several. */
function queueProblems({ problems, queues }: GroupStatus): string[] {
  const shown = new Set(problems.map(({ message }) => message));
  const lines: string[] = [];
  for (const { brokerName, reason = 'UNKNOWN_ERROR', code, detail } of queues) {
    if (detail === undefined || shown.has(detail)) continue;
    shown.add(detail);
    lines.push(problemText({ reason, message: detail, code }, brokerName));
  }
  const more = lines.length - MAX_QUEUE_PROBLEMS;
  return more > 0 ? [...lines.slice(0, MAX_QUEUE_PROBLEMS), `! and ${more} more`] : lines;
}

function problemText(
  problem: {
    readonly reason: string;
    readonly message: string;
    readonly code?: string | undefined;
  },
  of: string | undefined,
): string {
  const { reason, message, code } = problem;
  const where = of === undefined ? '' : ` ${of}`;
  return `! ${reason}${where}: ${message}${code === undefined ? '' : ` (${code})`}`;
}

const SHORT_ID = 8;

function row(queue: QueueStatus): string[] {
  const { state, slot, holder, brokerOffset, consumerOffset, lag, oldestAgeMs } = queue;
  return [
    queueKey(queue),
    state,
    slot === undefined ? '-' : String(slot),
    holder?.slice(0, SHORT_ID) ?? '-',
    brokerOffset ?? '-',
    consumerOffset ?? '-',
    lag ?? '-',
    oldestAgeMs === undefined ? '-' : duration(oldestAgeMs),
    why(queue),
  ];
}

function why({ reason, pausedUntil, pauseReason }: QueueStatus): string {
  if (reason === undefined) return '';
  return pausedUntil === undefined
    ? reason
    : `${reason} until ${instant(pausedUntil)}: ${pauseReason}`;
}
