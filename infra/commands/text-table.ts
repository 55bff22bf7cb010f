import { printableLine } from '../../src/model/printable-text.ts';

/** A column: its title, and whether its cells are numbers, which stand at the right. */
export interface Column {
  readonly title: string;
  readonly right?: boolean;
}

/** Rows of texts under their titles, in columns as wide as their widest cell. No row has a blank end. */
export function textTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): string {
  const lines = [
    columns.map(({ title }) => title),
    ...rows.map((cells) => cells.map(printableLine)),
  ];
  const widths = columns.map((_, index) =>
    Math.max(...lines.map((cells) => width(cells[index] ?? ''))),
  );
  return lines
    .map((cells) =>
      columns
        .map(({ right }, index) => {
          const cell = cells[index] ?? '';
          const room = ' '.repeat((widths[index] ?? 0) - width(cell));
          return right ? room + cell : cell + room;
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function width(text: string): number {
  return Array.from(text).length;
}

/** `0.4 s`, `12 s`, `3 min 20 s`, `5 h 12 min`, `3 d 4 h`. */
export function duration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 10) return `${(ms / 1000).toFixed(1)} s`;
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48
    ? `${hours} h ${minutes % 60} min`
    : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** ISO 8601 in UTC, to the second: the same wherever it is read. */
export function instant(epochMs: number): string {
  return new Date(epochMs).toISOString().replace(/\.\d+Z$/, 'Z');
}
