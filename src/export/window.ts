import { epochMs, SECOND_MS, type EpochMs, type Span } from "../time.ts";

/** How a stream's time is cut. All durations are whole seconds. */
export interface WindowPolicy {
  /** The first window starts here. */
  readonly start: EpochMs;
  /** A window ends at the next multiple of this. Divides an hour. */
  readonly sizeMs: number;
  /** Used instead where a whole span of it is ready and begins on its grid. Divides an hour. */
  readonly catchUpSizeMs: number;
  /** How far behind the clock to stay: a window is ready when its end is this old. */
  readonly lagMs: number;
  /** How far before its window a tick asks again, for events that became visible late. */
  readonly lookbackMs: number;
}

/** True when all of the span is `lag` behind `now`, so that no event of it is expected any more. */
export function isSettled(span: Span, now: EpochMs, { lagMs }: WindowPolicy): boolean {
  return span.to + lagMs <= now;
}

/**
 * The window that begins at `from`, or undefined while it is not settled. Its bounds depend on `from` and the policy;
 * `now` decides only whether it is ready, and whether a catch-up window is.
 */
export function nextWindow(from: EpochMs, now: EpochMs, policy: WindowPolicy): Span | undefined {
  const ending = (sizeMs: number): Span => ({ from, to: epochMs((Math.floor(from / sizeMs) + 1) * sizeMs) });
  if (from % policy.catchUpSizeMs === 0) {
    const large = ending(policy.catchUpSizeMs);
    if (isSettled(large, now, policy)) return large;
  }
  const window = ending(policy.sizeMs);
  return isSettled(window, now, policy) ? window : undefined;
}

/** The ready windows from `from` on, end to start, oldest first. */
export function* readyWindows(from: EpochMs, now: EpochMs, policy: WindowPolicy): Generator<Span> {
  for (let window = nextWindow(from, now, policy); window; window = nextWindow(window.to, now, policy)) yield window;
}

/** The source's time is known to the second, and what it forgets next may be gone before its answer is made. */
const RETENTION_MARGIN_MS = 5 * SECOND_MS;

/** From where on a source that keeps its events for `retentionMs` still has all of them, for sure. */
export function retentionFloor(now: EpochMs, retentionMs: number | undefined): EpochMs {
  return epochMs(retentionMs === undefined ? -Infinity : now - retentionMs + RETENTION_MARGIN_MS);
}

/**
 * The span from `from` on that lies wholly before the floor, up to the grid: what cannot be exported any more. The window that
 * follows it may still straddle the floor. Undefined where there is none.
 */
export function gapBefore(from: EpochMs, floor: EpochMs, { sizeMs }: WindowPolicy): Span | undefined {
  const to = epochMs(Math.floor(floor / sizeMs) * sizeMs);
  return from < to ? { from, to } : undefined;
}

/** The part of a window that lies before the floor. */
export function missingBefore({ from, to }: Span, floor: EpochMs): Span | undefined {
  return from < floor ? { from, to: epochMs(Math.min(to, Math.ceil(floor / SECOND_MS) * SECOND_MS)) } : undefined;
}

/** From where a tick's first window asks: the look-back before it, but not before the stream's start. */
export function lookbackStart(from: EpochMs, { start, lookbackMs }: WindowPolicy): EpochMs {
  return epochMs(Math.max(from - lookbackMs, Math.min(start, from)));
}
