import { SECOND_MS } from "../time.ts";

/** Counts the requests of the last second. The second slides, so a burst across two calendar seconds counts as one. */
export interface SlidingSecond {
  /** Counts a request at `nowMs`, which must not go back. */
  count(nowMs: number): void;
  /** The number of requests in the second that ends at `nowMs`. */
  load(nowMs: number): number;
  /** Milliseconds from `nowMs` until `load` is below `limit`; 0 when it already is. */
  waitMs(nowMs: number, limit: number): number;
  /** The highest number of requests in any second. */
  peak(): number;
}

export function slidingSecond(): SlidingSecond {
  let times: number[] = [];
  let first = 0;
  let peak = 0;

  function load(nowMs: number): number {
    while (first < times.length && (times[first] ?? 0) <= nowMs - SECOND_MS) first++;
    // Rarely, so that the cost of a request does not depend on the number of requests before it.
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
