/**
 * What brokers make of the values of a SQL92 filter. Mirrors ComparisonExpression, LogicExpression and UnaryExpression of
 * Java, with its three values of truth: null is neither true nor false. Numbers are an Integer, a Long or a Double.
 */

export interface Whole {
  readonly kind: 'int' | 'long';
  readonly value: bigint;
}

export interface Double {
  readonly kind: 'double';
  readonly value: number;
}

export type SqlValue = null | boolean | string | Whole | Double;
export type Properties = ReadonlyMap<string, string>;
export type Evaluate = (properties: Properties) => SqlValue;

/** Java throws here: the broker takes the message as one that does not match. */
export class SqlEvaluationError extends Error {}

const INT_MAX = 2n ** 31n - 1n;
const LONG_MAX = 2n ** 63n - 1n;
/** Of Double.valueOf, without hexadecimal forms; after trim(). */
const DOUBLE = /^([+-]?)(?:(NaN)|(Infinity)|((?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)[fFdD]?)$/;
/** What Java's trim() takes away, at either end. */
const BLANK_MAX = 0x20;

export function whole(value: bigint): Whole {
  return { kind: value <= INT_MAX && value >= -INT_MAX - 1n ? 'int' : 'long', value };
}

export function double(value: number): Double {
  return { kind: 'double', value };
}

export function negate(value: SqlValue): SqlValue {
  if (value === null || typeof value !== 'object') return null;
  if (value.kind === 'double') return double(-value.value);
  const bits = value.kind === 'int' ? 32 : 64;
  return { kind: value.kind, value: BigInt.asIntN(bits, -value.value) };
}

export function not(value: SqlValue): SqlValue {
  return value === null ? null : !value;
}

export function and(left: SqlValue, right: () => SqlValue): SqlValue {
  if (left === false) return false;
  const other = right();
  if (other === false) return false;
  return left === null || other === null ? null : true;
}

export function or(left: SqlValue, right: () => SqlValue): SqlValue {
  if (left === true) return true;
  const other = right();
  if (other === true) return true;
  return left === null || other === null ? null : false;
}

/** A property that stands alone as a condition: it is a text, and never true. */
export function asTruth(value: SqlValue): SqlValue {
  return value === null ? null : value === true;
}

export function equal(left: SqlValue, right: SqlValue): SqlValue {
  if (left === null) return right === null ? true : null;
  return right !== null && compare(left, right) === 0;
}

export type Sign = '>' | '>=' | '<' | '<=';

export function ordered(sign: Sign, left: SqlValue, right: () => SqlValue): SqlValue {
  if (left === null) return null;
  const other = right();
  if (other === null) return null;
  const order =
    typeof left === 'string' && typeof other === 'string'
      ? compareDoubles(readDouble(left), readDouble(other))
      : compare(left, other);
  switch (sign) {
    case '>':
      return order > 0;
    case '>=':
      return order >= 0;
    case '<':
      return order < 0;
    case '<=':
      return order <= 0;
  }
}

/** Values of two kinds are not equal, and the left one counts as the smaller, unless one can be read as the other. */
function compare(left: Exclude<SqlValue, null>, right: Exclude<SqlValue, null>): number {
  if (typeof left === 'string') return compareText(left, right);
  if (typeof left === 'boolean') {
    // Java casts the Boolean to a String.
    if (typeof right === 'string') throw new SqlEvaluationError('a condition is no text');
    return typeof right === 'boolean' ? Number(left) - Number(right) : -1;
  }
  if (typeof right === 'boolean') return -1;
  const other = typeof right === 'string' ? readNumber(right, left.kind) : right;
  if (left.kind === 'double' || other.kind === 'double')
    return compareDoubles(Number(left.value), Number(other.value));
  return left.value === other.value ? 0 : left.value < other.value ? -1 : 1;
}

function compareText(left: string, right: Exclude<SqlValue, null>): number {
  if (typeof right === 'string') return left === right ? 0 : left < right ? -1 : 1;
  if (typeof right === 'boolean') return Number(left.toLowerCase() === 'true') - Number(right);
  return compare(readNumber(left, right.kind), right);
}

/** Double.compareTo: NaN is the largest, and equal to itself; -0 is below 0. */
function compareDoubles(left: number, right: number): number {
  if (left < right) return -1;
  if (left > right) return 1;
  if (Object.is(left, right)) return 0;
  const rank = (value: number): number => (Number.isNaN(value) ? 2 : Object.is(value, -0) ? 0 : 1);
  return rank(left) - rank(right);
}

function readNumber(text: string, kind: Whole['kind'] | Double['kind']): Whole | Double {
  if (kind === 'double') return double(readDouble(text));
  const [, sign, digits] = /^([+-]?)0*(\d{1,19})$/.exec(withAsciiDigits(text)) ?? [];
  if (digits === undefined) throw new SqlEvaluationError('a text is no whole number');
  const value = sign === '-' ? -BigInt(digits) : BigInt(digits);
  const max = kind === 'int' ? INT_MAX : LONG_MAX;
  if (value > max || value < -max - 1n) throw new SqlEvaluationError('a number is too large');
  return { kind, value };
}

/** Integer.valueOf and Long.valueOf take the decimal digits of every script. */
function withAsciiDigits(text: string): string {
  return text.replaceAll(/\p{Nd}/gu, (digit) => {
    const code = digit.charCodeAt(0);
    // In the plane that Java's char has, digits begin at 0 or 6 of a row of 16.
    if (digit.length > 1) return digit;
    const hasZeroFirst = /\p{Nd}/u.test(String.fromCharCode(code & ~0xf));
    return String((code & 0xf) - (hasZeroFirst ? 0 : 6));
  });
}

function readDouble(text: string): number {
  const [, sign, nan, infinity, digits] = DOUBLE.exec(trimmed(text)) ?? [];
  const value = nan
    ? Number.NaN
    : infinity
      ? Number.POSITIVE_INFINITY
      : Number(digits ?? Number.NaN);
  if (Number.isNaN(value) && nan === undefined) throw new SqlEvaluationError('a text is no number');
  return sign === '-' ? -value : value;
}

function trimmed(text: string): string {
  let [from, to] = [0, text.length];
  while (from < to && text.charCodeAt(from) <= BLANK_MAX) from++;
  while (to > from && text.charCodeAt(to - 1) <= BLANK_MAX) to--;
  return text.slice(from, to);
}
