import type { FilterPattern, PatternFields, PatternRule } from '../../model/filter-pattern.ts';

/** What patterns see of a message; values are read when a pattern asks for them. */
export interface Filterable {
  /** As handlers see it. */
  readonly body: string;
  /** As the message has it. */
  readonly bodyBytes: number;
  readonly tags: string | undefined;
  readonly keys: readonly string[];
  readonly properties: Readonly<Record<string, string>>;
}

/**
 * A larger body is not parsed and counts as no JSON: parsed, a body of nothing but "[]" takes many
 * times its size. Lambda's limit of an event, about.
 */
export const MAX_FILTERED_JSON_BYTES = 6 * 1024 * 1024;

/** Does one of the patterns match? Lambda's event filtering: a message that none matches is done without its handler. */
export function matchesAny(patterns: readonly FilterPattern[], message: Filterable): boolean {
  let json: { readonly value: unknown } | undefined;
  const parsed = (): unknown => {
    json ??= {
      value: message.bodyBytes > MAX_FILTERED_JSON_BYTES ? undefined : readJson(message.body),
    };
    return json.value;
  };
  return patterns.some((pattern) => matches(pattern, message, parsed));
}

function matches(pattern: FilterPattern, message: Filterable, parsed: () => unknown): boolean {
  const { body, tags, keys, properties, $or } = pattern;
  return (
    (tags === undefined || matchesRules(tags, message.tags)) &&
    (keys === undefined ||
      matchesRules(keys, message.keys.length === 0 ? undefined : message.keys)) &&
    (properties === undefined || matchesFields(properties, message.properties)) &&
    (body === undefined ||
      (isRules(body) ? matchesRules(body, message.body) : matchesFields(body, parsed()))) &&
    ($or === undefined || $or.some((one) => matches(one, message, parsed)))
  );
}

/**
 * A list of objects matches when one of its elements does, as EventBridge flattens it. The
 * recursion is as deep as the pattern: lists in lists, which producers nest as they like, are not.
 */
function matchesFields(pattern: PatternFields, value: unknown): boolean {
  if (!Array.isArray(value)) return matchesOne(pattern, value);
  const lists: (readonly unknown[])[] = [value];
  for (let list = lists.pop(); list !== undefined; list = lists.pop())
    for (const element of list)
      if (Array.isArray(element)) lists.push(element);
      else if (matchesOne(pattern, element)) return true;
  return false;
}

function matchesOne(pattern: PatternFields, value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return onlyAsksForAbsence(pattern);
  return Object.entries(pattern).every(([field, wanted]) => {
    if (field === '$or')
      return (wanted as readonly PatternFields[]).some((one) => matchesFields(one, value));
    const own = Object.hasOwn(value, field) ? (value as Record<string, unknown>)[field] : undefined;
    return isRules(wanted)
      ? matchesRules(wanted, own)
      : matchesFields(wanted as PatternFields, own);
  });
}

/** `{ exists: false }` holds for a field of an object that is not there itself. A body that is no JSON has no fields, and is no such object. */
function onlyAsksForAbsence(pattern: PatternFields): boolean {
  return Object.entries(pattern).every(
    ([, wanted]) =>
      isRules(wanted) && wanted.some((rule) => isObject(rule) && 'exists' in rule && !rule.exists),
  );
}

function isRules(wanted: PatternFields[string]): wanted is readonly PatternRule[] {
  return Array.isArray(wanted);
}

function matchesRules(rules: readonly PatternRule[], value: unknown): boolean {
  const values: readonly unknown[] = Array.isArray(value) ? value : [value];
  return rules.some((rule) => {
    if (isObject(rule) && 'exists' in rule) return rule.exists === (value !== undefined);
    return values.some((one) => one !== undefined && matchesRule(rule, one));
  });
}

function matchesRule(rule: Exclude<PatternRule, { exists: boolean }>, value: unknown): boolean {
  if (!isObject(rule)) return value === rule;
  if ('numeric' in rule) return typeof value === 'number' && inRange(rule.numeric, value);
  if ('anything-but' in rule) return !isExcluded(rule['anything-but'], value);
  if (typeof value !== 'string') return false;
  if ('prefix' in rule) return value.startsWith(rule.prefix);
  if ('suffix' in rule) return value.endsWith(rule.suffix);
  return value.toLowerCase() === rule['equals-ignore-case'].toLowerCase();
}

type Excluded = Extract<PatternRule, { 'anything-but': unknown }>['anything-but'];

function isExcluded(excluded: Excluded, value: unknown): boolean {
  if (typeof excluded !== 'object') return value === excluded;
  if ('prefix' in excluded || 'suffix' in excluded) return matchesRule(excluded, value);
  return excluded.some((one) => one === value);
}

/** `["=", 5]`, or one or two limits: `[">=", 0, "<", 100]`. */
function inRange(limits: readonly (string | number)[], value: number): boolean {
  for (let at = 0; at + 1 < limits.length; at += 2) {
    const limit = limits[at + 1] as number;
    switch (limits[at]) {
      case '=':
        if (value !== limit) return false;
        break;
      case '<':
        if (!(value < limit)) return false;
        break;
      case '<=':
        if (!(value <= limit)) return false;
        break;
      case '>':
        if (!(value > limit)) return false;
        break;
      case '>=':
        if (!(value >= limit)) return false;
        break;
      default:
        return false;
    }
  }
  return true;
}

function isObject(rule: unknown): rule is object {
  return typeof rule === 'object' && rule !== null;
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
