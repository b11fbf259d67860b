import type { DayStatus, GapsStatus, HourStatus, StreamStatus, WindowStatus } from "./status-document.ts";
import { kindCounter, type KindCounter } from "../ledger/event-counts.ts";
import { boundFor, latenessHistogram, type LatenessHistogram } from "../ledger/lateness.ts";
import { DAY_MS, epochMs, formatInstant, HOUR_MS, jsonSpan, SECOND_MS, type EpochMs, type Span } from "../time.ts";
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

/** A day of windows of five minutes, and a few more. */
const WINDOWS_MAX = 300;
const HOURS_KEPT_MS = 7 * DAY_MS;
/** Kinds of event kept per hour: more than any of our sources has. */
const KINDS_MAX = 200;
const KINDS_LISTED_MAX = 10;
const SHARE_TO_CATCH = 0.999;
/** Gaps listed one by one; all are counted. */
const GAPS_LISTED_MAX = 20;
/** Runs of known sequences: more than one only while the ledger is being read, or where a part could not be read. */
const RUNS_MAX = 20;

interface Hour extends Totals {
  readonly from: EpochMs;
  readonly exportedMs: number;
  readonly gapMs: number;
  readonly keys: KindCounts;
  readonly lateness: LatenessCounts;
}

/** What a stream committed in its last days of event time. Bounded, and immutable. */
export interface LastDays {
  /** The end of the newest window or gap; undefined before the first. */
  readonly until: EpochMs | undefined;
  /** The last day, by sequence. */
  readonly windows: readonly (WindowStatus & { readonly end: EpochMs })[];
  /** The last week, by time. */
  readonly hours: readonly Hour[];
  readonly gaps: Gaps;
}

/** Lost time. Covers every known window, not only the last days: a gap may be as old as the source's retention. */
interface Gaps {
  readonly count: number;
  readonly ms: number;
  /** The newest, by sequence. */
  readonly spans: readonly (Span & { readonly sequence: number })[];
  /** The sequences of the windows that are known, as runs in order. */
  readonly knownSequences: readonly { readonly first: number; readonly last: number }[];
}

const NO_GAPS: Gaps = { count: 0, ms: 0, spans: [], knownSequences: [] };

export const NO_DAYS: LastDays = { until: undefined, windows: [], hours: [], gaps: NO_GAPS };

/** Adds windows: each once, in any order. */
export function addWindows(lastDays: LastDays, committed: readonly Committed[]): LastDays {
  const ends = committed.filter(({ type }) => type !== "repair").map(({ window }) => window.to);
  const until = ends.reduce<EpochMs | undefined>((last, end) => epochMs(Math.max(last ?? end, end)), lastDays.until);
  const gaps = committed.length === 0 ? lastDays.gaps : addGaps(lastDays.gaps, committed);
  if (until === undefined) return { ...lastDays, gaps };
  const windows = [...lastDays.windows, ...committed.map(windowStatus)]
    .filter(({ end }) => end > until - DAY_MS)
    .sort((one, other) => one.sequence - other.sequence)
    .slice(-WINDOWS_MAX);
  const oldest = epochMs(hourOf(until) - HOURS_KEPT_MS);
  const hours = new Map(lastDays.hours.filter(({ from }) => from >= oldest).map((hour) => [hour.from, hour]));
  const changed = new Map<EpochMs, HourBuilder>();
  const hourAt = (at: EpochMs): HourBuilder | undefined => {
    if (at < oldest || at >= until) return undefined;
    const hour = changed.get(at) ?? hourBuilder(hours.get(at) ?? { ...NO_HOUR, from: at });
    changed.set(at, hour);
    return hour;
  };
  for (const one of committed) addToHours(hourAt, one, oldest);
  for (const [at, hour] of changed) hours.set(at, builtHour(hour));
  return { until, windows, hours: [...hours.values()].sort((one, other) => one.from - other.from), gaps };
}

function addGaps({ count, ms, spans, knownSequences }: Gaps, committed: readonly Committed[]): Gaps {
  const found = committed.flatMap((one) => {
    const lost = lostSpan(one);
    return lost === undefined ? [] : [{ sequence: one.sequence, from: lost.from, to: lost.to }];
  });
  const bySequence = [...spans, ...found].sort((one, other) => one.sequence - other.sequence);
  return {
    count: count + found.length,
    ms: found.reduce((sum, { from, to }) => sum + to - from, ms),
    spans: bySequence.slice(-GAPS_LISTED_MAX),
    knownSequences: mergeRuns([
      ...knownSequences,
      ...committed.map(({ sequence }) => ({ first: sequence, last: sequence })),
    ]),
  };
}

/** Sorts runs of sequences, and makes one of those that touch. */
function mergeRuns(runs: Gaps["knownSequences"]): Gaps["knownSequences"] {
  const sorted = [...runs].sort((one, other) => one.first - other.first);
  const merged: { first: number; last: number }[] = [];
  for (const { first, last } of sorted) {
    const before = merged.at(-1);
    if (before !== undefined && first <= before.last + 1) before.last = Math.max(before.last, last);
    else merged.push({ first, last });
  }
  return merged.slice(-RUNS_MAX);
}

