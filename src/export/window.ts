import { epochMs, SECOND_MS, type EpochMs, type Span } from "../time.ts";

/** How a stream's time is cut into windows. All durations are whole seconds. */
export interface WindowPolicy {
  /** The start of the first window. */
  readonly start: EpochMs;
  /** A window ends at the next multiple of this. Divides an hour. */
  readonly sizeMs: number;
  /** The size of a window that starts on a multiple of it and is ready as a whole. Divides an hour. */
  readonly catchUpSizeMs: number;
  /** How far the export stays behind the clock: a window is ready when its end is this old. */
  readonly lagMs: number;
  /** How far before its first window a run reads again, for events that became visible late. */
  readonly lookbackMs: number;
}

/** True if the span's end is at least the lag behind `now`: no further event of it is expected. */
export function isSettled(span: Span, now: EpochMs, { lagMs }: WindowPolicy): boolean {
  return span.to + lagMs <= now;
}

/**
 * The window that begins at `from`; undefined while it has not settled. Its bounds depend on `from` and the policy. `now` only
 * decides whether it is ready, and whether a catch-up window is.
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

/** The ready windows from `from` on, oldest first, each starting where the one before ends. */
export function* readyWindows(from: EpochMs, now: EpochMs, policy: WindowPolicy): Generator<Span> {
  for (let window = nextWindow(from, now, policy); window; window = nextWindow(window.to, now, policy)) yield window;
}

/** The source's time is known to the second, and its oldest events may be gone before it makes its answer. */
const RETENTION_MARGIN_MS = 5 * SECOND_MS;

/** The instant from which on a source that keeps its events for `retentionMs` certainly still has all of them. */
export function retentionFloor(now: EpochMs, retentionMs: number | undefined): EpochMs {
  return epochMs(retentionMs === undefined ? -Infinity : now - retentionMs + RETENTION_MARGIN_MS);
}

/**
 * The span from `from` on, to a multiple of the window size, that is wholly before the floor: it can no longer be exported. The
 * window after it may begin before the floor and end after it. Undefined if there is no such span.
 */
export function gapBefore(from: EpochMs, floor: EpochMs, { sizeMs }: WindowPolicy): Span | undefined {
  const to = epochMs(Math.floor(floor / sizeMs) * sizeMs);
  return from < to ? { from, to } : undefined;
}

/** The part of a window that is before the floor; undefined if there is none. */
export function missingBefore({ from, to }: Span, floor: EpochMs): Span | undefined {
  return from < floor ? { from, to: epochMs(Math.min(to, Math.ceil(floor / SECOND_MS) * SECOND_MS)) } : undefined;
}

/** The instant from which a run's first window reads: the look-back before it, but not before the stream's start. */
export function lookbackStart(from: EpochMs, { start, lookbackMs }: WindowPolicy): EpochMs {
  return epochMs(Math.max(from - lookbackMs, Math.min(start, from)));
}
