import type { DayStatus, HourStatus, Totals, WindowStatus } from "./document.ts";
import type { Committed } from "./fact.ts";
import { keyTally, type KeyCounts } from "./keys.ts";
import { boundFor, latenessOf, type LatenessCounts } from "./lateness.ts";
import { DAY_MS, epochMs, formatInstant, HOUR_MS, SECOND_MS, type EpochMs, type Span } from "./time.ts";

/** A day of windows of five minutes, and some. */
const WINDOWS_KEPT = 300;
const HOURS_KEPT_MS = 7 * DAY_MS;
/** Kinds of event kept an hour: more than any of our sources has. */
const KEYS_KEPT = 200;
const KEYS_SHOWN = 10;
const SHARE_TO_CATCH = 0.999;

interface Hour extends Totals {
  readonly from: EpochMs;
  readonly exportedMs: number;
  readonly gapMs: number;
  readonly keys: KeyCounts;
  readonly lateness: LatenessCounts;
}

/** What a stream committed of late, by event time: bounded, and never changed once it is handed out. */
export interface Recent {
  /** The end of the newest window or gap; undefined before the first. */
  readonly until: EpochMs | undefined;
  /** By sequence. */
  readonly windows: readonly (WindowStatus & { readonly end: EpochMs })[];
  /** By time. */
  readonly hours: readonly Hour[];
}

export const NOTHING_RECENT: Recent = { until: undefined, windows: [], hours: [] };

export const NO_TOTALS: Totals = { windows: 0, events: 0, late: 0, quarantined: 0, gaps: 0, bytes: 0 };

/** With more windows, each told once, in any order. */
export function withCommitted(recent: Recent, committed: readonly Committed[]): Recent {
  const ends = committed.filter(({ type }) => type !== "repair").map(({ window }) => window.to);
  const until = ends.reduce<EpochMs | undefined>((last, end) => epochMs(Math.max(last ?? end, end)), recent.until);
  if (until === undefined) return recent;
  const windows = [...recent.windows, ...committed.map(shownWindow)]
    .filter(({ end }) => end > until - DAY_MS)
    .sort((one, other) => one.sequence - other.sequence)
    .slice(-WINDOWS_KEPT);
  const hours = new Map(recent.hours.map((hour) => [hour.from, hour]));
  const oldest = epochMs(hourOf(until) - HOURS_KEPT_MS);
  for (const one of committed) addTo(hours, one, { from: oldest, to: until });
  return {
    until,
    windows,
    hours: [...hours.values()].filter(({ from }) => from >= oldest).sort((one, other) => one.from - other.from),
  };
}

function hourOf(instant: EpochMs): EpochMs {
  return epochMs(Math.floor(instant / HOUR_MS) * HOUR_MS);
}

/** A window counts in the hour where it begins; the time it covers, and the time that is lost, in every hour they touch. */
function addTo(hours: Map<EpochMs, Hour>, committed: Committed, kept: Span): void {
  const { type, window, missing } = committed;
  const change = (at: EpochMs, make: (hour: Hour) => Partial<Hour>): void => {
    if (at < kept.from || at >= kept.to) return;
    const hour = hours.get(at) ?? { from: at, ...NO_TOTALS, exportedMs: 0, gapMs: 0, keys: {}, lateness: {} };
    hours.set(at, { ...hour, ...make(hour) });
  };
  change(hourOf(window.from), (hour) => ({
    ...plus(hour, committed),
    keys: mergedKeys(hour.keys, committed.keys),
    lateness: mergedLateness(hour.lateness, committed.lateness),
  }));
  const lost = type === "gap" ? window : missing;
  for (let at = hourOf(epochMs(Math.max(window.from, kept.from))); at < window.to; at = epochMs(at + HOUR_MS)) {
    const span = { from: at, to: epochMs(at + HOUR_MS) };
    const gapMs = lost === undefined ? 0 : overlapMs(span, lost);
    // A repair only adds to what counts as exported already.
    const exportedMs = type === "window" ? overlapMs(span, window) - gapMs : 0;
    change(at, (hour) => ({ exportedMs: hour.exportedMs + exportedMs, gapMs: hour.gapMs + gapMs }));
  }
}

function overlapMs(one: Span, other: Span): number {
  return Math.max(0, Math.min(one.to, other.to) - Math.max(one.from, other.from));
}

/** The totals with one more window. */
export function plus(totals: Totals, { type, events, late, quarantined, bytes, missing }: Committed): Totals {
  return {
    windows: totals.windows + 1,
    events: totals.events + events,
    late: totals.late + late,
    quarantined: totals.quarantined + quarantined,
    gaps: totals.gaps + (type === "gap" || missing !== undefined ? 1 : 0),
    bytes: totals.bytes + bytes,
  };
}

function mergedKeys(one: KeyCounts, other: KeyCounts | undefined): KeyCounts {
  if (other === undefined) return one;
  const tally = keyTally();
  tally.addCounts(one);
  tally.addCounts(other);
  return tally.top(KEYS_KEPT);
}

function mergedLateness(one: LatenessCounts, other: LatenessCounts | undefined): LatenessCounts {
  if (other === undefined) return one;
  const lateness = latenessOf();
  lateness.addCounts(one);
  lateness.addCounts(other);
  return lateness.counts();
}

function shownWindow({ sequence, type, window, events, late, quarantined, bytes, missing }: Committed) {
  return {
    ...{ sequence, kind: type, ...shownSpan(window), events, late, quarantined, bytes },
    ...(missing !== undefined && { missing: shownSpan(missing) }),
    end: window.to,
  };
}

export function shownSpan({ from, to }: Span): { readonly from: string; readonly to: string } {
  return { from: formatInstant(from), to: formatInstant(to) };
}

/** What the document shows of it: the newest windows and hours, so many at most. */
export function shownRecent(
  { until, windows, hours }: Recent,
  most: { readonly windows: number; readonly hours: number },
) {
  return {
    windows: windows.slice(-most.windows).map(({ end: _, ...window }): WindowStatus => window),
    hours: hours
      .slice(-most.hours)
      .map(({ from, exportedMs, gapMs, keys: _, lateness: __, ...totals }): HourStatus => ({
        from: formatInstant(from),
        ...totals,
        exportedSeconds: exportedMs / SECOND_MS,
        gapSeconds: gapMs / SECOND_MS,
      })),
    day: dayOf(until, hours),
  };
}

function dayOf(until: EpochMs | undefined, hours: readonly Hour[]): DayStatus {
  const from = until === undefined ? undefined : hourOf(epochMs(until - DAY_MS));
  const tally = keyTally();
  const histogram = latenessOf();
  let totals = NO_TOTALS;
  for (const hour of hours.filter((one) => from !== undefined && one.from >= from)) {
    tally.addCounts(hour.keys);
    histogram.addCounts(hour.lateness);
    const { windows, events, late, quarantined, gaps, bytes } = hour;
    totals = {
      windows: totals.windows + windows,
      events: totals.events + events,
      late: totals.late + late,
      quarantined: totals.quarantined + quarantined,
      gaps: totals.gaps + gaps,
      bytes: totals.bytes + bytes,
    };
  }
  const lateness = histogram.counts();
  return {
    from: from === undefined ? null : formatInstant(from),
    ...totals,
    lateness,
    wouldCatch: boundFor(SHARE_TO_CATCH, lateness, totals.events) ?? null,
    keys: Object.entries(tally.top(KEYS_SHOWN)).map(([key, events]) => ({ key, events })),
  };
}
