import { printableLine } from '../../src/model/printable-text.ts';
import type { CommandRun } from './command.ts';
import { duration } from './text-table.ts';

/** How far long work is. */
export interface Progress {
  /** What is done of `of`; without either there is nothing to count, only something to wait for. */
  readonly at?: number;
  /** Undefined: it is not known yet how much it is. */
  readonly of?: number | undefined;
  readonly text: string;
}

export interface ProgressBar {
  show(progress: Progress): void;
  /** Takes the bar away. What came of the work is told by others. */
  end(): void;
}

const CLEAR_LINE = '\r\x1b[K';
const CELLS = 24;
/** Before that a rate says nothing. */
const FIRST_RATE_MS = 1_000;
const COLUMNS = 80;

/**
 * A bar with what is done, of how much, how fast, and how long it will take: on a terminal, where it is written over. Nothing at all with --json, or
 * where the other side is no terminal: logs and scripts have no use for a line that is true for a moment.
 */
export function progressBar({
  terminal,
  json,
}: Pick<CommandRun, 'terminal' | 'json'>): ProgressBar {
  const { err, control = (_, code) => void err.write(code) } = terminal;
  if (json || err.isTTY !== true) return { show() {}, end() {} };
  const began = terminal.now();
  // A line that wraps could not be written over. Terminals that do not know their width say 0.
  const width = (err.columns === undefined || err.columns === 0 ? COLUMNS : err.columns) - 1;
  return {
    show(progress) {
      const bar = printableLine(barText(progress, terminal.now() - began));
      control('err', CLEAR_LINE + bar.slice(0, width));
    },
    end: () => control('err', CLEAR_LINE),
  };
}

/** `[######..................] 500 of 2000, 250/s, 6.0 s left: 3 found` */
export function barText({ at, of, text }: Progress, elapsedMs: number): string {
  if (at === undefined) return text;
  const rate = elapsedMs < FIRST_RATE_MS ? 0 : (at * 1000) / elapsedMs;
  const facts = [
    of === undefined ? String(at) : `${at} of ${of}`,
    ...(rate === 0 ? [] : [`${rate < 10 ? rate.toFixed(1) : Math.round(rate)}/s`]),
    ...(rate === 0 || of === undefined || of <= at
      ? []
      : [`${duration(((of - at) * 1000) / rate)} left`]),
  ].join(', ');
  if (of === undefined) return `${facts}: ${text}`;
  const filled = of === 0 ? CELLS : Math.min(CELLS, Math.floor((at * CELLS) / of));
  return `[${'#'.repeat(filled)}${'.'.repeat(CELLS - filled)}] ${facts}: ${text}`;
}
