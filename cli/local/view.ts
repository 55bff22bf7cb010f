import { styleText } from 'node:util';
import { printableLine } from '../../src/model/printable-text.ts';
import { lagOf, type QueueSnapshot } from './queue-snapshot.ts';
import type { Tally } from './tally.ts';

const BAR_WIDTH = 24;

/** One screen of the live view: a line per queue (holder, lag, progress) and the counts of the run. Pure text, no cursor codes. */
export function renderView(
  queues: readonly QueueSnapshot[],
  tally: Tally,
  expected: number,
  seconds: number,
): string {
  const width = Math.max(5, ...queues.map(({ queue }) => queueLabel(queue).length));
  const lines = queues.map((snapshot) => {
    const { queue, committed, max, holder } = snapshot;
    const share = max === 0n ? 1 : Number(((committed ?? 0n) * 1000n) / max) / 1000;
    const filled = Math.round(share * BAR_WIDTH);
    const bar =
      styleText('green', '█'.repeat(filled)) + styleText('dim', '░'.repeat(BAR_WIDTH - filled));
    return `${queueLabel(queue).padEnd(width)}  ${(holder?.slice(0, 8) ?? '–').padEnd(8)}  ${String(lagOf(snapshot)).padStart(6)}  ${bar} ${committed ?? 0n}/${max}`;
  });
  return [
    styleText(
      'bold',
      `${'queue'.padEnd(width)}  ${'holder'.padEnd(8)}  ${'lag'.padStart(6)}  progress`,
    ),
    ...lines,
    progressLine(tally, expected, seconds),
  ].join('\n');
}

/** The counts of the run in one line. */
export function progressLine(tally: Tally, expected: number, seconds: number): string {
  return `${seconds.toFixed(1)} s  sent ${tally.produced}/${expected}  handled ${tally.distinct}  failed deliveries ${tally.failed}  redelivered ${tally.redelivered}  dead-lettered ${tally.deadLettered}`;
}

function queueLabel(queue: QueueSnapshot['queue']): string {
  return printableLine(`${queue.topic}/${queue.brokerName}/${queue.queueId}`);
}

/** Shows a screen that replaces the one before on a terminal; elsewhere a progress line every few seconds. */
export class LiveView {
  readonly #out: NodeJS.WriteStream;
  readonly #plainIntervalMs: number;
  #height = 0;
  #lastPlain = Number.NEGATIVE_INFINITY;

  constructor(out: NodeJS.WriteStream, plainIntervalMs = 3000) {
    this.#out = out;
    this.#plainIntervalMs = plainIntervalMs;
  }

  show(queues: readonly QueueSnapshot[], tally: Tally, expected: number, seconds: number): void {
    if (!this.#out.isTTY) {
      if (seconds * 1000 - this.#lastPlain < this.#plainIntervalMs) return;
      this.#lastPlain = seconds * 1000;
      const held = queues.filter(({ holder }) => holder !== undefined).length;
      const lag = queues.reduce((sum, snapshot) => sum + lagOf(snapshot), 0n);
      this.#out.write(
        `${progressLine(tally, expected, seconds)}  queues ${held}/${queues.length} held, lag ${lag}\n`,
      );
      return;
    }
    this.clear();
    const screen = renderView(queues, tally, expected, seconds);
    this.#out.write(`${screen}\n`);
    this.#height = screen.split('\n').length;
  }

  /** Takes the screen away, so that what is written next stands in its place. */
  clear(): void {
    if (this.#height > 0) this.#out.write(`\x1b[${this.#height}A\x1b[J`);
    this.#height = 0;
  }
}
