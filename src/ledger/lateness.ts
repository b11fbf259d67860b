import { DAY_MS, formatDuration, HOUR_MS, MINUTE_MS } from "../time.ts";
import type { LatenessCounts } from "../totals.ts";

/** Upper bounds of the histogram's buckets; the last bucket has none. */
const BOUNDS_MS = [1, 2, 5, 10, 15, 30, 60]
  .map((minutes) => minutes * MINUTE_MS)
  .concat(6 * HOUR_MS, DAY_MS, 7 * DAY_MS);
const BEYOND = "more";

/** Counts of lateness: the time from an event's own time to the run that saw it first. */
export interface LatenessHistogram {
  add(latenessMs: number): void;
  /** Adds the counts of another histogram. */
  addCounts(counts: LatenessCounts): void;
  counts(): LatenessCounts;
}

const NAMES = [...BOUNDS_MS.map(formatDuration), BEYOND];

export function latenessHistogram(): LatenessHistogram {
  const counts = new Map<string, number>();
  const addTo = (name: string, count: number): void => void counts.set(name, (counts.get(name) ?? 0) + count);
  return {
    add(latenessMs) {
      const index = BOUNDS_MS.findIndex((bound) => latenessMs <= bound);
      addTo(index < 0 ? BEYOND : (NAMES[index] ?? BEYOND), 1);
    },
    addCounts(other) {
      for (const [name, count] of Object.entries(other)) addTo(name, count);
    },
    counts: () =>
      Object.fromEntries(NAMES.filter((name) => counts.has(name)).map((name) => [name, counts.get(name) ?? 0])),
  };
}

/**
 * The smallest bound that, as a look-back or lag, would have caught `share` of all events, including those that came in time;
 * undefined if it is beyond the last bound.
 */
export function boundFor(share: number, counts: LatenessCounts, events: number): string | undefined {
  let missed = Object.values(counts).reduce((sum, count) => sum + count, 0);
  if (missed <= events * (1 - share)) return "0s";
  for (const name of NAMES.slice(0, -1)) {
    missed -= counts[name] ?? 0;
    if (missed <= events * (1 - share)) return name;
  }
  return undefined;
}
