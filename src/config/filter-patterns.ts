import { z } from 'zod';
import { compilePattern } from '../model/compile-pattern.ts';
import type { FilterPattern, PatternFields, PatternRule } from '../model/filter-pattern.ts';

/** Lambda's default quota is 5, at most 10. */
const MOST_PATTERNS = 10;
/** Of a pattern as JSON, as Lambda has it. */
const MAX_PATTERN_LENGTH = 4_096;
const FIELDS = ['body', 'tags', 'keys', 'properties'] as const;
const PATTERNS = `a list of 1 to ${MOST_PATTERNS} patterns over ${FIELDS.join(', ')}, such as { body: { state: ["paid"] } }`;
const RULES =
  'null, true, false, a text, a number, { prefix }, { suffix }, { equals-ignore-case }, { exists: true | false }, { numeric: ["=", 5] }, { numeric: [">", 0, "<=", 100] } with the lower limit first, { anything-but: value, list of texts or of numbers, { prefix } or { suffix } }';
const TEXT_RULES = 'a rule for texts: this is compared with one, and never matches';
/** Names that AWS's matcher takes for rules inside `$or`. */
const RULE_NAMES = new Set([
  ...['exactly', 'prefix', 'suffix', 'equals-ignore-case', 'numeric', 'exists'],
  ...['anything-but', 'wildcard', 'cidr'],
]);

interface Wrong {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** `filterPatterns` of an event: Lambda's filter syntax. What it cannot mean is told with its place, never passed over as "matches nothing". */
export const filterPatterns = z
  .custom<readonly FilterPattern[]>()
  .superRefine((value: unknown, context) => {
    for (const { path, message } of wrongInPatterns(value))
      context.addIssue({ code: 'custom', path: [...path], message });
  });

function wrongInPatterns(value: unknown): Wrong[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > MOST_PATTERNS)
    return [{ path: [], message: PATTERNS }];
  return value.flatMap((pattern, index) => {
    const path = [index];
    const wrong = wrongInPattern(pattern, path);
    return wrong.length > 0 ? wrong : wrongAsAWhole(pattern as FilterPattern, path);
  });
}

function wrongAsAWhole(pattern: FilterPattern, path: Wrong['path']): Wrong[] {
  const { length } = JSON.stringify(pattern);
  if (length > MAX_PATTERN_LENGTH)
    return [
      { path, message: `at most ${MAX_PATTERN_LENGTH} characters as JSON, it has ${length}` },
    ];
  try {
    compilePattern(pattern);
    return [];
  } catch (error) {
    return [{ path, message: (error as Error).message }];
  }
}

function wrongInPattern(pattern: unknown, path: Wrong['path']): Wrong[] {
  if (!isRecord(pattern) || Object.keys(pattern).length === 0)
    return [{ path, message: `a pattern over ${FIELDS.join(', ')}` }];
  return Object.entries(pattern).flatMap(([field, wanted]) => {
    const at = [...path, field];
    switch (field) {
      case '$or':
        return wrongInOr(wanted, at, wrongInPattern);
      case 'tags':
      case 'keys':
        return wrongInRules(wanted, at, isTextRule);
      case 'properties':
        return wrongInFields(wanted, at, isTextRule);
      case 'body':
        return Array.isArray(wanted)
          ? wrongInRules(wanted, at, isBodyTextRule)
          : wrongInFields(wanted, at, () => true);
      default:
        return [{ path: at, message: `one of ${FIELDS.join(', ')}, $or` }];
    }
  });
}

type CanMatch = (rule: PatternRule) => boolean;

