import type { FaultCost, Repeat } from './judge.ts';
import { FAULT_KINDS, PULLER_ENDED } from './plan-faults.ts';

export interface Check {
  readonly name: string;
  /** What is wrong; empty: passed. */
  readonly errors: readonly string[];
}

const SHOWN_ERRORS = 10;

/** One row per kind of fault. */
export function costTable(costs: readonly FaultCost[]): string {
  const header = [
    'fault',
    'times',
    'repeated',
    'most',
    'bound',
    'over',
    'DLQ extra',
    'catch-up',
    'longest',
  ];
  const rows = [...FAULT_KINDS, PULLER_ENDED].flatMap((kind) => {
    const own = costs.filter(({ fault }) => fault.kind === kind);
    if (own.length === 0) return [];
    const catchUps = own
      .flatMap(({ catchUpMs }) => (catchUpMs === undefined ? [] : [catchUpMs]))
      .sort((a, b) => a - b);
    const worst = own.reduce((most, cost) =>
      cost.repeats.length > most.repeats.length ? cost : most,
    );
    return [
      [
        kind,
        own.length,
        sum(own.map(({ repeats }) => repeats.length)),
        worst.repeats.length,
        worst.bound,
        own.filter((cost) => excess(cost) > 0).length,
        sum(own.map(({ extraDeadLetters }) => extraDeadLetters)),
        seconds(catchUps[Math.floor(catchUps.length / 2)]),
        seconds(catchUps.at(-1)),
      ].map(String),
    ];
  });
  return aligned([header, ...rows]);
}

/** One row per killed or frozen puller. */
export function pullerTable(costs: readonly FaultCost[], startedAt: number): string {
  const header = [
    'at',
    'fault',
    'queue',
    'repeated',
    'bound',
    'in flight',
    'ahead',
    'last second',
    'oldest',
    'catch-up',
  ];
  const rows = costs
    .filter(({ fault }) => fault.kind === 'puller killed' || fault.kind === 'puller frozen')
    .map(({ fault, repeats, bound, inFlight, ahead, perSecond, oldestMs, catchUpMs }) =>
      [
        seconds(fault.at - startedAt),
        fault.kind === 'puller frozen' ? `frozen ${seconds(fault.until - fault.at)}` : 'killed',
        fault.queues?.join(' ') ?? '',
        ...[repeats.length, bound, inFlight, ahead, perSecond],
        seconds(oldestMs),
        seconds(catchUpMs),
      ].map(String),
    );
  return aligned([header, ...rows]);
}

/** Repeated messages beyond the bound; negative: below it. */
export function excess({ repeats, bound }: FaultCost): number {
  return repeats.length - bound;
}

/** A line per check, its first errors below. */
export function checkLines(checks: readonly Check[]): string {
  return checks
    .map(({ name, errors }) => {
      const shown = errors.slice(0, SHOWN_ERRORS).map((error) => `\n      ${error}`);
      const more = errors.length > SHOWN_ERRORS ? `\n      … ${errors.length} in all` : '';
      return `${errors.length === 0 ? 'passed' : 'FAILED'}  ${name}${shown.join('')}${more}`;
    })
    .join('\n');
}

export function closingLine(checks: readonly Check[]): string {
  const failed = checks.filter(({ errors }) => errors.length > 0).length;
  return `${checks.length - failed} passed, ${failed} failed`;
}

export function describeRepeat({ delivery, before }: Repeat): string {
  return `message ${delivery.seq} of ${delivery.queue}/${delivery.offset}: ${before.verdict ?? 'no verdict'} in ${before.queue}/${before.offset}, again ${delivery.begunAt - before.begunAt} ms later`;
}

function aligned(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export function seconds(ms: number | undefined): string {
  return ms === undefined ? '–' : `${(ms / 1000).toFixed(1)} s`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
