import { WHOLE_GROUP } from '../decide/state/operator-pause.ts';
import { pauseQueues, resumeQueues } from '../flow/operator-pauses.ts';
import type { OperatorPause } from '../model/assignment.ts';
import { queueKey } from '../model/message-queue.ts';
import type { SourceConfig } from '../model/source.ts';
import type { Arguments } from './arguments.ts';
import type { OperatorDeps } from './operator-deps.ts';
import { notFound, refused } from './operator-error.ts';
import {
  chooseQueue,
  chooseSource,
  chooseSources,
  chooseTopic,
  groupKey,
  requireStore,
} from './scope.ts';

export interface PauseAnswer {
  readonly groups: readonly {
    readonly cluster: string;
    readonly consumerGroup: string;
    /** `*`: the whole group; a topic; or a queue as `topic/broker/id`. */
    readonly scope: string;
    /** Epoch ms; absent: resumed. */
    readonly pausedUntil?: number;
    readonly reason?: string;
    /** Queues that are meant, and those of them that a puller still holds: it drains at its next renewal, within 10 s. */
    readonly queues: number;
    readonly draining: number;
    readonly dryRun: boolean;
  }[];
}

const HOUR_S = 3600;
const LONGEST_S = 366 * 24 * HOUR_S;
const MOST_REASON = 200;

/** No delivery until then: of all groups, of one, of a topic or of a queue. Holders finish what they have begun, commit and release. */
export async function pause(deps: OperatorDeps, args: Arguments): Promise<PauseAnswer> {
  const sources = scopes(deps, args);
  const seconds = args.whole('for', 1, LONGEST_S) ?? HOUR_S;
  const reason = (args.text('reason') ?? 'no reason given').slice(0, MOST_REASON);
  const dryRun = args.flag('dry-run');
  args.finish();
  const since = deps.clock.now();
  const wish: OperatorPause = { since, until: since + seconds * 1000, reason };
  return {
    groups: await Promise.all(
      sources.map(({ source, scope }) => pauseScope(deps, source, scope, wish, dryRun)),
    ),
  };
}

async function pauseScope(
  deps: OperatorDeps,
  source: SourceConfig,
  scope: string,
  wish: OperatorPause,
  dryRun: boolean,
) {
  const group = groupKey(source);
  const paused = await pauseQueues(requireStore(deps), { group, scope, dryRun }, wish);
  return { ...group, scope, pausedUntil: wish.until, reason: wish.reason, ...paused, dryRun };
}

/** Ends what `pause` began, of the same scope or a wider one. Pauses of the coordinator's own checks stay. */
export async function resume(deps: OperatorDeps, args: Arguments): Promise<PauseAnswer> {
  const sources = scopes(deps, args);
  const dryRun = args.flag('dry-run');
  args.finish();
  return {
    groups: await Promise.all(
      sources.map(({ source, scope }) => resumeScope(deps, source, scope, dryRun)),
    ),
  };
}

async function resumeScope(
  deps: OperatorDeps,
  source: SourceConfig,
  scope: string,
  dryRun: boolean,
) {
  const group = groupKey(source);
  const ended = await resumeQueues(requireStore(deps), { group, scope, dryRun }, deps.clock.now());
  if ('wider' in ended) {
    const { wider } = ended;
    return refused(
      wider.scope === WHOLE_GROUP
        ? `the whole group "${source.consumerGroup}" is paused (${wider.reason}): resume the group, then pause what is to rest`
        : `topic "${wider.scope}" is paused (${wider.reason}): resume it with --topic, then pause the queues that are to rest`,
    );
  }
  return { ...group, scope, queues: ended.queues, draining: 0, dryRun };
}

function scopes(deps: OperatorDeps, args: Arguments): { source: SourceConfig; scope: string }[] {
  if (args.text('topic') === undefined && args.text('queue') === undefined)
    return chooseSources(deps, args).map((source) => ({ source, scope: WHOLE_GROUP }));
  const source = chooseSource(deps, args);
  const queue = chooseQueue(source, args);
  const scope = queue === undefined ? chooseTopic(source, args) : queueKey(queue);
  return [{ source, scope: scope ?? notFound('no topic is named') }];
}
