import type { PauseAnswer } from '../../src/operator/pause.ts';
import { type CommandDefinition, call, print } from './command.ts';
import { DRY_RUN, QUEUE, text } from './options.ts';
import { instant } from './text-table.ts';

export const pauseCommand: CommandDefinition = {
  words: ['pause'],
  usage: 'No delivery for a time: of all groups, of one, of a topic or of a queue',
  options: {
    ...QUEUE,
    ...DRY_RUN,
    for: text('How long: 30s, 10m, 2h, 7d (1h)'),
    reason: text('Why; status shows it'),
  },
  run: async (run) => print(run, await call(run, 'pause'), pauseText),
};

export const resumeCommand: CommandDefinition = {
  words: ['resume'],
  usage: 'Ends what pause began',
  options: { ...QUEUE, ...DRY_RUN },
  run: async (run) => print(run, await call(run, 'resume'), pauseText),
};

function pauseText({ groups }: PauseAnswer): string {
  return groups
    .map(({ consumerGroup, scope, pausedUntil, queues, draining, dryRun }) => {
      const what = `${consumerGroup}${scope === '*' ? '' : ` ${scope}`}`;
      const would = dryRun ? 'would be ' : '';
      if (pausedUntil === undefined)
        return `${what}: ${would}resumed, ${queues} ${queues === 1 ? 'queue was' : 'queues were'} paused`;
      const held = draining === 0 ? '' : `; ${draining} of them are held and drain within 10 s`;
      return `${what}: ${would}paused until ${instant(pausedUntil)}, ${queues} ${queues === 1 ? 'queue' : 'queues'}${held}`;
    })
    .join('\n');
}
