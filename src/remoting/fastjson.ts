import { ProtocolError } from '../errors.ts';

/** A value of a fastjson body: numbers beyond 2^53 are bigint; a map whose keys are objects becomes a Map. */
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
const UNSAFE_INTEGER = /\d{16}/;

/**
 * Reads a body as fastjson 1.x writes it: JSON, except that a Map<Long, …> has bare integer keys (`{0:"ip:port"}`)
 * and a Map<MessageQueue, …> has objects as keys (`{{"queueId":1}:{…}}`, read into a Map). 64-bit integers stay exact.
 * @throws ProtocolError
 */
export function parseFastjson(text: string | Buffer): FastjsonValue {
  const source = typeof text === 'string' ? text : text.toString('utf8');
  if (!UNSAFE_INTEGER.test(source)) {
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

/** JSON text in which a bigint is written as the integer it is. */
export function stringifyJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) => (typeof item === 'bigint' ? rawJson(item.toString()) : item));
}

/** The fields of an object; throws when the value is anything else. */
export function asObject(value: FastjsonValue | undefined, what: string): { [key: string]: FastjsonValue } {
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
  if (typeof value !== 'number' || !Number.isInteger(value)) throw new ProtocolError(`${what} is no whole number`);
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
    const fields: { [key: string]: FastjsonValue } = Object.create(null);
    let map: Map<FastjsonValue, FastjsonValue> | undefined;
    if (this.#skip('}')) return { ...fields };
    do {
      const key = this.#key(depth);
      this.#expect(':');
      const value = this.value(depth + 1);
      if (typeof key === 'string') fields[key] = value;
      else {
        map ??= new Map();
        map.set(key, value);
      }
    } while (this.#skip(','));
    this.#expect('}');
    return map ?? fields;
  }

  /** A quoted or bare integer key as text, or the object that stands as key. */
  #key(depth: number): FastjsonValue {
    this.#space();
    const char = this.#text[this.#at];
    if (char === '"' || char === "'") return this.#string(char);
    if (char === '{') return this.#object(depth + 1);
    return String(this.#number());
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
    while (end < this.#text.length && this.#text[end] !== quote) end += this.#text[end] === '\\' ? 2 : 1;
    if (end >= this.#text.length) throw this.#error('a string without end');
    const inner = this.#text.slice(this.#at + 1, end);
    const literal = quote === '"' ? inner : inner.replaceAll("\\'", "'").replaceAll('"', '\\"');
    let value: string;
    try {
      value = inner.includes('\\') || quote === "'" ? (JSON.parse(`"${literal}"`) as string) : inner;
    } catch {
      throw this.#error('a string with a bad escape');
    }
    this.#at = end + 1;
    return value;
  }

  #number(): number | bigint {
    const match = NUMBER.exec(this.#text.slice(this.#at, this.#at + 400));
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
    return new ProtocolError(`a JSON body has ${what} at ${this.#at}: ${this.#text.slice(Math.max(0, this.#at - 20), this.#at + 20)}`);
  }
}

const NUMBER = /^-?\d+((?:\.\d+)?(?:[eE][+-]?\d+)|\.\d+)?/;

/** JSON.rawJSON is in Node 22; the type library of ES2024 does not know it yet. */
const rawJson = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON;
