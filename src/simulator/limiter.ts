import { SECOND_MS } from "../time.ts";

/** Counts requests over the last second, at every instant anew: no calendar second to hide at the edge of. */
export interface SlidingSecond {
  /** Counts one request at `nowMs`, whose clock never goes back; resolves nothing, waits for nothing. */
  count(nowMs: number): void;
  /** How many were counted in the second that ends at `nowMs`. */
  load(nowMs: number): number;
  /** When `load` falls below `limit`, in milliseconds from `nowMs`; 0 when it is. */
  waitMs(nowMs: number, limit: number): number;
  /** The most that any second held. */
  peak(): number;
}

export function slidingSecond(): SlidingSecond {
  let times: number[] = [];
  let first = 0;
  let peak = 0;

  function load(nowMs: number): number {
    while (first < times.length && (times[first] ?? 0) <= nowMs - SECOND_MS) first++;
    // Cut seldom, so that a request costs the same however many there were.
    if (first > 10_000) {
      times = times.slice(first);
      first = 0;
    }
    return times.length - first;
  }

  return {
    load,
    count(nowMs) {
      times.push(nowMs);
      peak = Math.max(peak, load(nowMs));
    },
    waitMs(nowMs, limit) {
      if (load(nowMs) < limit) return 0;
      const leaves = times[times.length - limit];
      return leaves === undefined ? SECOND_MS : leaves + SECOND_MS - nowMs;
    },
    peak: () => peak,
  };
}
