/** What a handler does to an object that it got: `target` and `other` choose out of all of them. */
export interface Disturbance {
  readonly kind:
    | 'sort'
    | 'reverse'
    | 'splice'
    | 'clear'
    | 'overwrite'
    | 'swap'
    | 'remove'
    | 'freeze';
  readonly target: number;
  readonly other: number;
}

export const DISTURBANCES = [
  'sort',
  'reverse',
  'splice',
  'clear',
  'overwrite',
  'swap',
  'remove',
  'freeze',
] as const satisfies readonly Disturbance['kind'][];

/** Changes an event in place, as far as what was frozen before allows it. */
export function disturb(event: unknown, disturbances: readonly Disturbance[]): void {
  for (const { kind, target, other } of disturbances) {
    const objects = [...objectsIn(event)];
    const chosen = objects[target % objects.length] as Record<string, unknown>;
    try {
      change(kind, chosen, objects[other % objects.length], other);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
    }
  }
}

function change(
  kind: Disturbance['kind'],
  chosen: Record<string, unknown>,
  another: unknown,
  other: number,
): void {
  const keys = Object.keys(chosen);
  const key = keys[other % Math.max(1, keys.length)] ?? 'new';
  switch (kind) {
    case 'sort':
      if (Array.isArray(chosen)) chosen.sort(() => -1);
      break;
    case 'reverse':
      if (Array.isArray(chosen)) chosen.reverse();
      break;
    case 'splice':
      if (Array.isArray(chosen)) chosen.splice(other % (chosen.length + 1), 1);
      break;
    case 'clear':
      for (const name of keys) delete chosen[name];
      if (Array.isArray(chosen)) chosen.length = 0;
      break;
    case 'overwrite':
      chosen[key] = 'overwritten';
      break;
    case 'swap':
      if (typeof another === 'object' && another !== null)
        [chosen[key], (another as Record<string, unknown>)[key]] = [
          (another as Record<string, unknown>)[key],
          chosen[key],
        ];
      break;
    case 'remove':
      delete chosen[key];
      break;
    case 'freeze':
      Object.freeze(chosen);
      break;
  }
}

/** Swaps make cycles: each object once. */
function objectsIn(event: unknown): Set<object> {
  const found = new Set<object>([event as object]);
  for (const object of found)
    for (const value of Object.values(object))
      if (typeof value === 'object' && value !== null) found.add(value);
  return found;
}
