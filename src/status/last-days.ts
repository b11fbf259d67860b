import type { DayStatus, GapsStatus, HourStatus, WindowStatus } from "./status-document.ts";
import { kindCounter, type KindCounter } from "../ledger/event-counts.ts";
import { boundFor, latenessHistogram, type LatenessHistogram } from "../ledger/lateness.ts";
import { DAY_MS, epochMs, formatInstant, HOUR_MS, SECOND_MS, type EpochMs, type Span } from "../time.ts";
import {
  addTotals,
  lostSpan,
  NO_TOTALS,
  totalsOf,
  type Committed,
  type KindCounts,
  type LatenessCounts,
  type Totals,
} from "../totals.ts";

/** A day of windows of five minutes, and some. */
const WINDOWS_KEPT = 300;
const HOURS_KEPT_MS = 7 * DAY_MS;
/** Kinds of event kept an hour: more than any of our sources has. */
const KEYS_KEPT = 200;
const KEYS_SHOWN = 10;
const SHARE_TO_CATCH = 0.999;
/** Gaps told one by one; all are counted. */
const GAPS_KEPT = 20;
/** Runs of sequences: there is more than one only while a past is being read, or where one could not be. */
const RUNS_KEPT = 20;

interface Hour extends Totals {
  readonly from: EpochMs;
  readonly exportedMs: number;
  readonly gapMs: number;
  readonly keys: KindCounts;
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
  readonly gaps: Gaps;
}

/** What is known to be lost: of every window that was told, for a gap lies as far back as the source forgets. */
interface Gaps {
  readonly count: number;
  readonly ms: number;
  /** The newest, by sequence. */
  readonly spans: readonly (Span & { readonly sequence: number })[];
  /** Which sequences were told, by sequence. */
  readonly told: readonly { readonly first: number; readonly last: number }[];
}

const NO_GAPS: Gaps = { count: 0, ms: 0, spans: [], told: [] };

export const NOTHING_RECENT: Recent = { until: undefined, windows: [], hours: [], gaps: NO_GAPS };

/** With more windows, each told once, in any order. */
export function withCommitted(recent: Recent, committed: readonly Committed[]): Recent {
  const ends = committed.filter(({ type }) => type !== "repair").map(({ window }) => window.to);
  const until = ends.reduce<EpochMs | undefined>((last, end) => epochMs(Math.max(last ?? end, end)), recent.until);
  const gaps = committed.length === 0 ? recent.gaps : withGaps(recent.gaps, committed);
  if (until === undefined) return { ...recent, gaps };
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
  return { until, windows, hours: [...kept.values()].sort((one, other) => one.from - other.from), gaps };
}

function withGaps({ count, ms, spans, told }: Gaps, committed: readonly Committed[]): Gaps {
  const found = committed.flatMap((one) => {
    const lost = lostSpan(one);
    return lost === undefined ? [] : [{ sequence: one.sequence, from: lost.from, to: lost.to }];
  });
  const bySequence = [...spans, ...found].sort((one, other) => one.sequence - other.sequence);
  return {
    count: count + found.length,
    ms: found.reduce((sum, { from, to }) => sum + to - from, ms),
    spans: bySequence.slice(-GAPS_KEPT),
    told: joined([...told, ...committed.map(({ sequence }) => ({ first: sequence, last: sequence }))]),
  };
}

/** Runs that meet are one. */
function joined(runs: Gaps["told"]): Gaps["told"] {
  const sorted = [...runs].sort((one, other) => one.first - other.first);
  const whole: { first: number; last: number }[] = [];
  for (const { first, last } of sorted) {
    const before = whole.at(-1);
    if (before !== undefined && first <= before.last + 1) before.last = Math.max(before.last, last);
    else whole.push({ first, last });
  }
  return whole.slice(-RUNS_KEPT);
}

const NO_HOUR = { ...NO_TOTALS, exportedMs: 0, gapMs: 0, keys: {}, lateness: {} };

/** An hour to which windows are being added: many at once cost little more than one. */
interface OpenHour {
  totals: Totals;
  exportedMs: number;
  gapMs: number;
  readonly from: EpochMs;
  readonly keys: KindCounter;
  readonly lateness: LatenessHistogram;
}

function openHour({ from, exportedMs, gapMs, keys: known, lateness: before, ...totals }: Hour): OpenHour {
  const [keys, lateness] = [kindCounter(), latenessHistogram()];
  keys.addCounts(known);
  lateness.addCounts(before);
  return { from, exportedMs, gapMs, keys, lateness, totals };
}

function closed({ totals, keys, lateness, ...rest }: OpenHour): Hour {
  return { ...totals, ...rest, keys: keys.top(KEYS_KEPT), lateness: lateness.counts() };
}

/** The start of the hour of an instant. */
export function hourOf(instant: EpochMs): EpochMs {
  return epochMs(Math.floor(instant / HOUR_MS) * HOUR_MS);
}

/** A window counts in the hour where it begins; the time it covers, and the time that is lost, in every hour they touch. */
function addTo(open: (at: EpochMs) => OpenHour | undefined, committed: Committed, oldest: EpochMs): void {
  const { type, window, keys = {}, lateness = {} } = committed;
  const first = open(hourOf(window.from));
  if (first !== undefined) {
    first.totals = addTotals(first.totals, totalsOf(committed));
    first.keys.addCounts(keys);
    first.lateness.addCounts(lateness);
  }
  // A repair only adds to what counts as exported already.
  if (type === "repair") return;
  const lost = lostSpan(committed);
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

/** What the document lists: the newest windows and hours, so many at most. */
export function listsOf({ windows, hours }: Recent, most: { readonly windows: number; readonly hours: number }) {
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
  };
}

/** What the document counts: over all that is kept, however much of it is listed. */
export function sumsOf({ until, hours, gaps }: Recent, now: EpochMs) {
  const today = last24Hours(now).from;
  return {
    gaps: gapsOf(gaps),
    last24Hours: hours.filter(({ from }) => from >= today).reduce(addTotals, NO_TOTALS),
    day: dayOf(until, hours),
  };
}

/** The 24 whole hours that end with the one of `now`. */
export function last24Hours(now: EpochMs): Span {
  const to = epochMs(hourOf(now) + HOUR_MS);
  return { from: epochMs(to - DAY_MS), to };
}

function gapsOf({ count, ms, spans, told }: Gaps): GapsStatus {
  return {
    count,
    seconds: ms / SECOND_MS,
    spans: spans.map(({ sequence, ...span }) => ({ sequence, ...shownSpan(span) })),
    knownFrom: told.at(-1)?.first ?? null,
  };
}

function dayOf(until: EpochMs | undefined, hours: readonly Hour[]): DayStatus {
  const from = until === undefined ? undefined : hourOf(epochMs(until - DAY_MS));
  const tally = kindCounter();
  const histogram = latenessHistogram();
  const known = hours.filter((one) => from !== undefined && one.from >= from);
  for (const hour of known) {
    tally.addCounts(hour.keys);
    histogram.addCounts(hour.lateness);
  }
  const totals = known.reduce(addTotals, NO_TOTALS);
  const lateness = histogram.counts();
  return {
    from: from === undefined ? null : formatInstant(from),
    ...totals,
    lateness,
    wouldCatch: boundFor(SHARE_TO_CATCH, lateness, totals.events) ?? null,
    keys: Object.entries(tally.top(KEYS_SHOWN)).map(([key, events]) => ({ key, events })),
  };
}
