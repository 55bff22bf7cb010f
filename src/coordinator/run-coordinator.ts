import { linkSignals } from '../model/linked-signal.ts';
import { serviceName } from '../model/metrics.ts';
import type { SourceConfig } from '../model/source.ts';
import type { GroupKey } from '../ports/assignment-store.ts';
import { allocateQueues } from './allocate-queues.ts';
import { checkGroup, drainHolders, type GroupCheck } from './check-group.ts';
import type { CoordinatorDeps } from './coordinator-deps.ts';
import { beginGroupRun, type Counts, type GroupRun, watches } from './group-run.ts';
import { invokePullers } from './invoke-pullers.ts';
import { keepMembers } from './keep-members.ts';
import { keepPauses } from './keep-pauses.ts';
import { measureLag } from './measure-lag.ts';
import { createPace, type Pace } from './paced.ts';
import type { Problem } from './problems.ts';
import { type Routes, readRoutes } from './read-routes.ts';
import { storeAssignments } from './store-assignments.ts';
import { createIdleWatch, createNoWatch, type IdleWatch } from './watch-idle-queues.ts';

/** RebalanceService's interval. */
const PASS_INTERVAL_MS = 20_000;
/** How often routes and leases are looked at between the passes. */
const LOOK_INTERVAL_MS = 5_000;
/** A look that failed is repeated after this at the earliest. */
const AGAIN_MS = 1_000;
/** One run per schedule of a minute; two that overlap do no harm. */
const RUN_MS = 55_000;
/** In mode schedule: a pass, and time to try it again when it fails. */
const SCHEDULED_RUN_MS = 15_000;
/** What the invocation keeps for its end: a pass that is under way may go on in it, except in the last second. */
const RESERVE_MS = 5_000;
const LAST_MOMENT_MS = 1_000;

export interface GroupReport extends GroupKey, Counts {
  readonly problems: readonly Problem[];
}

export interface CoordinatorReport {
  readonly groups: readonly GroupReport[];
}

/** One bounded run: every group on its own, so that what fails in one stops no other. Mirrors RebalanceService. */
export async function runCoordinator(deps: CoordinatorDeps): Promise<CoordinatorReport> {
  const until =
    deps.clock.now() +
    Math.min(watches(deps.service) ? RUN_MS : SCHEDULED_RUN_MS, deps.remainingMs() - RESERVE_MS);
  const pace = createPace();
  const paced: CoordinatorDeps = {
    ...deps,
    store: pace.store(deps.store),
    clients: (cluster) => pace.rocketmq(deps.clients(cluster)),
  };
  const groups = await Promise.all(
    deps.service.sources.map((source) => coordinate(source, paced, pace, until)),
  );
  deps.gauges?.record(
    { Service: serviceName(deps.service.service, deps.service.stage) },
    {
      CoordinatorHeartbeat: 1,
      CoordinatorErrorCount: groups.reduce((sum, { problems }) => sum + problems.length, 0),
    },
  );
  return { groups };
}

async function coordinate(
  source: SourceConfig,
  deps: CoordinatorDeps,
  pace: Pace,
  until: number,
): Promise<GroupReport> {
  const end = new AbortController();
  const run = beginGroupRun(
    source,
    deps,
    pace,
    until,
    // Unlinked by `end`.
    linkSignals(end.signal, deps.signal).signal,
  );
  (async () => {
    await run.clock.sleep(Math.max(0, until - run.clock.now()), end.signal);
    await run.clock.sleep(Math.max(0, deps.remainingMs() - LAST_MOMENT_MS), end.signal);
    run.logger.warn({}, 'the last pass takes too long and is left to the next run');
    end.abort(new Error('no time left'));
  })().catch((error: unknown) => {
    if (end.signal.aborted) return;
    run.logger.error(
      { err: error, code: 'ROCKETMQ_INTERNAL' },
      'the run of the coordinator has no time limit',
    );
  });
  await passUntilEnd(run);
  await measureLag(run).catch((error: unknown) => {
    if (!run.signal.aborted)
      run.logger.warn({ err: error }, 'the lag of the group cannot be measured');
  });
  end.abort(new Error('the run of the coordinator has ended'));
  const report = { ...run.group, ...run.counts, problems: run.problems.all() };
  run.logger.info({ ...run.counts, problems: report.problems.length }, 'coordinator run ended');
  return report;
}

