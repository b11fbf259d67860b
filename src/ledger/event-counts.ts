import type { KindCounts } from "../totals.ts";

/** A kind's name is a word or two. Longer ones are cut, so that no event can fill a manifest. */
const KIND_MAX_CHARS = 100;

/** Counts events by kind. */
export interface KindCounter {
  add(kind: string, count?: number): void;
  addCounts(counts: KindCounts): void;
  /** The `most` frequent kinds, by name where counts are equal. */
  top(most: number): KindCounts;
}

export function kindCounter(): KindCounter {
  const counts = new Map<string, number>();
  const add = (kind: string, count = 1): void => void counts.set(kind, (counts.get(kind) ?? 0) + count);
  return {
    add,
    addCounts(other) {
      for (const [kind, count] of Object.entries(other)) add(kind, count);
    },
    top(most) {
      const sorted = [...counts].sort(([one, first], [other, second]) => second - first || (one < other ? -1 : 1));
      return Object.fromEntries(sorted.slice(0, most).map(([kind, count]) => [kind.slice(0, KIND_MAX_CHARS), count]));
    },
  };
}
