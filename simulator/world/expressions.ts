import type { AttributeValue } from '@aws-sdk/client-dynamodb';

/** DynamoDB's condition and update expressions, as far as a table of single-item writes needs them. */
export type Item = Record<string, AttributeValue>;

export interface ExpressionValues {
  readonly names: Readonly<Record<string, string>>;
  readonly values: Item;
}

type Condition = (item: Item | undefined, given: ExpressionValues) => boolean;
type Operand = (item: Item | undefined, given: ExpressionValues) => AttributeValue | undefined;

const TOKEN = /\s*(<>|<=|>=|[=<>(),+-]|[#:]?[A-Za-z_][\w.]*)/gy;

class Tokens {
  readonly #tokens: string[] = [];
  #at = 0;

  constructor(text: string) {
    const { length } = text.trimEnd();
    TOKEN.lastIndex = 0;
    while (TOKEN.lastIndex < length) {
      const from = TOKEN.lastIndex;
      const found = TOKEN.exec(text);
      if (found === null) throw new SyntaxError(`cannot read "${text}" at ${from}`);
      this.#tokens.push(found[1]!);
    }
  }

  get next(): string | undefined {
    return this.#tokens[this.#at];
  }

  take(expected?: string): string {
    const token = this.#tokens[this.#at++];
    if (token === undefined || (expected !== undefined && token !== expected))
      throw new SyntaxError(`expected ${expected ?? 'more'}, found ${token}`);
    return token;
  }

  is(word: string): boolean {
    if (this.next?.toUpperCase() !== word) return false;
    this.#at++;
    return true;
  }
}

function compare(a: AttributeValue, b: AttributeValue): number | undefined {
  if (a.N !== undefined && b.N !== undefined) return numeric(a.N, b.N);
  if (a.S !== undefined && b.S !== undefined)
    return Buffer.compare(Buffer.from(a.S), Buffer.from(b.S));
  if (a.BOOL !== undefined && b.BOOL !== undefined) return a.BOOL === b.BOOL ? 0 : undefined;
  return undefined;
}

function numeric(a: string, b: string): number {
  if (/^-?\d+$/.test(a) && /^-?\d+$/.test(b)) {
    const [x, y] = [BigInt(a), BigInt(b)];
    return x < y ? -1 : x > y ? 1 : 0;
  }
  return Math.sign(Number(a) - Number(b));
}

const COMPARATORS: Readonly<Record<string, (order: number | undefined) => boolean>> = {
  '=': (order) => order === 0,
  '<>': (order) => order !== 0,
  '<': (order) => order !== undefined && order < 0,
  '<=': (order) => order !== undefined && order <= 0,
  '>': (order) => order !== undefined && order > 0,
  '>=': (order) => order !== undefined && order >= 0,
};

function readOperand(tokens: Tokens): Operand {
  const token = tokens.take();
  if (token === 'if_not_exists') {
    tokens.take('(');
    const name = tokens.take();
    tokens.take(',');
    const otherwise = readOperand(tokens);
    tokens.take(')');
    return (item, given) => item?.[given.names[name]!] ?? otherwise(item, given);
  }
  if (token.startsWith(':'))
    return (_item, { values }) => {
      const value = values[token];
      if (value === undefined) throw new SyntaxError(`no value for ${token}`);
      return value;
    };
  return (item, { names }) => {
    const name = token.startsWith('#') ? names[token] : token;
    if (name === undefined) throw new SyntaxError(`no name for ${token}`);
    return item?.[name];
  };
}

function readCondition(tokens: Tokens): Condition {
  let left = readAnd(tokens);
  while (tokens.is('OR')) {
    const [a, b] = [left, readAnd(tokens)];
    left = (item, given) => a(item, given) || b(item, given);
  }
  return left;
}

function readAnd(tokens: Tokens): Condition {
  let left = readNot(tokens);
  while (tokens.is('AND')) {
    const [a, b] = [left, readNot(tokens)];
    left = (item, given) => a(item, given) && b(item, given);
  }
  return left;
}

function readNot(tokens: Tokens): Condition {
  if (tokens.is('NOT')) {
    const inner = readNot(tokens);
    return (item, given) => !inner(item, given);
  }
  if (tokens.next === '(') {
    tokens.take('(');
    const inner = readCondition(tokens);
    tokens.take(')');
    return inner;
  }
  if (tokens.next === 'attribute_exists' || tokens.next === 'attribute_not_exists') {
    const exists = tokens.take() === 'attribute_exists';
    tokens.take('(');
    const operand = readOperand(tokens);
    tokens.take(')');
    return (item, given) => (operand(item, given) !== undefined) === exists;
  }
  if (tokens.next === 'begins_with') {
    tokens.take();
    tokens.take('(');
    const operand = readOperand(tokens);
    tokens.take(',');
    const prefix = readOperand(tokens);
    tokens.take(')');
    return (item, given) =>
      operand(item, given)?.S?.startsWith(prefix(item, given)?.S ?? '') ?? false;
  }
  const a = readOperand(tokens);
  const comparator = COMPARATORS[tokens.take()];
  if (comparator === undefined) throw new SyntaxError('an unknown comparator');
  const b = readOperand(tokens);
  return (item, given) => {
    const [left, right] = [a(item, given), b(item, given)];
    return left !== undefined && right !== undefined && comparator(compare(left, right));
  };
}

const conditions = new Map<string, Condition>();

/** Does the condition hold? An attribute that is missing makes every comparison false. */
export function holds(text: string, item: Item | undefined, given: ExpressionValues): boolean {
  let condition = conditions.get(text);
  if (condition === undefined) {
    const tokens = new Tokens(text);
    condition = readCondition(tokens);
    if (tokens.next !== undefined) throw new SyntaxError(`what is "${tokens.next}" in "${text}"?`);
    conditions.set(text, condition);
  }
  return condition(item, given);
}

type Update = (item: Item, before: Item, given: ExpressionValues) => void;
const updates = new Map<string, Update>();

/** The item after `SET a = b, c = c + d REMOVE e, f`. Right sides see the item as it was. */
export function updated(text: string, before: Item, given: ExpressionValues): Item {
  let update = updates.get(text);
  if (update === undefined) {
    update = readUpdate(new Tokens(text));
    updates.set(text, update);
  }
  const item = { ...before };
  update(item, before, given);
  return item;
}

function readUpdate(tokens: Tokens): Update {
  const steps: Update[] = [];
  while (tokens.next !== undefined) {
    const removes = tokens.is('REMOVE');
    if (!removes && !tokens.is('SET')) throw new SyntaxError(`cannot update by ${tokens.next}`);
    do steps.push(removes ? readRemove(tokens) : readSet(tokens));
    while (tokens.is(','));
  }
  return (item, before, given) => {
    for (const step of steps) step(item, before, given);
  };
}

function readRemove(tokens: Tokens): Update {
  const name = tokens.take();
  return (item, _before, { names }) => {
    delete item[names[name] ?? name];
  };
}

function readSet(tokens: Tokens): Update {
  const name = tokens.take();
  tokens.take('=');
  const left = readOperand(tokens);
  const sign = tokens.next === '+' || tokens.next === '-' ? tokens.take() : undefined;
  const right = sign === undefined ? undefined : readOperand(tokens);
  return (item, before, given) => {
    const value = left(before, given);
    if (value === undefined)
      throw new SyntaxError(`${name} is set to an attribute that is missing`);
    const other = right?.(before, given);
    item[given.names[name] ?? name] =
      other === undefined
        ? value
        : { N: String(BigInt(value.N!) + (sign === '-' ? -1n : 1n) * BigInt(other.N!)) };
  };
}
