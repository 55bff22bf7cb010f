import type { FieldRules } from '../../model/compile-pattern.ts';
import { allowsAbsence, isObject, type Leaf, matchesLeaf } from './match-rule.ts';

/**
 * Do all fields match the value? As AWS's event-ruler has it (ACFinder and ArrayMembership):
 * - Only values without fields count. `{}` and `[]` are not there, lists in lists are one list.
 * - Fields below one list are those of one element of it. The element is chosen by the first field, by the order
 *   of paths, that is there; a field before it that must not be there may be in no element.
 * @param fields by the order of their paths
 */
export function matchesFields(fields: readonly FieldRules[], value: unknown): boolean {
  return matches(
    fields.map(({ path, rules }) => ({ path, at: 0, rules })),
    value,
    false,
  );
}

/** A field, as seen from a value within. */
interface Below {
  readonly path: readonly string[];
  /** Index of the first name below the value; the path's length: it is the value itself. */
  readonly at: number;
  readonly rules: FieldRules['rules'];
}

/** @param first must the first of the fields be there? */
function matches(fields: readonly Below[], value: unknown, first: boolean): boolean {
  if (Array.isArray(value)) return matchesList(fields, value, first);
  if (isObject(value)) return matchesObject(fields, value, first);
  return fields.every(({ path, at, rules }, index) =>
    at === path.length
      ? matchesLeaf(rules, value as Leaf)
      : !(first && index === 0) && allowsAbsence(rules),
  );
}

function matchesList(fields: readonly Below[], list: readonly unknown[], first: boolean): boolean {
  // Values without fields do not choose an element: event-ruler binds them to no index.
  const ends = fields.filter(isEnd);
  if (!ends.every((field, index) => matchesElements(field, list, first && index === 0)))
    return false;
  const below = fields.slice(ends.length);
  const { left, fails } = afterAbsent(below, list, first && ends.length === 0);
  if (fails) return false;
  if (left.length === 0) return true;
  for (const element of elements(list)) if (matches(left, element, true)) return true;
  return false;
}

function matchesElements(field: Below, list: readonly unknown[], mustBeThere: boolean): boolean {
  let isAbsent = true;
  for (const element of elements(list)) {
    if (isObject(element)) continue;
    if (matchesLeaf(field.rules, element as Leaf)) return true;
    isAbsent = false;
  }
  return isAbsent && !mustBeThere && allowsAbsence(field.rules);
}

/** The fields from the first on that is there in the list. Those before it must not be there, or the list fails. */
function afterAbsent(
  fields: readonly Below[],
  list: readonly unknown[],
  mustBeThere: boolean,
): { readonly left: readonly Below[]; readonly fails: boolean } {
  if (mustBeThere) return { left: fields, fails: false };
  const there = fields.findIndex((field) => isThere(field, list));
  const absent = there < 0 ? fields : fields.slice(0, there);
  const fails = !absent.every(({ rules }) => allowsAbsence(rules));
  return { left: fields.slice(absent.length), fails };
}

function matchesObject(fields: readonly Below[], value: object, first: boolean): boolean {
  for (let from = 0; from < fields.length; ) {
    const field = fields[from] as Below;
    const isFirst = first && from === 0;
    const at = nameIn(field, value);
    if (at === undefined) {
      if (isFirst || !allowsAbsence(field.rules)) return false;
      from++;
      continue;
    }
    const { name } = at;
    const below = [at.below];
    for (from++; from < fields.length; from++) {
      const next = nameIn(fields[from] as Below, value);
      if (next?.name !== name) break;
      below.push(next.below);
    }
    if (!matches(below, memberOf(value, name), isFirst)) return false;
  }
  return true;
}

interface Named {
  readonly name: string;
  readonly below: Below;
}

/** Own name of the value under which the field is, if any. */
function nameIn(field: Below, value: object): Named | undefined {
  const names = namesIn(field, value);
  if (names.length <= 1) return names[0];
  return names.find(({ name, below }) => isThere(below, memberOf(value, name))) ?? names[0];
}

/** Own names of the value that are a part of the field's path; one with dots holds several of its names. */
function namesIn(field: Below, value: object): Named[] {
  const { path } = field;
  const found: Named[] = [];
  let name = '';
  for (let at = field.at; at < path.length; at++) {
    name = at === field.at ? (path[at] as string) : `${name}.${path[at]}`;
    if (Object.hasOwn(value, name)) found.push({ name, below: { ...field, at: at + 1 } });
  }
  return found;
}

/** Is there a value without fields at the field's place, anywhere below? */
function isThere(field: Below, value: unknown): boolean {
  if (Array.isArray(value)) {
    for (const element of elements(value)) if (isThere(field, element)) return true;
    return false;
  }
  if (!isObject(value)) return isEnd(field);
  return namesIn(field, value).some(({ name, below }) => isThere(below, memberOf(value, name)));
}

function memberOf(value: object, name: string): unknown {
  return (value as Record<string, unknown>)[name];
}

/** Those of lists within, too. Producers nest them as they like: without recursion. */
function* elements(list: readonly unknown[]): Generator<unknown> {
  const lists: { readonly list: readonly unknown[]; next: number }[] = [{ list, next: 0 }];
  for (let top = lists.at(-1); top !== undefined; top = lists.at(-1)) {
    if (top.next === top.list.length) lists.pop();
    else {
      const element = top.list[top.next++];
      if (Array.isArray(element)) lists.push({ list: element, next: 0 });
      else yield element;
    }
  }
}

function isEnd({ path, at }: Below): boolean {
  return at === path.length;
}
