import type { PatternRule } from '../../model/filter-pattern.ts';

/** A value without fields: what a rule is compared with. */
export type Leaf = string | number | boolean | null;

/** Does one of the rules hold for a value that is there? */
export function matchesLeaf(rules: readonly PatternRule[], value: Leaf): boolean {
  return rules.some((rule) => holds(rule, value));
}

/** Does one of the rules ask for a field that is not there? */
export function allowsAbsence(rules: readonly PatternRule[]): boolean {
  return rules.some((rule) => isObject(rule) && 'exists' in rule && !rule.exists);
}

function holds(rule: PatternRule, value: Leaf): boolean {
  if (!isObject(rule)) return value === rule;
  if ('exists' in rule) return rule.exists;
  if ('numeric' in rule) return typeof value === 'number' && inRange(rule.numeric, value);
  if ('anything-but' in rule) return !isExcluded(rule['anything-but'], value);
  if (typeof value !== 'string') return false;
  if ('prefix' in rule) return value.startsWith(rule.prefix);
  if ('suffix' in rule) return value.endsWith(rule.suffix);
  return equalsIgnoringCase(rule['equals-ignore-case'], value);
}

/** Character by character, its lower or its upper case, as EqualsIgnoreCaseParser of event-ruler has it. */
function equalsIgnoringCase(wanted: string, value: string): boolean {
  let at = 0;
  for (const character of wanted) {
    const cases = [character.toLowerCase(), character.toUpperCase()];
    const found = cases.find((one) => value.startsWith(one, at));
    if (found === undefined) return false;
    at += found.length;
  }
  return at === value.length;
}

type Excluded = Extract<PatternRule, { 'anything-but': unknown }>['anything-but'];

function isExcluded(excluded: Excluded, value: Leaf): boolean {
  if (typeof excluded !== 'object') return value === excluded;
  if ('prefix' in excluded || 'suffix' in excluded) return holds(excluded, value);
  return excluded.some((one) => one === value);
}

/** `["=", 5]`, or one or two limits: `[">=", 0, "<", 100]`. */
function inRange(limits: readonly (string | number)[], value: number): boolean {
  for (let at = 0; at + 1 < limits.length; at += 2)
    if (!isWithin(value, limits[at], limits[at + 1] as number)) return false;
  return true;
}

function isWithin(value: number, operator: string | number | undefined, limit: number): boolean {
  switch (operator) {
    case '=':
      return value === limit;
    case '<':
      return value < limit;
    case '<=':
      return value <= limit;
    case '>':
      return value > limit;
    case '>=':
      return value >= limit;
    default:
      return false;
  }
}

export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
