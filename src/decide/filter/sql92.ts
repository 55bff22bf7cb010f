/**
 * The SQL92 of RocketMQ's filters, read as brokers read it, so that a mistake is found when a service is packaged: a filter that a broker cannot
 * compile lets every message through. Mirrors SelectorParser.jj with the checks of ComparisonExpression and ConstantExpression.
 * It is evaluated here, too, for redeliveries, which brokers do not filter.
 */

import {
  and,
  asTruth,
  double,
  type Evaluate,
  equal,
  negate,
  not,
  or,
  ordered,
  type Properties,
  type Sign,
  SqlEvaluationError,
  type SqlValue,
  whole,
} from './sql-values.ts';

type Kind = 'text' | 'number' | 'true or false' | 'null' | 'property' | 'condition' | 'negated';

interface Operand {
  readonly kind: Kind;
  readonly of: Evaluate;
  /** Of a number that stands there as such. */
  readonly value?: number;
}

interface Token {
  readonly text: string;
  readonly at: number;
  readonly type: 'word' | 'name' | 'text' | 'number' | 'sign' | 'end';
}

const WORDS = new Set(
  'NOT AND OR BETWEEN IN TRUE FALSE NULL IS CONTAINS STARTSWITH ENDSWITH'.split(' '),
);
const BLANK = /(?:[ \t\n\r\f]|--[^\n\r]*(?:\r\n|\n|\r)|\/\*[^*]*\*(?:\*|[^*/][^*]*\*)*\/)*/y;
const PARTS: readonly (readonly [Token['type'], RegExp])[] = [
  ['text', /'(?:''|[^'])*'/y],
  [
    'number',
    /[0-9]+\.[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+|0|[1-9][0-9]*[lL]?/y,
  ],
  ['name', /[a-zA-Z_$][a-zA-Z0-9_$]*/y],
  ['sign', /<>|<=|>=|[=<>(),+-]/y],
];
const LONG_MAX = 2n ** 63n - 1n;
/** Java's Double.MIN_VALUE is the smallest above zero. */
const DOUBLE_MIN = 5e-324;

class SqlError extends Error {}

/** What is wrong with a filter, as a piece of a sentence. undefined: brokers of 5.x compile all of it (4.9 knows no CONTAINS, STARTSWITH, ENDSWITH). */
export function problemOfSql(sql: string): string | undefined {
  try {
    new Reader(sql).selector();
    return undefined;
  } catch (error) {
    if (error instanceof SqlError) return error.message;
    // The stack ends with thousands of parentheses.
    if (error instanceof RangeError) return 'it is nested too deeply';
    throw error;
  }
}

/**
 * The filter as a test of a message's properties.
 * @returns undefined: brokers do not compile it
 */
export function compileSql(sql: string): ((properties: Properties) => boolean) | undefined {
  let of: Evaluate;
  try {
    of = new Reader(sql).selector();
  } catch (error) {
    if (error instanceof SqlError) return undefined;
    throw error;
  }
  return (properties) => {
    try {
      return of(properties) === true;
    } catch (error) {
      if (error instanceof SqlEvaluationError) return false;
      throw error;
    }
  };
}

class Reader {
  readonly #sql: string;
  #next: Token;

  constructor(sql: string) {
    this.#sql = sql;
    this.#next = this.#read(0);
  }

