import { isLive } from '../decide/lease/lease.ts';
import type { Arguments } from './arguments.ts';
import type { OperatorDeps } from './operator-deps.ts';
import { assignmentsOf, chooseSources } from './scope.ts';

/** List prices in dollars, us-east-1, without free tiers; each answer says them. */
export const PRICES = {
  lambdaGbSecond: 0.0000133334,
  lambdaRequest: 0.2e-6,
  tableWrite: 0.625e-6,
  tableRead: 0.125e-6,
  schedule: 1e-6,
  metricMonth: 0.3,
} as const;

const HOURS = 730;
/** A holder renews each of its queues every 10 s. */
const RENEWALS_PER_HOUR = 360;
/** A coordinator that watches reads a group's items with every pass (20 s), twice in each and once more at the end of a run; its plan once in a pass. */
const LISTS_PER_HOUR = 60 * 3 * 2 + 60;
const PLANS_PER_HOUR = 60 * 3;
/** Mode schedule: one pass a minute. */
const SCHEDULED_LISTS_PER_HOUR = 60 * 2 + 60;
const SCHEDULED_PLANS_PER_HOUR = 60;
/** Of an item that is held, with names of some 20 characters; measured: 446 with shorter ones. A unit of reading is 4 KB of them. */
const ITEM_BYTES = 500;
const UNIT_BYTES = 4_096;
const COORDINATOR_SECONDS = 55;
/** Of a run in mode schedule, at 256 MB: an assumption; the log of the function tells the truth. */
const SCHEDULED_SECONDS = 2;

export interface CostLine {
  readonly what: string;
  readonly quantity: number;
  readonly unit: string;
  readonly price: number;
  readonly dollars: number;
}

export interface CostAnswer {
  readonly basis: {
    readonly groups: number;
    readonly queues: number;
    readonly heldQueues: number;
    readonly pullers: number;
  };
  readonly lines: readonly CostLine[];
  readonly dollars: number;
  readonly prices: typeof PRICES;
  readonly leftOut: readonly string[];
}

/** What the machinery costs in a month of 730 hours, if every hour were like this moment: counted from the leases in the table. */
export async function cost(deps: OperatorDeps, args: Arguments): Promise<CostAnswer> {
  const sources = chooseSources(deps, args);
  const pullerMb = args.whole('puller-memory', 128, 10_240) ?? 512;
  const coordinatorMb = args.whole('coordinator-memory', 128, 10_240) ?? 256;
  args.finish();
  const now = deps.clock.now();
  const items = (await Promise.all(sources.map((source) => assignmentsOf(deps, source))))
    .flat()
    .filter(({ retiredAt }) => retiredAt === undefined);
  const held = items.filter(({ lease }) => isLive(lease, now));
  const pullers = new Set(held.map(({ lease }) => lease?.holder));
  const basis = {
    groups: sources.length,
    queues: items.length,
    heldQueues: held.length,
    pullers: pullers.size,
  };
  // Of those that hold now: how long an invocation lives.
  const lives = held.flatMap(({ lease }) =>
    lease === undefined ? [] : [(lease.endsAt - lease.acquiredAt) / 1000],
  );
  const life =
    lives.length === 0
      ? 900
      : Math.max(60, lives.reduce((sum, one) => sum + one, 0) / lives.length);
  return {
    basis,
    ...bill(basis, {
      pullerGb: pullerMb / 1024,
      coordinatorGb: coordinatorMb / 1024,
      lifeSeconds: life,
      scheduled: deps.service.coordinatorMode === 'schedule',
    }),
  };
}

export interface CostSettings {
  readonly pullerGb: number;
  readonly coordinatorGb: number;
  readonly lifeSeconds: number;
  /** `coordinator.mode: schedule` */
  readonly scheduled?: boolean;
}

/** Units in an hour, if the queues are spread evenly over the groups. */
function reads(
  { groups, queues }: Pick<CostAnswer['basis'], 'groups' | 'queues'>,
  scheduled: boolean,
): number {
  const perList = groups === 0 ? 0 : Math.ceil(((queues / groups) * ITEM_BYTES) / UNIT_BYTES);
  const [lists, plans] = scheduled
    ? [SCHEDULED_LISTS_PER_HOUR, SCHEDULED_PLANS_PER_HOUR]
    : [LISTS_PER_HOUR, PLANS_PER_HOUR];
  return groups * (lists * Math.max(1, perList) + plans);
}

/** The arithmetic alone. */
export function bill(
  { groups, queues, heldQueues, pullers }: CostAnswer['basis'],
  { pullerGb, coordinatorGb, lifeSeconds, scheduled = false }: CostSettings,
): Omit<CostAnswer, 'basis'> {
  const successions = (pullers * HOURS * 3600) / lifeSeconds;
  const runs = HOURS * 60;
  const line = (what: string, quantity: number, unit: string, price: number): CostLine => ({
    what,
    quantity,
    unit,
    price,
    dollars: quantity * price,
  });
  const lines = [
    line('pullers, running', pullers * HOURS * 3600 * pullerGb, 'GB-s', PRICES.lambdaGbSecond),
    line(
      'coordinator, running',
      runs * (scheduled ? SCHEDULED_SECONDS : COORDINATOR_SECONDS) * coordinatorGb,
      'GB-s',
      PRICES.lambdaGbSecond,
    ),
    line('invocations of both', successions + runs, 'requests', PRICES.lambdaRequest),
    line(
      'table writes: renewals, acquisitions, releases',
      heldQueues * HOURS * RENEWALS_PER_HOUR + successions * 3,
      'writes',
      PRICES.tableWrite,
    ),
    line(
      'table reads: passes of the coordinator',
      HOURS * reads({ groups, queues }, scheduled),
      'reads',
      PRICES.tableRead,
    ),
    line('schedule', runs, 'invocations', PRICES.schedule),
  ];
  return {
    lines,
    dollars: lines.reduce((sum, { dollars }) => sum + dollars, 0),
    prices: PRICES,
    leftOut: [
      'your handlers',
      'logs',
      'CloudWatch metrics (each metric of each event source: $0.30)',
      'traffic between zones, NAT and VPC endpoints',
      'free tiers',
    ],
  };
}
