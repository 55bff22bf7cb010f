import { ProtocolError } from '../errors.ts';

/** A value of a fastjson body: integers beyond 2^53 are bigint; a map whose keys are objects becomes a Map. */
export type FastjsonValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | FastjsonValue[]
  | Map<FastjsonValue, FastjsonValue>
  | { [key: string]: FastjsonValue };

const MAX_DEPTH = 64;
/** A run of digits behind a structural character; inside a string it only costs the slower way. */
const MAYBE_UNSAFE_INTEGER = /(?:^|[:,[])\s*-?\d{16}/;

/**
 * Reads a body as fastjson 1.x writes it: JSON, except that a Map<Long, …> has bare integer keys (`{0:"ip:port"}`, read as the key "0")
 * and a Map<MessageQueue, …> has objects as keys (`{{"queueId":1}:{…}}`, read into a Map; an empty one is `{}` and reads as an object).
 * 64-bit integers stay exact: beyond 2^53 they are bigint.
 * @throws ProtocolError for anything else, and for nesting deeper than 64
 */
export function parseFastjson(text: string | Buffer): FastjsonValue {
  const source = typeof text === 'string' ? text : text.toString('utf8');
  if (!MAYBE_UNSAFE_INTEGER.test(source) && !isDeep(source)) {
    try {
      return JSON.parse(source) as FastjsonValue;
    } catch {
      // Not plain JSON: the tolerant reader decides.
    }
  }
  const reader = new Reader(source);
  const value = reader.value(0);
  reader.end();
  return value;
}

/** JSON.parse knows no bound of its own. Text that is no JSON may be misjudged here; the reader finds out. */
function isDeep(text: string): boolean {
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (quoted) {
      if (char === '\\') at++;
      else if (char === '"') quoted = false;
    } else if (char === '"') quoted = true;
    else if (char === '{' || char === '[') {
      if (++depth > MAX_DEPTH) return true;
    } else if (char === '}' || char === ']') depth--;
  }
  return false;
}

/** Node 22 has it; the type library of ES2024 does not know it yet. */
const json = JSON as typeof JSON & { rawJSON(text: string): unknown };

/** JSON text in which a bigint is written as the integer it is. */
export function stringifyJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'bigint' ? json.rawJSON(item.toString()) : item,
  );
}

/** The fields of an object; throws when the value is anything else. */
export function asObject(
  value: FastjsonValue | undefined,
  what: string,
): { [key: string]: FastjsonValue } {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof Map)
    throw new ProtocolError(`${what} is no JSON object`);
  return value;
}

/** The items of an array; an absent or null one is empty. */
export function asArray(value: FastjsonValue | undefined, what: string): FastjsonValue[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new ProtocolError(`${what} is no JSON array`);
  return value;
}

export function asString(value: FastjsonValue | undefined, what: string): string {
  if (typeof value !== 'string') throw new ProtocolError(`${what} is no string`);
  return value;
}

export function asInteger(value: FastjsonValue | undefined, what: string): number {
  if (typeof value !== 'number' || !Number.isInteger(value))
    throw new ProtocolError(`${what} is no whole number`);
  return value;
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  end(): void {
    this.#space();
    if (this.#at < this.#text.length) throw this.#error('text after the value');
  }

  value(depth: number): FastjsonValue {
    if (depth > MAX_DEPTH) throw this.#error(`nesting deeper than ${MAX_DEPTH}`);
    this.#space();
    const char = this.#text[this.#at];
    switch (char) {
      case '{':
        return this.#object(depth);
      case '[':
        return this.#array(depth);
      case '"':
      case "'":
        return this.#string(char);
      case 't':
        return this.#word('true', true);
      case 'f':
        return this.#word('false', false);
      case 'n':
        return this.#word('null', null);
      default:
        return this.#number();
    }
  }

  #object(depth: number): FastjsonValue {
    this.#at++;
    if (this.#skip('}')) return {};
    const entries: [FastjsonValue, FastjsonValue][] = [];
    do {
      const key = this.#key(depth);
      this.#expect(':');
      entries.push([key, this.value(depth + 1)]);
    } while (this.#skip(','));
    this.#expect('}');
    // fromEntries defines what an assignment would not: a key named __proto__.
    return entries.some(([key]) => typeof key === 'object')
      ? new Map(entries)
      : Object.fromEntries(entries);
  }

  /** An object that stands as key, or the text of a quoted or bare one. */
  #key(depth: number): FastjsonValue {
    const key = this.value(depth + 1);
    return typeof key === 'object' && key !== null ? key : String(key);
  }

  #array(depth: number): FastjsonValue[] {
    this.#at++;
    const items: FastjsonValue[] = [];
    if (this.#skip(']')) return items;
    do items.push(this.value(depth + 1));
    while (this.#skip(','));
    this.#expect(']');
    return items;
  }

  #string(quote: string): string {
    let end = this.#at + 1;
    while (end < this.#text.length && this.#text[end] !== quote)
      end += this.#text[end] === '\\' ? 2 : 1;
    if (end >= this.#text.length) throw this.#error('a string without end');
    const inner = this.#text.slice(this.#at + 1, end);
    const value = inner.includes('\\')
      ? inner.replace(ESCAPE, (sequence) => this.#unescape(sequence))
      : inner;
    this.#at = end + 1;
    return value;
  }

  #unescape(sequence: string): string {
    if (sequence.length > 2) return String.fromCharCode(Number.parseInt(sequence.slice(2), 16));
    const value = ESCAPED[sequence.slice(1)];
    if (value === undefined) throw this.#error(`the bad escape ${sequence}`);
    return value;
  }

  #number(): number | bigint {
    NUMBER.lastIndex = this.#at;
    const match = NUMBER.exec(this.#text);
    if (match === null) throw this.#error('no value');
    this.#at += match[0].length;
    const value = Number(match[0]);
    return match[1] === undefined && !Number.isSafeInteger(value) ? BigInt(match[0]) : value;
  }

  #word<T extends FastjsonValue>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) throw this.#error('no value');
    this.#at += word.length;
    return value;
  }

  #skip(char: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #expect(char: string): void {
    if (!this.#skip(char)) throw this.#error(`no "${char}"`);
  }

  #space(): void {
    while (this.#at < this.#text.length && this.#text.charCodeAt(this.#at) <= 0x20) this.#at++;
  }

  #error(what: string): ProtocolError {
    return new ProtocolError(
      `a JSON body has ${what} at ${this.#at}: ${this.#text.slice(Math.max(0, this.#at - 20), this.#at + 20)}`,
    );
  }
}

/** Longer runs of digits are no number of Java's, and cost BigInt more than linear time. */
const NUMBER = /-?\d{1,400}((?:\.\d{1,400})?[eE][+-]?\d{1,9}|\.\d{1,400})?/y;
const ESCAPE = /\\(?:u[0-9a-fA-F]{4}|.)/gs;
const ESCAPED: Readonly<Record<string, string>> = {
  '"': '"',
  "'": "'",
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};
