import type { DayStatus, HourStatus, Totals, WindowStatus } from "./document.ts";
import type { Committed } from "./fact.ts";
import { keyTally, type KeyCounts, type KeyTally } from "./keys.ts";
import { boundFor, latenessOf, type Lateness, type LatenessCounts } from "./lateness.ts";
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
  const oldest = epochMs(hourOf(until) - HOURS_KEPT_MS);
  const changed = new Map<EpochMs, OpenHour>();
  const kept = new Map(recent.hours.filter(({ from }) => from >= oldest).map((hour) => [hour.from, hour]));
  const open = (at: EpochMs): OpenHour | undefined => {
    if (at < oldest || at >= until) return undefined;
    const hour = changed.get(at) ?? openHour(kept.get(at) ?? { ...NO_HOUR, from: at });
    changed.set(at, hour);
    return hour;
  };
  for (const one of committed) addTo(open, one, oldest);
  for (const [at, hour] of changed) kept.set(at, closed(hour));
  return { until, windows, hours: [...kept.values()].sort((one, other) => one.from - other.from) };
}

const NO_HOUR = { ...NO_TOTALS, exportedMs: 0, gapMs: 0, keys: {}, lateness: {} };

/** An hour to which windows are being added: many at once cost little more than one. */
interface OpenHour {
  totals: Totals;
  exportedMs: number;
  gapMs: number;
  readonly from: EpochMs;
  readonly keys: KeyTally;
  readonly lateness: Lateness;
}

function openHour({ from, exportedMs, gapMs, keys: known, lateness: before, ...totals }: Hour): OpenHour {
  const [keys, lateness] = [keyTally(), latenessOf()];
  keys.addCounts(known);
  lateness.addCounts(before);
  return { from, exportedMs, gapMs, keys, lateness, totals };
}

function closed({ totals, keys, lateness, ...rest }: OpenHour): Hour {
  return { ...totals, ...rest, keys: keys.top(KEYS_KEPT), lateness: lateness.counts() };
}

function hourOf(instant: EpochMs): EpochMs {
  return epochMs(Math.floor(instant / HOUR_MS) * HOUR_MS);
}

/** A window counts in the hour where it begins; the time it covers, and the time that is lost, in every hour they touch. */
function addTo(open: (at: EpochMs) => OpenHour | undefined, committed: Committed, oldest: EpochMs): void {
  const { type, window, missing, keys = {}, lateness = {} } = committed;
  const first = open(hourOf(window.from));
  if (first !== undefined) {
    first.totals = plus(first.totals, committed);
    first.keys.addCounts(keys);
    first.lateness.addCounts(lateness);
  }
  // A repair only adds to what counts as exported already.
  if (type === "repair") return;
  const lost = type === "gap" ? window : missing;
  for (let at = hourOf(epochMs(Math.max(window.from, oldest))); at < window.to; at = epochMs(at + HOUR_MS)) {
    const hour = open(at);
    if (hour === undefined) continue;
    const span = { from: at, to: epochMs(at + HOUR_MS) };
    const gapMs = lost === undefined ? 0 : overlapMs(span, lost);
    hour.gapMs += gapMs;
    hour.exportedMs += overlapMs(span, window) - gapMs;
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
