import { ConfigError } from '../errors.ts';
import { nearest } from '../model/nearest.ts';

/** Refuses a value that programs gave, by the name of its place. @throws ConfigError */
export type Check = (value: unknown, place: string) => void;

const NAME = /^[%|a-zA-Z0-9_-]+$/;
const MAX_SHOWN = 60;

/** @param wanted what to give, such as "a string" */
export function refuse(value: unknown, place: string, wanted: string): never {
  const found = value === undefined ? 'missing' : `${shown(value)}, which is not valid`;
  throw new ConfigError(`${place} is ${found}: give ${wanted}`);
}

function shown(value: unknown): string {
  if (typeof value === 'string') {
    const text = value.length > MAX_SHOWN ? `${value.slice(0, MAX_SHOWN)}…` : value;
    return JSON.stringify(text);
  }
  if (value === null || ['number', 'boolean', 'bigint'].includes(typeof value))
    return String(value);
  if (typeof value === 'function' || typeof value === 'symbol') return `a ${typeof value}`;
  return Array.isArray(value) ? 'a list' : 'an object';
}

const that =
  (holds: (value: unknown) => boolean, wanted: string): Check =>
  (value, place) => {
    if (!holds(value)) refuse(value, place, wanted);
  };

export const text = that((value) => typeof value === 'string', 'a string');
export const filledText = that(
  (value) => typeof value === 'string' && value !== '',
  'a string of at least one character',
);
/** Java's Validators. */
export const rocketmqName = that(
  (value) => typeof value === 'string' && NAME.test(value),
  'a name out of a-z, A-Z, 0-9, _, -, % and |',
);
export const trueOrFalse = that((value) => typeof value === 'boolean', 'true or false');
export const offset = that(
  (value) => typeof value === 'bigint' && value >= 0n && value < 2n ** 63n,
  'a bigint from 0n to 2n ** 63n - 1n, such as 42n',
);
export const positive = that((value) => typeof value === 'number' && value > 0, 'a number above 0');
export const anyFunction = that((value) => typeof value === 'function', 'a function');
export const abortSignal = that(
  (value) => value instanceof AbortSignal,
  'the signal of an AbortController',
);

/** The part of pino that is used. */
export const logger: Check = (value, place) => {
  const names = ['debug', 'info', 'warn', 'error'] as const;
  const given = value as Readonly<Record<string, unknown>> | null | undefined;
  if (typeof value !== 'object' || names.some((name) => typeof given?.[name] !== 'function'))
    refuse(value, place, `an object with the functions ${names.join(', ')}`);
};

export function wholeNumber(from: number, to: number): Check {
  return that(
    (value) => Number.isInteger(value) && (value as number) >= from && (value as number) <= to,
    `a whole number from ${from} to ${to}`,
  );
}

export function oneOf(...values: readonly unknown[]): Check {
  return that((value) => values.includes(value), `one of ${values.join(', ')}`);
}

export function optional(check: Check): Check {
  return (value, place) => {
    if (value !== undefined) check(value, place);
  };
}

/** An object whose fields may have other names too, such as a message where a queue is wanted. */
export function objectWith(shape: Readonly<Record<string, Check>>, wanted: string): Check {
  return readable((value, place) => {
    if (!isObject(value)) refuse(value, place, wanted);
    for (const [name, check] of Object.entries(shape)) check(value[name], `${place}.${name}`);
  });
}

/** No list, Map, Date, Buffer or Promise: their content would be passed over without a word. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return Object.prototype.toString.call(value) === '[object Object]';
}

/** Getters and proxies may throw anything; it is refused as the value of the innermost object. */
function readable(check: Check): Check {
  return (value, place) => {
    try {
      check(value, place);
    } catch (error) {
      if (error instanceof ConfigError) throw error;
      throw new ConfigError(
        `${place} cannot be read (${textOf(error)}): give an object with plain values`,
        { cause: error },
      );
    }
  };
}

function textOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : typeof thrown;
}

/** An object with these fields only: a misspelt one is refused with the name that is nearest. */
export function fields(shape: Readonly<Record<string, Check>>, wanted = 'an object'): Check {
  const known = Object.keys(shape);
  const checkAll = objectWith(shape, wanted);
  return readable((value, place) => {
    if (isObject(value))
      for (const [name, found] of Object.entries(value))
        if (found !== undefined && !known.includes(name)) refuseUnknown(name, place, known);
    checkAll(value, place);
  });
}

function refuseUnknown(name: string, place: string, known: readonly string[]): never {
  const meant = nearest(name, known);
  throw new ConfigError(
    `${place}.${name} does not exist: ${meant === undefined ? `the fields here are ${known.join(', ')}` : `did you mean ${meant}?`}`,
  );
}

/** An object whose values all pass. */
export function valuesOf(check: Check, wanted: string): Check {
  return readable((value, place) => {
    if (!isObject(value)) refuse(value, place, wanted);
    for (const [name, each] of Object.entries(value)) check(each, `${place}.${name}`);
  });
}

/** The same, or a Map. */
export function entriesOf(check: Check, wanted: string): Check {
  const ofObject = valuesOf(check, wanted);
  return readable((value, place) => {
    if (!(value instanceof Map)) return ofObject(value, place);
    for (const [name, each] of value) {
      text(name, `a name in ${place}`);
      check(each, `${place}.${String(name)}`);
    }
  });
}

/** @param wanted what the elements are, such as "strings" */
export function listOf(check: Check, wanted: string): Check {
  return readable((value, place) => {
    if (!Array.isArray(value)) refuse(value, place, `a list of ${wanted}`);
    // A list may have holes, which `forEach` would pass over.
    for (const [index, each] of value.entries()) check(each, `${place}[${index}]`);
  });
}
