import { type Alternative, compilePattern } from '../../model/compile-pattern.ts';
import type { FilterPattern } from '../../model/filter-pattern.ts';
import { matchesFields } from './match-fields.ts';
import { allowsAbsence, type Leaf, matchesLeaf } from './match-rule.ts';

/** What patterns see of a message; values are read when a pattern asks for them. */
export interface Filterable {
  /** undefined: it is no UTF-8. */
  readonly body: string | undefined;
  /** As the message has it. */
  readonly bodyBytes: number;
  readonly tags: string | undefined;
  readonly keys: readonly string[];
  readonly properties: Readonly<Record<string, string>>;
}

/**
 * A larger body is not parsed and counts as text: parsed, a body of nothing but "[]" takes many
 * times its size. Lambda's limit of an event, about.
 */
export const MAX_FILTERED_JSON_BYTES = 6 * 1024 * 1024;

/** Does one of the patterns match? Lambda's event filtering: a message that none matches is done without its handler. */
export function matchesAny(patterns: readonly FilterPattern[], message: Filterable): boolean {
  return firstMatch(patterns, message) !== undefined;
}

/** Index of the first pattern that matches the message. */
export function firstMatch(
  patterns: readonly FilterPattern[],
  message: Filterable,
): number | undefined {
  let json: { readonly value: object | undefined } | undefined;
  const parsed = (): object | undefined => {
    json ??= { value: readJson(message) };
    return json.value;
  };
  const index = compiled(patterns).findIndex((alternatives) =>
    alternatives.some((one) => matches(one, message, parsed)),
  );
  return index < 0 ? undefined : index;
}

const COMPILED = new WeakMap<readonly FilterPattern[], readonly Alternative[][]>();

function compiled(patterns: readonly FilterPattern[]): readonly Alternative[][] {
  let all = COMPILED.get(patterns);
  if (all === undefined) {
    all = patterns.map(compilePattern);
    COMPILED.set(patterns, all);
  }
  return all;
}

function matches(
  { bodyText, bodyFields, tags, keys, properties }: Alternative,
  message: Filterable,
  parsed: () => object | undefined,
): boolean {
  return (
    (tags === undefined || matchesTexts(tags, message.tags === undefined ? [] : [message.tags])) &&
    (keys === undefined || matchesTexts(keys, message.keys)) &&
    (properties === undefined || matchesFields(properties, message.properties)) &&
    (bodyText === undefined || matchesText(bodyText, message.body, parsed)) &&
    (bodyFields === undefined || matchesJson(bodyFields, parsed()))
  );
}

function matchesTexts(rules: Alternative['keys'] & object, texts: readonly Leaf[]): boolean {
  return texts.length === 0 ? allowsAbsence(rules) : texts.some((one) => matchesLeaf(rules, one));
}

/** Lambda drops a message whose body is JSON where the pattern is about text, and the other way round. */
function matchesText(
  rules: Alternative['bodyText'] & object,
  body: string | undefined,
  parsed: () => object | undefined,
): boolean {
  return body !== undefined && matchesLeaf(rules, body) && parsed() === undefined;
}

function matchesJson(
  fields: Alternative['bodyFields'] & object,
  value: object | undefined,
): boolean {
  return value !== undefined && matchesFields(fields, value);
}

/** undefined: the body is text (a number or a text in quotes is, too), or binary. */
function readJson({ body, bodyBytes }: Filterable): object | undefined {
  if (body === undefined || bodyBytes > MAX_FILTERED_JSON_BYTES || !/^\s*[[{]/.test(body))
    return undefined;
  return (mayBeInexact(body) ? parse(body, exactNumbers) : undefined) ?? parse(body);
}

/** undefined: it is no JSON, or nested too deep for a reviver. */
function parse(body: string, reviver?: typeof exactNumbers): object | undefined {
  try {
    return JSON.parse(body, reviver) as object;
  } catch {
    return undefined;
  }
}

function mayBeInexact(json: string): boolean {
  return /[\d.]{16}|[eE][+-]?\d\d\d/.test(json);
}

/** A number that no double is equal to is no number for rules, as AWS's matcher has it (ComparableNumber): it is NaN. */
function exactNumbers(
  _name: string,
  value: unknown,
  context?: { readonly source?: string },
): unknown {
  if (typeof value !== 'number' || context?.source === undefined) return value;
  return decimal(context.source) === decimal(String(value)) ? value : Number.NaN;
}

/** One text for each number: its digits without zeros around them, and their exponent. */
function decimal(text: string): string {
  const [, sign, whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  const digits = whole + fraction;
  let from = 0;
  while (digits[from] === '0') from++;
  let to = digits.length;
  while (to > from && digits[to - 1] === '0') to--;
  const short = digits.slice(from, to);
  return short === ''
    ? '0'
    : `${sign}${short}e${Number(exponent) - fraction.length + digits.length - to}`;
}
