/** What a fault run does to the service. One word each for tables and logs. */
export const FAULT_KINDS = [
  'puller killed',
  'puller frozen',
  'coordinator killed',
  'handler killed',
  'table frozen',
  'broker frozen',
  'broker terminated',
  'broker killed',
  'name server frozen',
  'concurrency 6',
] as const;

export type FaultKind = (typeof FAULT_KINDS)[number];

/** No fault, but a reason to deliver again what was done ahead of a failed message: a puller that ended as it should. */
export const PULLER_ENDED = 'puller ended';

export interface PlannedFault {
  readonly kind: FaultKind;
  /** Pause before it. */
  readonly afterMs: number;
  /** 0 for what is over at once. */
  readonly lastsMs: number;
  /** 0 ≤ choice < 1: which of the candidates it hits. */
  readonly choice: number;
}

/** Shortest and longest duration in ms. */
const DURATIONS: Readonly<Partial<Record<FaultKind, readonly [number, number]>>> = {
  'puller frozen': [3_000, 45_000],
  'table frozen': [2_000, 6_000],
  'broker frozen': [2_000, 8_000],
  'name server frozen': [2_000, 10_000],
  'concurrency 6': [3_000, 8_000],
};
export interface PlanOptions {
  readonly seed: number;
  readonly faults: number;
  /** Mean pause between two faults. */
  readonly everyMs: number;
  /** Default: all. */
  readonly kinds?: readonly FaultKind[];
}

/** The same for the same options. Every kind comes before one comes a second time. */
export function planFaults(options: PlanOptions): PlannedFault[] {
  const { seed, faults, everyMs, kinds = FAULT_KINDS } = options;
  const random = randomFrom(seed);
  const turns: FaultKind[] = [];
  while (turns.length < faults) turns.push(...shuffled(kinds, random));
  return turns.slice(0, faults).map((kind) => {
    const [shortest, longest] = DURATIONS[kind] ?? [0, 0];
    return {
      kind,
      afterMs: Math.round(everyMs * (0.5 + random())),
      lastsMs: Math.round(shortest + random() * (longest - shortest)),
      choice: random(),
    };
  });
}

/** How long the producer has to send while they happen. It waits for a broker that is away, and pullers freeze while other faults happen. */
export function durationOf(plan: readonly PlannedFault[]): number {
  return plan.reduce((sum, { kind, afterMs, lastsMs }) => {
    const waitMs = kind === 'puller frozen' || kind === 'broker frozen' ? 0 : lastsMs;
    return sum + afterMs + waitMs;
  }, 0);
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const mixed = [...items];
  for (let last = mixed.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [mixed[last], mixed[other]] = [mixed[other] as T, mixed[last] as T];
  }
  return mixed;
}

/** mulberry32: 0 ≤ number < 1. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
