interface Line {
  readonly at: number;
  readonly host: string;
  readonly text: string;
  readonly fields: object | undefined;
}

/** What happened, line by line, and a digest of all of it: two runs of one seed have the same. */
export class Trace {
  readonly #lines: Line[] = [];
  readonly #start: number;
  #digest = 0x811c9dc5;

  constructor(start: number) {
    this.#start = start;
  }

  add(at: number, host: string, text: string, fields?: object): void {
    this.#lines.push({ at, host, text, fields });
    this.#fold(`${at}${host}${text}`);
  }

  get digest(): string {
    return this.#digest.toString(16).padStart(8, '0');
  }

  /** Readable lines, the last `most` of them. */
  lines(most = this.#lines.length): string[] {
    return this.#lines
      .slice(-Math.min(most, this.#lines.length))
      .map(({ at, host, text, fields }) => {
        const seconds = ((at - this.#start) / 1000).toFixed(3).padStart(9);
        return `${seconds}  ${host.padEnd(16)} ${text}${fields === undefined ? '' : ` ${show(fields)}`}`;
      });
  }

  #fold(text: string): void {
    let h = this.#digest;
    for (let at = 0; at < text.length; at++) h = Math.imul(h ^ text.charCodeAt(at), 0x01000193);
    this.#digest = h >>> 0;
  }
}

function show(fields: object): string {
  return Object.entries(fields)
    .map(([name, value]) => `${name}=${showValue(value)}`)
    .join(' ');
}

function showValue(value: unknown): string {
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  return typeof value === 'string'
    ? value
    : (JSON.stringify(value, (_key, one: unknown) =>
        typeof one === 'bigint' ? String(one) : one,
      ) ?? String(value));
}
