import { z } from 'zod';
import type { FilterPattern, PatternFields, PatternRule } from '../model/filter-pattern.ts';

/** Lambda's default quota is 5, at most 10. */
const MOST_PATTERNS = 10;
const OPERATORS = new Set(['=', '<', '<=', '>', '>=']);
const FIELDS = ['body', 'tags', 'keys', 'properties'] as const;
const PATTERNS = `a list of 1 to ${MOST_PATTERNS} patterns over ${FIELDS.join(', ')}, such as { body: { state: ["paid"] } }`;
const RULES =
  'null, true, false, a text, a number, { prefix }, { suffix }, { equals-ignore-case }, { exists: true | false }, { numeric: [">", 0, "<=", 100] }, { anything-but: value, list, { prefix } or { suffix } }';

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
  return value.flatMap((pattern, index) => wrongInPattern(pattern, [index]));
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
        return wrongInRules(wanted, at);
      case 'properties':
        return wrongInFields(wanted, at);
      case 'body':
        return Array.isArray(wanted) ? wrongInRules(wanted, at) : wrongInFields(wanted, at);
      default:
        return [{ path: at, message: `one of ${FIELDS.join(', ')}, $or` }];
    }
  });
}

function wrongInFields(fields: unknown, path: Wrong['path']): Wrong[] {
  if (!isRecord(fields) || Object.keys(fields).length === 0)
    return [{ path, message: 'fields with lists of rules, such as { state: ["paid"] }' }];
  return Object.entries(fields).flatMap(([field, wanted]) => {
    const at = [...path, field];
    if (field === '$or') return wrongInOr(wanted, at, wrongInFields);
    return isRecord(wanted) ? wrongInFields(wanted, at) : wrongInRules(wanted, at);
  });
}

function wrongInOr(
  list: unknown,
  path: Wrong['path'],
  wrongIn: (one: unknown, path: Wrong['path']) => Wrong[],
): Wrong[] {
  if (!Array.isArray(list) || list.length === 0)
    return [{ path, message: 'a list of patterns of which one must match' }];
  return list.flatMap((one, index) => wrongIn(one, [...path, index]));
}

function wrongInRules(rules: unknown, path: Wrong['path']): Wrong[] {
  if (!Array.isArray(rules) || rules.length === 0)
    return [{ path, message: `a list of rules: ${RULES}` }];
  return rules.flatMap((rule, index) =>
    isRule(rule) ? [] : [{ path: [...path, index], message: RULES }],
  );
}

function isRule(rule: unknown): rule is PatternRule {
  if (rule === null || isScalar(rule) || typeof rule === 'boolean') return true;
  if (!isRecord(rule)) return false;
  const [entry, ...more] = Object.entries(rule);
  if (entry === undefined || more.length > 0) return false;
  const [name, value] = entry;
  switch (name) {
    case 'prefix':
    case 'suffix':
    case 'equals-ignore-case':
      return typeof value === 'string';
    case 'exists':
      return typeof value === 'boolean';
    case 'numeric':
      return isRange(value);
    case 'anything-but':
      return (
        isScalar(value) ||
        (Array.isArray(value) && value.length > 0 && value.every(isScalar)) ||
        isPrefixOrSuffix(value)
      );
    default:
      return false;
  }
}

function isRange(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    (value.length === 2 || value.length === 4) &&
    value.every((part, index) =>
      index % 2 === 0 ? OPERATORS.has(part as string) : typeof part === 'number',
    )
  );
}

function isPrefixOrSuffix(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const [[name, text] = [], ...more] = Object.entries(value);
  return more.length === 0 && (name === 'prefix' || name === 'suffix') && typeof text === 'string';
}

function isScalar(value: unknown): value is string | number {
  return typeof value === 'string' || typeof value === 'number';
}

function isRecord(value: unknown): value is PatternFields & Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