const NO_HOUR = { ...NO_TOTALS, exportedMs: 0, gapMs: 0, keys: {}, lateness: {} };

/** An hour while windows are added to it: many at once cost little more than one. */
interface HourBuilder {
  totals: Totals;
  exportedMs: number;
  gapMs: number;
  readonly from: EpochMs;
  readonly kinds: KindCounter;
  readonly lateness: LatenessHistogram;
}

function hourBuilder({ from, exportedMs, gapMs, keys, lateness: counts, ...totals }: Hour): HourBuilder {
  const [kinds, lateness] = [kindCounter(), latenessHistogram()];
  kinds.addCounts(keys);
  lateness.addCounts(counts);
  return { from, exportedMs, gapMs, kinds, lateness, totals };
}

function builtHour({ totals, kinds, lateness, ...rest }: HourBuilder): Hour {
  return { ...totals, ...rest, keys: kinds.top(KINDS_MAX), lateness: lateness.counts() };
}

/** The start of the hour of an instant. */
export function hourOf(instant: EpochMs): EpochMs {
  return epochMs(Math.floor(instant / HOUR_MS) * HOUR_MS);
}

/** Counts a window in the hour where it begins; its exported and its lost time in every hour that they overlap. */
function addToHours(hourAt: (at: EpochMs) => HourBuilder | undefined, committed: Committed, oldest: EpochMs): void {
  const { type, window, keys = {}, lateness = {} } = committed;
  const first = hourAt(hourOf(window.from));
  if (first !== undefined) {
    first.totals = addTotals(first.totals, totalsOf(committed));
    first.kinds.addCounts(keys);
    first.lateness.addCounts(lateness);
  }
  // A repair adds events to time that already counts as exported.
  if (type === "repair") return;
  const lost = lostSpan(committed);
  for (let at = hourOf(epochMs(Math.max(window.from, oldest))); at < window.to; at = epochMs(at + HOUR_MS)) {
    const hour = hourAt(at);
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

function windowStatus({ sequence, type, window, events, late, quarantined, bytes, missing }: Committed) {
  return {
    ...{ sequence, kind: type, ...jsonSpan(window), events, late, quarantined, bytes },
    ...(missing !== undefined && { missing: jsonSpan(missing) }),
    end: window.to,
  };
}

/** The newest windows and hours, at most as many as `limits` says of each. */
export function listNewest(
  { windows, hours }: LastDays,
  limits: { readonly windows: number; readonly hours: number },
): Pick<StreamStatus, "windows" | "hours"> {
  return {
    windows: windows.slice(-limits.windows).map(({ end: _, ...window }): WindowStatus => window),
    hours: hours
      .slice(-limits.hours)
      .map(({ from, exportedMs, gapMs, keys: _, lateness: __, ...totals }): HourStatus => ({
        from: formatInstant(from),
        ...totals,
        exportedSeconds: exportedMs / SECOND_MS,
        gapSeconds: gapMs / SECOND_MS,
      })),
  };
}

/** The sums over everything that is kept, listed or not. */
export function summarize(
  { until, hours, gaps }: LastDays,
  now: EpochMs,
): Pick<StreamStatus, "gaps" | "last24Hours" | "day"> {
  const today = last24Hours(now).from;
  return {
    gaps: gapsStatus(gaps),
    last24Hours: hours.filter(({ from }) => from >= today).reduce(addTotals, NO_TOTALS),
    day: dayStatus(until, hours),
  };
}

/** The 24 whole hours that end with the hour of `now`. */
export function last24Hours(now: EpochMs): Span {
  const to = epochMs(hourOf(now) + HOUR_MS);
  return { from: epochMs(to - DAY_MS), to };
}

function gapsStatus({ count, ms, spans, knownSequences }: Gaps): GapsStatus {
  return {
    count,
    seconds: ms / SECOND_MS,
    spans: spans.map(({ sequence, ...span }) => ({ sequence, ...jsonSpan(span) })),
    knownFrom: knownSequences.at(-1)?.first ?? null,
  };
}

function dayStatus(until: EpochMs | undefined, hours: readonly Hour[]): DayStatus {
  const from = until === undefined ? undefined : hourOf(epochMs(until - DAY_MS));
  const kinds = kindCounter();
  const histogram = latenessHistogram();
  const ofDay = hours.filter((hour) => from !== undefined && hour.from >= from);
  for (const hour of ofDay) {
    kinds.addCounts(hour.keys);
    histogram.addCounts(hour.lateness);
  }
  const totals = ofDay.reduce(addTotals, NO_TOTALS);
  const lateness = histogram.counts();
  return {
    from: from === undefined ? null : formatInstant(from),
    ...totals,
    lateness,
    wouldCatch: boundFor(SHARE_TO_CATCH, lateness, totals.events) ?? null,
    keys: Object.entries(kinds.top(KINDS_LISTED_MAX)).map(([key, events]) => ({ key, events })),
  };
}