function wrongInFields(
  fields: unknown,
  path: Wrong['path'],
  canMatch: CanMatch,
  isInOr = false,
): Wrong[] {
  if (!isRecord(fields) || Object.keys(fields).length === 0)
    return [{ path, message: 'fields with lists of rules, such as { state: ["paid"] }' }];
  return Object.entries(fields).flatMap(([field, wanted]) => {
    const at = [...path, field];
    if (field === '$or')
      return wrongInOr(wanted, at, (one, place) => wrongInFields(one, place, canMatch, true));
    if (field === '') return [{ path: at, message: 'the name of a field' }];
    if (isInOr && RULE_NAMES.has(field))
      return [{ path: at, message: 'no name for a field inside $or: it is one of the rules' }];
    return isRecord(wanted)
      ? wrongInFields(wanted, at, canMatch, isInOr)
      : wrongInRules(wanted, at, canMatch);
  });
}

function wrongInOr(
  list: unknown,
  path: Wrong['path'],
  wrongIn: (one: unknown, path: Wrong['path']) => Wrong[],
): Wrong[] {
  if (!Array.isArray(list) || list.length < 2)
    return [{ path, message: 'a list of two or more patterns of which one must match' }];
  return list.flatMap((one, index) => wrongIn(one, [...path, index]));
}

function wrongInRules(rules: unknown, path: Wrong['path'], canMatch: CanMatch): Wrong[] {
  if (!Array.isArray(rules) || rules.length === 0)
    return [{ path, message: `a list of rules: ${RULES}` }];
  return rules.flatMap((rule, index) => {
    const at = [...path, index];
    if (!isRule(rule)) return [{ path: at, message: RULES }];
    return canMatch(rule) ? [] : [{ path: at, message: TEXT_RULES }];
  });
}

/** Tags, keys and properties are texts. */
function isTextRule(rule: PatternRule): boolean {
  return typeof rule === 'string' || (isRecord(rule) && !('numeric' in rule));
}

/** Every message has a body. */
function isBodyTextRule(rule: PatternRule): boolean {
  return isTextRule(rule) && !(isRecord(rule) && 'exists' in rule && !rule.exists);
}

function isRule(rule: unknown): rule is PatternRule {
  if (rule === null || isExact(rule) || typeof rule === 'boolean') return true;
  const entry = onlyEntry(rule);
  if (entry === undefined) return false;
  const [name, value] = entry;
  switch (name) {
    case 'prefix':
    case 'suffix':
    case 'equals-ignore-case':
      return typeof value === 'string';
    case 'exists':
      return typeof value === 'boolean';
    case 'numeric':
      return Array.isArray(value) && isRange(value);
    case 'anything-but':
      return isExact(value) || isListOfOneType(value) || isPrefixOrSuffix(value);
    default:
      return false;
  }
}

/** `["=", 5]`, a lower limit, an upper one, or a lower one below an upper one. */
function isRange(limits: readonly unknown[]): boolean {
  const [operator, limit, ...upper] = limits;
  switch (operator) {
    case '=':
      return isExact(limit) && typeof limit === 'number' && upper.length === 0;
    case '<':
    case '<=':
      return isLimit(limit) && upper.length === 0;
    case '>':
    case '>=':
      return isLimit(limit) && (upper.length === 0 || isUpper(upper, limit));
    default:
      return false;
  }
}

function isUpper([operator, limit, ...more]: readonly unknown[], lower: number): boolean {
  return (
    (operator === '<' || operator === '<=') && isLimit(limit) && lower < limit && more.length === 0
  );
}

function isLimit(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

function isListOfOneType(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((one) => isExact(one) && typeof one === typeof value[0])
  );
}

function isPrefixOrSuffix(value: unknown): boolean {
  const [name, text] = onlyEntry(value) ?? [];
  return (name === 'prefix' || name === 'suffix') && typeof text === 'string' && text !== '';
}

function onlyEntry(value: unknown): [string, unknown] | undefined {
  if (!isRecord(value)) return undefined;
  const entries = Object.entries(value);
  return entries.length === 1 ? entries[0] : undefined;
}

/** A text, or a number that is told apart from its neighbours. */
function isExact(value: unknown): value is string | number {
  return (
    typeof value === 'string' ||
    (isLimit(value) && (!Number.isInteger(value) || Number.isSafeInteger(value)))
  );
}

function isRecord(value: unknown): value is PatternFields & Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
