/** A place in a table that can be emptied. */
interface Place<Value> {
  value: Value | undefined;
}

/**
 * A Map for what comes and goes with each message or request. A Map or Set of V8 that grows or shrinks
 * leaves its old table linked to the new one, with all that was in it: once the garbage collector has
 * moved one old table to its old generation, everything that was ever in a later one stays until the
 * next full collection. So a place is emptied when its entry leaves, and old tables keep nothing.
 */
export class CutMap<Key, Value extends object> {
  readonly #places = new Map<Key, Place<Value>>();

  get size(): number {
    return this.#places.size;
  }

  has(key: Key): boolean {
    return this.#places.has(key);
  }

  get(key: Key): Value | undefined {
    return this.#places.get(key)?.value;
  }

  set(key: Key, value: Value): void {
    this.delete(key);
    this.#places.set(key, { value });
  }

  /** @returns whether it was there */
  delete(key: Key): boolean {
    const place = this.#places.get(key);
    if (place === undefined) return false;
    place.value = undefined;
    return this.#places.delete(key);
  }

  /** In the order of their coming; those that leave meanwhile are passed over. */
  *values(): Generator<Value, undefined> {
    for (const { value } of this.#places.values()) if (value !== undefined) yield value;
    return undefined;
  }
}