  selector(): Evaluate {
    const of = asCondition(this.#or());
    // Brokers would not look at it, and filter by what stands before.
    if (this.#next.type !== 'end') this.#fail(`brokers read no further than ${this.#here()}`);
    return of;
  }

  #or(): Operand {
    let left = this.#and();
    while (this.#take('OR')) left = both(or, left, this.#and());
    return left;
  }

  #and(): Operand {
    let left = this.#equality();
    while (this.#take('AND')) left = both(and, left, this.#equality());
    return left;
  }

  #equality(): Operand {
    let left = this.#comparison();
    for (;;) {
      const { of } = left;
      const isUnequal = this.#take('<>');
      if (isUnequal || this.#take('=')) {
        const right = this.#comparison();
        if (left.kind === 'null' || right.kind === 'null')
          this.#fail('nothing is equal to NULL: write IS NULL or IS NOT NULL');
        if (left.kind === 'true or false' && (right.kind === 'text' || right.kind === 'number'))
          this.#fail(`${left.kind} cannot be compared with a ${right.kind}`);
        left = condition((properties) => equal(of(properties), right.of(properties)), isUnequal);
      } else if (this.#take('IS')) {
        const isNot = this.#take('NOT');
        this.#expect('NULL');
        left = condition((properties) => of(properties) === null, isNot);
      } else return left;
    }
  }

  #comparison(): Operand {
    let left = this.#unary();
    for (;;) {
      const sign = (['>=', '>', '<=', '<'] as const).find((one) => this.#take(one));
      if (sign !== undefined) left = this.#ordered(sign, left, this.#unary());
      else {
        const isNot = this.#take('NOT');
        const part = PART_OF_TEXT.find(([word]) => this.#take(word));
        if (part !== undefined) left = partOfText(part[1], left, this.#text(), isNot);
        else if (this.#take('BETWEEN')) left = this.#between(left, isNot);
        else if (this.#take('IN')) left = this.#in(left, isNot);
        else if (isNot)
          this.#fail(
            `after NOT there is ${this.#here()}, not CONTAINS, STARTSWITH, ENDSWITH, BETWEEN or IN`,
          );
        else return left;
      }
    }
  }

  #between(left: Operand, isNot: boolean): Operand {
    const low = this.#unary();
    this.#expect('AND');
    const high = this.#unary();
    if (!isNot && low.value !== undefined && high.value !== undefined && low.value > high.value)
      this.#fail(`BETWEEN ${low.value} AND ${high.value} is never true`);
    const [from, to] = isNot ? (['<', '>'] as const) : (['>=', '<='] as const);
    const above = this.#ordered(from, left, low, 'BETWEEN');
    return both(isNot ? or : and, above, this.#ordered(to, left, high, 'BETWEEN'));
  }

  #in(left: Operand, isNot: boolean): Operand {
    if (left.kind !== 'property') this.#fail(`before IN there is a ${left.kind}, not a property`);
    this.#expect('(');
    const texts = new Set<SqlValue>();
    do texts.add(this.#text());
    while (this.#take(','));
    this.#expect(')');
    return condition((properties) => {
      const value = left.of(properties);
      return value === null ? null : texts.has(value);
    }, isNot);
  }

  #unary(): Operand {
    if (this.#take('+')) return this.#unary();
    if (this.#take('-')) {
      const { of } = this.#unary();
      return { kind: 'negated', of: (properties) => negate(of(properties)) };
    }
    if (this.#take('NOT')) return condition(asCondition(this.#unary()), true);
    return this.#primary();
  }

  #primary(): Operand {
    const { type, text } = this.#next;
    if (this.#take('(')) {
      const inner = this.#or();
      this.#expect(')');
      return inner;
    }
    if (this.#take('TRUE')) return { kind: 'true or false', of: () => true };
    if (this.#take('FALSE')) return { kind: 'true or false', of: () => false };
    if (this.#take('NULL')) return { kind: 'null', of: () => null };
    if (type !== 'text' && type !== 'number' && type !== 'name')
      this.#fail(`a value or a property is expected, not ${this.#here()}`);
    this.#advance();
    if (type === 'text') return constant('text', unquoted(text));
    if (type === 'name')
      return { kind: 'property', of: (properties) => properties.get(text) ?? null };
    return this.#number(text);
  }

  #number(text: string): Operand {
    if (/^[0-9]+[lL]?$/.test(text)) {
      const long = BigInt(text.replace(/[lL]$/, ''));
      if (long > LONG_MAX) this.#fail(`${text} is larger than a long, ${LONG_MAX}`);
      return { ...constant('number', whole(long)), value: Number(long) };
    }
    const value = Number(text);
    if (!(value >= DOUBLE_MIN && Number.isFinite(value)))
      this.#fail(
        `${text.slice(0, 40)} is not a double between ${DOUBLE_MIN} and ${Number.MAX_VALUE}`,
      );
    return { ...constant('number', double(value)), value };
  }

  #text(): string {
    const { type, text } = this.#next;
    if (type !== 'text') this.#fail(`a text in single quotes is expected, not ${this.#here()}`);
    this.#advance();
    return unquoted(text);
  }

  /** Texts have no order to brokers, nor have conditions. */
  #ordered(sign: Sign, left: Operand, right: Operand, name: string = sign): Operand {
    const wrong = [left, right].find(
      ({ kind }) => kind !== 'number' && kind !== 'property' && kind !== 'negated',
    );
    if (wrong !== undefined)
      this.#fail(`${name} compares numbers and properties, not a ${wrong.kind}`);
    return condition((properties) =>
      ordered(sign, left.of(properties), () => right.of(properties)),
    );
  }

  #expect(text: string): void {
    if (!this.#take(text)) this.#fail(`${text} is expected, not ${this.#here()}`);
  }

  #take(text: string): boolean {
    const { type, text: own } = this.#next;
    if ((type !== 'word' && type !== 'sign') || own.toUpperCase() !== text) return false;
    this.#advance();
    return true;
  }

  #advance(): void {
    this.#next = this.#read(this.#next.at + this.#next.text.length);
  }

  #read(from: number): Token {
    BLANK.lastIndex = from;
    const at = from + (BLANK.exec(this.#sql)?.[0].length ?? 0);
    if (at >= this.#sql.length) return { type: 'end', text: '', at };
    for (const [type, part] of PARTS) {
      part.lastIndex = at;
      const text = part.exec(this.#sql)?.[0];
      if (text !== undefined)
        return { type: type === 'name' && WORDS.has(text.toUpperCase()) ? 'word' : type, text, at };
    }
    const letter = this.#sql[at] ?? '';
    if (letter === '"')
      throw new SqlError(`texts stand in single quotes, not in double ones (character ${at + 1})`);
    if (letter === "'") throw new SqlError(`the text at character ${at + 1} has no end`);
    throw new SqlError(`${letter} at character ${at + 1} means nothing`);
  }

  #here(): string {
    const { type, text, at } = this.#next;
    return type === 'end' ? 'the end' : `${text} at character ${at + 1}`;
  }

  #fail(problem: string): never {
    throw new SqlError(problem);
  }
}

const PART_OF_TEXT = [
  ['CONTAINS', (text: string, part: string) => text.includes(part)],
  ['STARTSWITH', (text: string, part: string) => text.startsWith(part)],
  ['ENDSWITH', (text: string, part: string) => text.endsWith(part)],
] as const;

/** An empty part, and what is no text, make it false also with NOT. */
function partOfText(
  has: (text: string, part: string) => boolean,
  { of }: Operand,
  part: string,
  isNot: boolean,
): Operand {
  return condition((properties) => {
    const text = of(properties);
    return part !== '' && typeof text === 'string' && has(text, part) !== isNot;
  });
}

/** Between quotes; two of them stand for one. */
function unquoted(text: string): string {
  return text.slice(1, -1).replaceAll("''", "'");
}

function constant(kind: Kind, value: SqlValue): Operand {
  return { kind, of: () => value };
}

function condition(of: Evaluate, isNot = false): Operand {
  return { kind: 'condition', of: isNot ? (properties) => not(of(properties)) : of };
}

function both(how: typeof and, left: Operand, right: Operand): Operand {
  const [one, other] = [asCondition(left), asCondition(right)];
  return condition((properties) => how(one(properties), () => other(properties)));
}

/** A property counts as one: is it true? */
function asCondition({ kind, of }: Operand): Evaluate {
  if (kind === 'text' || kind === 'number' || kind === 'negated')
    throw new SqlError(`a ${kind} is no condition`);
  return kind === 'property' ? (properties) => asTruth(of(properties)) : of;
}
