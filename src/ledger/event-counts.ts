import type { KeyCounts } from "../totals.ts";

/** A kind's name is a word or two; longer ones are cut, so that no event can fill a manifest. */
const KEY_MAX = 100;

export interface KeyTally {
  add(key: string, count?: number): void;
  addCounts(counts: KeyCounts): void;
  /** The most frequent, and by name where they are equally so. */
  top(count: number): KeyCounts;
}

export function keyTally(): KeyTally {
  const counts = new Map<string, number>();
  const add = (key: string, count = 1): void => void counts.set(key, (counts.get(key) ?? 0) + count);
  return {
    add,
    addCounts(other) {
      for (const [key, count] of Object.entries(other)) add(key, count);
    },
    top(most) {
      const sorted = [...counts].sort(([one, first], [other, second]) => second - first || (one < other ? -1 : 1));
      return Object.fromEntries(sorted.slice(0, most).map(([key, count]) => [key.slice(0, KEY_MAX), count]));
    },
  };
}