/**
 * A pass every 20 s and at once when a route changed; between them a look every 5 s, and at once when a watched queue has work. In mode schedule the
 * first pass that succeeds is the last.
 */
async function passUntilEnd(run: GroupRun): Promise<void> {
  const watch = run.watches ? createIdleWatch(run) : createNoWatch(run);
  let last: Pass | undefined;
  while (run.clock.now() < run.until && !run.signal.aborted) {
    try {
      last = await passOrLook(run, watch, last);
      if (!run.watches) return;
    } catch (error) {
      if (!run.signal.aborted) run.problems.add(error);
      // A message that waits would have it tried again at once.
      await run.clock.sleep(AGAIN_MS, run.signal).catch(() => {});
    }
    await watch.workOrTimeout(Math.max(0, Math.min(LOOK_INTERVAL_MS, run.until - run.clock.now())));
  }
}

/** What the looks between two passes need of the last one. */
interface Pass {
  readonly at: number;
  readonly topologyHash: string;
  readonly check: GroupCheck;
  /** Every queue rests or is watched. */
  readonly quiet: boolean;
}

async function passOrLook(run: GroupRun, watch: IdleWatch, last: Pass | undefined): Promise<Pass> {
  const passDue = last === undefined || run.clock.now() - last.at >= PASS_INTERVAL_MS;
  // A message waits: no time for the name servers.
  if (!passDue && watch.found.size > 0) return look(run, watch, last);
  const routes = await readRoutes(run);
  return passDue || routes.hash !== last.topologyHash
    ? pass(run, watch, routes)
    : look(run, watch, last);
}

/** schedule → route → allocation → assignment → lease → invoke */
async function pass(run: GroupRun, watch: IdleWatch, routes: Routes): Promise<Pass> {
  run.counts.passes++;
  const at = run.clock.now();
  const before = changes(run);
  const check = await checkGroup(run, routes);
  if (run.source.coexist === true) {
    await keepMembers(run);
    const owned = await run.store.list(run.group);
    await keepPauses(run, owned);
    await drainHolders(run, owned, check);
    return { at, topologyHash: routes.hash, check, quiet: false };
  }
  const stored = await run.store.list(run.group);
  const allocation = allocateQueues(run, routes, stored);
  const assignments = check.refused
    ? stored
    : await storeAssignments(run, routes, allocation, stored);
  if (changes(run) > before)
    run.gauges?.record(
      { EventSource: run.eventSource },
      { AssignmentDuration: run.clock.now() - at },
    );
  await keepPauses(run, assignments);
  await drainHolders(run, assignments, check);
  const quiet = await invokePullers(run, assignments, { check, watch, askAll: true });
  return { at, topologyHash: routes.hash, check, quiet };
}

/** Of assignments, in this run. */
function changes({ counts: { created, moved, retired, revived } }: GroupRun): number {
  return created + moved + retired + revived;
}

/** Only the end of the path: has a lease ended, does one end soon, has a queue got messages? */
async function look(run: GroupRun, watch: IdleWatch, last: Pass): Promise<Pass> {
  if (run.source.coexist === true) {
    await keepMembers(run);
    return last;
  }
  if (last.check.refused || (last.quiet && watch.found.size === 0)) return last;
  const assignments = await run.store.list(run.group);
  return {
    ...last,
    quiet: await invokePullers(run, assignments, { check: last.check, watch, askAll: false }),
  };
}
