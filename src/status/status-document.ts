import type { LatenessCounts, Totals } from "../totals.ts";

/*
 * The status document: what `/status.json` and `status --json` answer and the page shows. Instants are RFC 3339 in UTC; lists
 * rise with time. It is bounded, whatever the size of a ledger.
 */

export interface StatusDocument {
  readonly version: string;
  /** When the worker started; null: no worker runs, this was read from the ledgers. */
  readonly startedAt: string | null;
  /** The instant at which lags and states are meant. */
  readonly now: string;
  /** The worker was asked to stop, and finishes what is at hand. */
  readonly stopping: boolean;
  readonly streams: readonly StreamStatus[];
}

/**
 * `starting`: no tick has ended yet. `ok`: the last tick succeeded, and the lag is under its limit. `behind`: the lag is over
 * its limit; it may be catching up. `failing`: the last tick failed, the next one tries again. `stopped`: its ledger is damaged.
 */
export type StreamState = "starting" | "ok" | "behind" | "failing" | "stopped";

export const STREAM_STATES: readonly StreamState[] = ["starting", "ok", "behind", "failing", "stopped"];

/** The worst first: who needs somebody soonest. */
export const WORST_FIRST: readonly StreamState[] = ["stopped", "failing", "behind", "starting", "ok"];

/** So many streams are told in full at once; of more, the others each when asked for. */
const TOLD_IN_FULL = 6;

/** The streams that are told in full: the one that was asked for, or those that need somebody first. */
export function toldInFull<Stream extends Pick<StreamStatus, "stream" | "state">>(
  streams: readonly Stream[],
  asked?: string,
): readonly Stream[] {
  const chosen = streams.filter(({ stream }) => stream === asked);
  return chosen.length > 0 ? chosen : [...streams].sort(byNeed).slice(0, TOLD_IN_FULL);
}

export function byNeed(one: Pick<StreamStatus, "state">, other: Pick<StreamStatus, "state">): number {
  return WORST_FIRST.indexOf(one.state) - WORST_FIRST.indexOf(other.state);
}

/** How one stream stands. */
export interface StreamStatus {
  readonly stream: string;
  readonly state: StreamState;
  /** Why it is not ok, in a sentence, and what to do; null where there is nothing to say. */
  readonly why: string | null;
  readonly hint: string | null;
  readonly source: { readonly type: string; readonly baseUrl: string; readonly account: string };
  /** The sink's place. */
  readonly sink: string;
  /** Cron, UTC. */
  readonly schedule: string;
  /** Everything before this instant is exported; null before the first commit, or before the ledger was read. */
  readonly exportedUntil: string | null;
  /** From there, or from the start of the stream, to now; null before the ledger was read. */
  readonly lagSeconds: number | null;
  readonly lagLimitSeconds: number;
  /** Null without a worker, and for a stopped stream. */
  readonly nextTick: string | null;
  /** When the last tick ended, however it ended. */
  readonly lastTick: string | null;
  readonly lastSuccess: string | null;
  /** Failed ticks since the last success. */
  readonly failedTicks: number;
  /** The window at work. */
  readonly running: RunningWindow | null;
  /** What ended the last tick, if anything did. */
  readonly failure: Failure | null;
  /** The last ten, the newest last; the same failure again is not repeated, but counted. */
  readonly errors: readonly PastFailure[];
  /** The newest link of the ledger. */
  readonly head: { readonly sequence: number; readonly sha256: string } | null;
  /** Of the last comparison with the source: the share of its items that the ledger has; null before the first, and after one
   * that failed. */
  readonly completeness: number | null;
  readonly reconciledAt: string | null;
  /** How far the source's clock was ahead of this machine's when it was asked last (negative: behind); null before. The lag is
   * reckoned by the later of both. */
  readonly clockOffsetSeconds: number | null;
  /** What was committed before the worker started is known, as far back as it is read. */
  readonly isPastRead: boolean;
  /** When the source forgets what is exported next, and how long that is from now (negative: it has); null where it keeps all. */
  readonly retention: { readonly until: string; readonly leftSeconds: number } | null;
  /** What is known to be lost, however long ago it happened. */
  readonly gaps: GapsStatus;
  /** The windows of the last day that was exported: at most 300, then only the newest (`hours` has them all). */
  readonly windows: readonly WindowStatus[];
  /** The same by hour of event time, and further back: at most seven days, of many streams at least the last 25 hours; an hour
   * that is not known is left out. */
  readonly hours: readonly HourStatus[];
  /** Over the 24 whole hours of event time that end with that of `now`. */
  readonly last24Hours: Totals;
  /** Over the last day that was exported. */
  readonly day: DayStatus;
  /** Committed since the worker started, by it or by another beside it. */
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
  /** When it was met first and last, and how often in a row. */
  readonly firstTime: string;
  readonly time: string;
  readonly count: number;
}

export type WindowKind = "window" | "gap" | "repair";

/** One committed window. `events: 0` was looked at and was empty. */
export interface WindowStatus {
  readonly sequence: number;
  readonly kind: WindowKind;
  readonly from: string;
  readonly to: string;
  readonly events: number;
  readonly late: number;
  readonly quarantined: number;
  readonly bytes: number;
  /** The part that the source did not keep any more. */
  readonly missing?: { readonly from: string; readonly to: string };
}

/** The spans that the source did not keep any more, of all windows that are known. */
export interface GapsStatus {
  readonly count: number;
  /** How long they are together. */
  readonly seconds: number;
  /** The newest of them, at most twenty, by sequence. */
  readonly spans: readonly { readonly sequence: number; readonly from: string; readonly to: string }[];
  /** Every window from this sequence on is known: 1 is the whole ledger. Null: none is. After a restart about 2,100 windows
   * are read back; `verify` shows all. */
  readonly knownFrom: number | null;
}

/** What was committed of an hour of event time; repairs count in the hour where they begin. */
export interface HourStatus extends Totals {
  /** Its start. */
  readonly from: string;
  /** How much of it is exported, gaps not counted: 3600 is all. */
  readonly exportedSeconds: number;
  /** How much of it the source did not keep any more. */
  readonly gapSeconds: number;
}

export interface DayStatus extends Totals {
  /** Where it begins; null before anything was exported. */
  readonly from: string | null;
  /** How late the late ones were: counts by upper bound (`5m`, …, `more`), empty ones left out. */
  readonly lateness: LatenessCounts;
  /** The lag, or the look-back, that would have caught 99.9 % of the events; null: longer than a week. */
  readonly wouldCatch: string | null;
  /** The most frequent kinds of event, at most ten. */
  readonly keys: readonly { readonly key: string; readonly events: number }[];
}
