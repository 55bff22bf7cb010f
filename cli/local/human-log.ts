import { styleText } from 'node:util';
import { readJsonObject } from '../../src/console/read-json-object.ts';
import { printableText } from '../../src/model/printable-text.ts';

const LEVELS: Readonly<Record<number, string>> = {
  20: 'debug',
  30: 'info',
  40: styleText('yellow', 'warn'),
  50: styleText('red', 'error'),
  60: styleText('red', 'fatal'),
};
const HIDDEN = new Set([
  'level',
  'time',
  'msg',
  'pid',
  'hostname',
  'service',
  'requestId',
  'stack',
]);

/** A pino line as people read it: level, message, then the fields. Any other line stays as it is. */
export function humanLine(raw: string): string {
  // Handlers log what messages have. Our own colours are added behind this.
  const line = printableText(raw);
  const entry = readJsonObject(line.slice(Math.max(0, line.indexOf('{'))));
  if (entry === undefined || typeof entry.msg !== 'string') return line;
  const fields = Object.entries(entry).flatMap(([key, value]) =>
    HIDDEN.has(key)
      ? []
      : [`${key}=${typeof value === 'string' ? printableText(value) : JSON.stringify(value)}`],
  );
  // What a handler logs has levels of its own, or none.
  const level = LEVELS[Number(entry.level)] ?? (typeof entry.level === 'string' ? entry.level : '');
  return `${level === '' ? '' : `${level} `}${printableText(entry.msg)}${fields.length > 0 ? ` ${styleText('dim', fields.join(' '))}` : ''}`;
}
