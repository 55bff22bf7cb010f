/**
 * The SQL92 of RocketMQ's filters, read as brokers read it, so that a mistake is found when a service is packaged: a filter that a broker cannot
 * compile lets every message through. Mirrors SelectorParser.jj with the checks of ComparisonExpression and ConstantExpression.
 */

type Kind = 'text' | 'number' | 'true or false' | 'null' | 'property' | 'condition' | 'negated';

interface Operand {
  readonly kind: Kind;
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
    throw error;
  }
}

class Reader {
  readonly #sql: string;
  #next: Token;

  constructor(sql: string) {
    this.#sql = sql;
    this.#next = this.#read(0);
  }

  selector(): void {
    asCondition(this.#or());
    // Brokers would not look at it, and filter by what stands before.
    if (this.#next.type !== 'end') this.#fail(`brokers read no further than ${this.#here()}`);
  }

  #or(): Operand {
    let left = this.#and();
    while (this.#take('OR')) left = both(left, this.#and());
    return left;
  }

  #and(): Operand {
    let left = this.#equality();
    while (this.#take('AND')) left = both(left, this.#equality());
    return left;
  }

  #equality(): Operand {
    let left = this.#comparison();
    for (;;) {
      if (this.#take('=') || this.#take('<>')) {
        const right = this.#comparison();
        if (left.kind === 'null' || right.kind === 'null')
          this.#fail('nothing is equal to NULL: write IS NULL or IS NOT NULL');
        if (left.kind === 'true or false' && (right.kind === 'text' || right.kind === 'number'))
          this.#fail(`${left.kind} cannot be compared with a ${right.kind}`);
      } else if (this.#take('IS')) {
        this.#take('NOT');
        this.#expect('NULL');
      } else return left;
      left = { kind: 'condition' };
    }
  }

  #comparison(): Operand {
    let left = this.#unary();
    for (;;) {
      const sign = ['>=', '>', '<=', '<'].find((one) => this.#take(one));
      if (sign !== undefined) this.#ordered(sign, left, this.#unary());
      else {
        const not = this.#take('NOT');
        if (this.#take('CONTAINS') || this.#take('STARTSWITH') || this.#take('ENDSWITH'))
          this.#text();
        else if (this.#take('BETWEEN')) this.#between(left, not);
        else if (this.#take('IN')) this.#in(left);
        else if (not)
          this.#fail(
            `after NOT there is ${this.#here()}, not CONTAINS, STARTSWITH, ENDSWITH, BETWEEN or IN`,
          );
        else return left;
      }
      left = { kind: 'condition' };
    }
  }

  #between(left: Operand, not: boolean): void {
    const low = this.#unary();
    this.#expect('AND');
    const high = this.#unary();
    if (!not && low.value !== undefined && high.value !== undefined && low.value > high.value)
      this.#fail(`BETWEEN ${low.value} AND ${high.value} is never true`);
    this.#ordered('BETWEEN', left, low);
    this.#ordered('BETWEEN', left, high);
  }

  #in(left: Operand): void {
    if (left.kind !== 'property') this.#fail(`before IN there is a ${left.kind}, not a property`);
    this.#expect('(');
    do this.#text();
    while (this.#take(','));
    this.#expect(')');
  }

  #unary(): Operand {
    if (this.#take('+')) return this.#unary();
    if (this.#take('-')) {
      this.#unary();
      return { kind: 'negated' };
    }
    if (this.#take('NOT')) {
      asCondition(this.#unary());
      return { kind: 'condition' };
    }
    return this.#primary();
  }

  #primary(): Operand {
    const { type, text } = this.#next;
    if (this.#take('(')) {
      const inner = this.#or();
      this.#expect(')');
      return inner;
    }
    if (this.#take('TRUE') || this.#take('FALSE')) return { kind: 'true or false' };
    if (this.#take('NULL')) return { kind: 'null' };
    if (type !== 'text' && type !== 'number' && type !== 'name')
      this.#fail(`a value or a property is expected, not ${this.#here()}`);
    this.#advance();
    if (type === 'text') return { kind: 'text' };
    return type === 'name' ? { kind: 'property' } : { kind: 'number', value: this.#number(text) };
  }

  #number(text: string): number {
    if (/^[0-9]+[lL]?$/.test(text)) {
      if (BigInt(text.replace(/[lL]$/, '')) > LONG_MAX)
        this.#fail(`${text} is larger than a long, ${LONG_MAX}`);
      return Number(text.replace(/[lL]$/, ''));
    }
    const value = Number(text);
    if (!(value >= DOUBLE_MIN && Number.isFinite(value)))
      this.#fail(
        `${text.slice(0, 40)} is not a double between ${DOUBLE_MIN} and ${Number.MAX_VALUE}`,
      );
    return value;
  }

  #text(): void {
    if (this.#next.type !== 'text')
      this.#fail(`a text in single quotes is expected, not ${this.#here()}`);
    this.#advance();
  }

  /** Texts have no order to brokers, nor have conditions. */
  #ordered(sign: string, ...operands: readonly Operand[]): void {
    const wrong = operands.find(
      ({ kind }) => kind !== 'number' && kind !== 'property' && kind !== 'negated',
    );
    if (wrong !== undefined)
      this.#fail(`${sign} compares numbers and properties, not a ${wrong.kind}`);
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

function both(left: Operand, right: Operand): Operand {
  asCondition(left);
  asCondition(right);
  return { kind: 'condition' };
}

/** A property counts as one: is it true? */
function asCondition({ kind }: Operand): void {
  if (kind === 'text' || kind === 'number' || kind === 'negated')
    throw new SqlError(`a ${kind} is no condition`);
}
