/**
 * Remembers values for as long as their TTL says, bounded in number: the least recently used goes first. Knows
 * nothing of DNS but seconds.
 */

export interface AnswerCache<K, V> {
  get(key: K): V | null;
  /** A value for zero seconds is not kept. */
  set(key: K, value: V, ttlSeconds: number): void;
}

/** `now` gives milliseconds that do not run backwards. */
export function createAnswerCache<K, V>(maxEntries: number, now: () => number): AnswerCache<K, V> {
  const entries = new Map<K, { readonly value: V; readonly expires: number }>();
  return {
    get(key) {
      const entry = entries.get(key);
      if (entry === undefined) return null;
      entries.delete(key);
      if (entry.expires <= now()) return null;
      entries.set(key, entry);
      return entry.value;
    },
    set(key, value, ttlSeconds) {
      entries.delete(key);
      if (ttlSeconds <= 0) return;
      entries.set(key, { value, expires: now() + ttlSeconds * 1_000 });
      const oldest = entries.keys().next();
      if (entries.size > maxEntries && !oldest.done) entries.delete(oldest.value);
    },
  };
}
