import type { FilterPattern, PatternFields, PatternRule } from './filter-pattern.ts';

/** What one field must be: one of its rules holds for it. */
export interface FieldRules {
  /** Names from the top of the value down, split at dots: `a.b` in one name is `a`, `b`, as AWS's matcher has it. */
  readonly path: readonly string[];
  readonly rules: readonly PatternRule[];
}

/** One combination of a pattern's `$or` lists: all parts must match. undefined: any value does. */
export interface Alternative {
  /** Rules for a body that is text. */
  readonly bodyText?: readonly PatternRule[];
  /** Rules for a body that is JSON, by the order of their paths. */
  readonly bodyFields?: readonly FieldRules[];
  readonly tags?: readonly PatternRule[];
  readonly keys?: readonly PatternRule[];
  readonly properties?: readonly FieldRules[];
}

/** EventBridge refuses a pattern whose `$or` lists make more combinations. */
export const MAX_ALTERNATIVES = 1_000;

/** @throws RangeError: its `$or` lists make more than MAX_ALTERNATIVES combinations, or a combination that cannot be meant */
export function compilePattern(pattern: FilterPattern): Alternative[] {
  const { body, tags, keys, properties, $or } = pattern;
  const own: Alternative = {
    ...(body !== undefined && isRules(body) && { bodyText: body }),
    ...(tags && { tags }),
    ...(keys && { keys }),
  };
  let alternatives: Alternative[] = [own];
  if (body !== undefined && !isRules(body))
    alternatives = combine(alternatives, toParts('bodyFields', compileFields(body)));
  if (properties !== undefined)
    alternatives = combine(alternatives, toParts('properties', compileFields(properties)));
  if ($or !== undefined) alternatives = combine(alternatives, $or.flatMap(compilePattern));
  return alternatives.map(inPathOrder);
}

function toParts(
  part: 'bodyFields' | 'properties',
  combinations: readonly (readonly FieldRules[])[],
): Alternative[] {
  return combinations.map((fields) => ({ [part]: fields }));
}

function combine(some: readonly Alternative[], others: readonly Alternative[]): Alternative[] {
  check(some.length * others.length);
  return some.flatMap((one) => others.map((other) => merge(one, other)));
}

function merge(one: Alternative, other: Alternative): Alternative {
  for (const part of ['tags', 'keys', 'bodyText'] as const)
    if (one[part] && other[part]) throw twice(part === 'bodyText' ? 'body' : part);
  const bodyFields = joined(one.bodyFields, other.bodyFields);
  const properties = joined(one.properties, other.properties);
  const merged = {
    ...one,
    ...other,
    ...(bodyFields && { bodyFields }),
    ...(properties && { properties }),
  };
  if (merged.bodyText && bodyFields)
    throw new RangeError('a body is text or JSON: rules and fields for it never match together');
  return merged;
}

function joined(
  some: readonly FieldRules[] | undefined,
  others: readonly FieldRules[] | undefined,
): readonly FieldRules[] | undefined {
  return some && others ? [...some, ...others] : (some ?? others);
}

function compileFields(fields: PatternFields, above: readonly string[] = []): FieldRules[][] {
  let combinations: FieldRules[][] = [[]];
  for (const [field, wanted] of Object.entries(fields)) {
    const others =
      field === '$or'
        ? (wanted as readonly PatternFields[]).flatMap((one) => compileFields(one, above))
        : compileField([...above, ...field.split('.')], wanted);
    check(combinations.length * others.length);
    combinations = combinations.flatMap((one) => others.map((other) => [...one, ...other]));
  }
  return combinations;
}

function compileField(path: readonly string[], wanted: PatternFields[string]): FieldRules[][] {
  return isRules(wanted)
    ? [[{ path, rules: wanted }]]
    : compileFields(wanted as PatternFields, path);
}

function inPathOrder(alternative: Alternative): Alternative {
  const { bodyFields, properties } = alternative;
  return {
    ...alternative,
    ...(bodyFields && { bodyFields: sorted(bodyFields) }),
    ...(properties && { properties: sorted(properties) }),
  };
}

/** By UTF-16, as Java compares texts: what lists hold depends on it, see match-fields. */
function sorted(fields: readonly FieldRules[]): FieldRules[] {
  const named = fields.map((one) => ({ one, name: one.path.join('.') }));
  named.sort((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)));
  const double = named.find(({ name }, index) => name === named[index + 1]?.name);
  if (double) throw twice(double.name);
  return named.map(({ one }) => one);
}

function twice(name: string): RangeError {
  return new RangeError(
    `"${name}" stands twice in one combination, with $or or with dots in names`,
  );
}

function check(combinations: number): void {
  if (combinations > MAX_ALTERNATIVES)
    throw new RangeError(
      `its $or lists make ${combinations} combinations, at most ${MAX_ALTERNATIVES} are allowed`,
    );
}

export function isRules(wanted: PatternFields[string]): wanted is readonly PatternRule[] {
  return Array.isArray(wanted);
}
