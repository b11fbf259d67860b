import type { LatenessCounts, Totals } from "../totals.ts";

/*
 * The status document: `/status.json`, `status --json`, and what the page shows. Instants are RFC 3339 in UTC; lists are in
 * order of time, oldest first. Its size is bounded, whatever the size of a ledger.
 */

export interface StatusDocument {
  readonly version: string;
  /** When the worker started; null: no worker is running, this was read from the ledgers. */
  readonly startedAt: string | null;
  /** The instant for which lags and states are computed. */
  readonly now: string;
  /** The worker was asked to stop, and finishes its current windows. */
  readonly stopping: boolean;
  readonly streams: readonly StreamStatus[];
}

/**
 * `starting`: no run has finished yet. `ok`: the last run succeeded, and the lag is within its limit. `behind`: the lag is over
 * its limit; the stream may be catching up. `failing`: the last run failed, the next one retries. `stopped`: its ledger is
 * damaged.
 */
export type StreamState = "starting" | "ok" | "behind" | "failing" | "stopped";

export const STREAM_STATES: readonly StreamState[] = ["starting", "ok", "behind", "failing", "stopped"];

/** Most urgent first. */
export const WORST_FIRST: readonly StreamState[] = ["stopped", "failing", "behind", "starting", "ok"];

/** More streams than this are shown in full only when selected. */
const FULL_STREAMS_MAX = 6;

/** The streams that are shown in full: the selected one, or the most urgent. */
export function shownInFull<Stream extends Pick<StreamStatus, "stream" | "state">>(
  streams: readonly Stream[],
  selected?: string,
): readonly Stream[] {
  const found = streams.filter(({ stream }) => stream === selected);
  return found.length > 0 ? found : [...streams].sort(byUrgency).slice(0, FULL_STREAMS_MAX);
}

/** Sorts the most urgent first. */
export function byUrgency(one: Pick<StreamStatus, "state">, other: Pick<StreamStatus, "state">): number {
  return WORST_FIRST.indexOf(one.state) - WORST_FIRST.indexOf(other.state);
}

/** The status of one stream. */
export interface StreamStatus {
  readonly stream: string;
  readonly state: StreamState;
  /** Why it is not ok, and what to do about it; null if it is ok and there is no warning. */
  readonly why: string | null;
  readonly hint: string | null;
  readonly source: { readonly type: string; readonly baseUrl: string; readonly account: string };
  /** Where the sink writes. */
  readonly sink: string;
  /** Cron, UTC. */
  readonly schedule: string;
  /** Everything before this instant is exported; null before the first commit, and before the ledger was read. */
  readonly exportedUntil: string | null;
  /** Time from `exportedUntil`, or from the start of the stream, to now; null before the ledger was read. */
  readonly lagSeconds: number | null;
  readonly lagLimitSeconds: number;
  /** The next run. Null without a worker, and for a stopped stream. */
  readonly nextTick: string | null;
  /** End of the last run, successful or not. */
  readonly lastTick: string | null;
  readonly lastSuccess: string | null;
  /** Failed runs since the last successful one. */
  readonly failedTicks: number;
  /** The window that is being exported. */
  readonly running: RunningWindow | null;
  /** Why the last run failed; null if it succeeded. */
  readonly failure: Failure | null;
  /** The last ten failures, the newest last; a failure that repeats is one entry with a count. */
  readonly errors: readonly PastFailure[];
  /** The newest manifest of the ledger. */
  readonly head: { readonly sequence: number; readonly sha256: string } | null;
  /** Share of the source's items that the ledger has, by the last comparison; null before the first, and after a failed one. */
  readonly completeness: number | null;
  readonly reconciledAt: string | null;
  /** How far the source's clock was ahead of this machine's when last asked (negative: behind); null before. The lag is computed
   * by the later of the two clocks. */
  readonly clockOffsetSeconds: number | null;
  /** The windows committed before the worker started have been read from the ledger, as far back as they are read. */
  readonly isPastRead: boolean;
  /** When the source deletes the oldest event not yet exported, and the time left until then (negative: it has); null if the
   * source keeps everything. */
  readonly retention: { readonly until: string; readonly leftSeconds: number } | null;
  /** Known lost time, however old. */
  readonly gaps: GapsStatus;
  /** The windows of the last exported day: at most the newest 300 (`hours` counts all). */
  readonly windows: readonly WindowStatus[];
  /** Hours of event time: at most seven days, with many streams at least the last 25 hours; unknown hours are left out. */
  readonly hours: readonly HourStatus[];
  /** The 24 whole hours of event time that end with the hour of `now`. */
  readonly last24Hours: Totals;
  /** The last exported day. */
  readonly day: DayStatus;
  /** Committed since the worker started, by it or by another worker. */
  readonly totals: Totals;
}

export interface RunningWindow {
  readonly sequence: number;
  readonly kind: WindowKind;
  readonly from: string;
  readonly to: string;
  readonly since: string;
}

export interface Failure {
  readonly code: string;
  readonly stage: string | null;
  readonly message: string;
  readonly hint: string | null;
}

export interface PastFailure extends Failure {
  /** When it happened first and last, and how often in a row. */
  readonly firstTime: string;
  readonly time: string;
  readonly count: number;
}

export type WindowKind = "window" | "gap" | "repair";

/** One committed window. `events: 0`: the source had no events in it. */
export interface WindowStatus {
  readonly sequence: number;
  readonly kind: WindowKind;
  readonly from: string;
  readonly to: string;
  readonly events: number;
  readonly late: number;
  readonly quarantined: number;
  readonly bytes: number;
  /** The part that the source no longer kept. */
  readonly missing?: { readonly from: string; readonly to: string };
}

/** The spans that the source no longer kept, of all known windows. */
export interface GapsStatus {
  readonly count: number;
  /** Their total length. */
  readonly seconds: number;
  /** The newest twenty, by sequence. */
  readonly spans: readonly { readonly sequence: number; readonly from: string; readonly to: string }[];
  /** Every window from this sequence on is known; 1: the whole ledger; null: none. After a restart the newest 2,100 windows are
   * read from the ledger; `verify` reads all. */
  readonly knownFrom: number | null;
}

/** One hour of event time. A window counts in the hour where it begins. */
export interface HourStatus extends Totals {
  /** Its start. */
  readonly from: string;
  /** How much of it is exported, without gaps: 3600 is all. */
  readonly exportedSeconds: number;
  /** How much of it the source no longer kept. */
  readonly gapSeconds: number;
}

export interface DayStatus extends Totals {
  /** Its start; null before anything was exported. */
  readonly from: string | null;
  /** How late the late events were: counts by upper bound (`5m`, …, `more`); empty buckets are left out. */
  readonly lateness: LatenessCounts;
  /** The lag, or look-back, that would have caught 99.9 % of the events; null: longer than a week. */
  readonly wouldCatch: string | null;
  /** The ten most frequent kinds of event. */
  readonly keys: readonly { readonly key: string; readonly events: number }[];
}
