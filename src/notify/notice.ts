import type { StreamStatus } from "../status/status-document.ts";
import { MINUTE_MS, type EpochMs } from "../time.ts";
import { countOf, formatShare } from "../status/readable.ts";

/** Something about one stream that a person should know. */
export interface Notice {
  readonly kind: "unhealthy" | "recovered" | "gap" | "quarantine" | "incomplete";
  readonly stream: string;
  readonly time: EpochMs;
  /** The whole notice in a sentence or two. */
  readonly text: string;
  readonly hint: string | null;
  readonly code: string | null;
  readonly exportedUntil: string | null;
  readonly lagSeconds: number | null;
}

/** For each kind: the part of `Reported` that it changes, and the sign at the start of a message. */
export const KINDS = {
  unhealthy: { part: "health", sign: "🔴" },
  recovered: { part: "health", sign: "🟢" },
  gap: { part: "gaps", sign: "🔴" },
  quarantine: { part: "quarantined", sign: "🟡" },
  incomplete: { part: "comparison", sign: "🔴" },
} as const satisfies Readonly<Record<Notice["kind"], { readonly part: keyof Reported; readonly sign: string }>>;

/** What was reported about one stream. Each notice changes one part, so that a notice that could not be sent is undone alone. */
export interface Reported {
  readonly health: {
    /** As reported last. */
    readonly severity: Severity;
    /** The severity of the last `unhealthy` notice. For some time only a higher one is reported again. */
    readonly unhealthy: Severity;
    readonly at: EpochMs | undefined;
  };
  readonly gaps: ReportedCount;
  readonly quarantined: ReportedCount;
  /** The time of the last comparison that found missing events. */
  readonly comparison: { readonly reconciledAt: string | null };
}

interface ReportedCount {
  readonly count: number;
  readonly at: EpochMs | undefined;
}

/** 0: healthy. 1: it may recover by itself. 2: a person has to act. 3: the stream has stopped. */
export type Severity = 0 | 1 | 2 | 3;

/** Since when a stream is behind, and how far it was then; undefined when it is not. */
export type Behind = { readonly since: EpochMs; readonly lagSeconds: number } | undefined;

export const NOTHING_REPORTED: Reported = {
  health: { severity: 0, unhealthy: 0, at: undefined },
  gaps: { count: 0, at: undefined },
  quarantined: { count: 0, at: undefined },
  comparison: { reconciledAt: null },
};

/** A temporary failure is reported with the fourth failed run in a row, when the log, too, makes it an error. */
const FAILED_TICKS_MAX = 3;
const TEMPORARY = new Set(["timeout", "network", "rate_limited", "unavailable"]);

/** A stream whose lag has not shrunk for this time is not catching up. */
const CATCHING_UP_WITHIN_MS = 10 * MINUTE_MS;

/** The least time between two notices of the same kind; the second one covers everything in between. */
const AGAIN_AFTER_MS = 10 * MINUTE_MS;

/** The notices that are due at `now`, after what was reported before. Called after each run, and every few seconds. */
export function noticesOf(
  reported: Reported,
  status: StreamStatus,
  behind: Behind,
  now: EpochMs,
): { readonly reported: Reported; readonly notices: readonly Notice[] } {
  const notices: Notice[] = [];
  let next = reported;
  const add = (kind: Notice["kind"], change: Partial<Reported>, text: string, hint: string | null): void => {
    const { stream, exportedUntil, lagSeconds, failure } = status;
    notices.push({ kind, stream, time: now, text, hint, code: failure?.code ?? null, exportedUntil, lagSeconds });
    next = { ...next, ...change };
  };
  const { stream, reconciledAt, completeness } = status;
  const { health } = reported;

  const severity = severityOf(status, behind, now);
  if (severity > health.severity && (severity > health.unhealthy || isDue(health.at, now))) {
    const change = { health: { severity, unhealthy: severity, at: now } };
    add("unhealthy", change, `${stream} is ${status.state}: ${status.why ?? ""}`, status.hint);
  } else if (status.state === "ok" && health.severity > 0) {
    const text = `${stream} is healthy again: exported until ${status.exportedUntil ?? "its start"}`;
    add("recovered", { health: { ...health, severity: 0 } }, text, null);
  }

  const { gaps, quarantined } = status.totals;
  if (gaps > reported.gaps.count && isDue(reported.gaps.at, now)) {
    const change = { gaps: { count: gaps, at: now } };
    add("gap", change, gapText(status, gaps - reported.gaps.count), "ask the vendor of the source for these events");
  }
  if (quarantined > reported.quarantined.count && isDue(reported.quarantined.at, now)) {
    const count = quarantined - reported.quarantined.count;
    const text = `${stream}: ${count} ${count === 1 ? "item" : "items"} could not be exported and ${count === 1 ? "was" : "were"} quarantined`;
    const hint = "to see the items and the reasons, run siem-export quarantine list";
    add("quarantine", { quarantined: { count: quarantined, at: now } }, text, hint);
  }
  if (completeness !== null && completeness < 1 && reconciledAt !== reported.comparison.reconciledAt) {
    const text = `${stream}: the archive has only ${formatShare(completeness)} of the source's events in the compared time span`;
    const hint =
      "the log line `reconciled` has the time span; siem-export reconcile --repair with it exports the missing events";
    add("incomplete", { comparison: { reconciledAt } }, text, hint);
  }
  return { reported: next, notices };
}

function isDue(at: EpochMs | undefined, now: EpochMs): boolean {
  return at === undefined || now - at >= AGAIN_AFTER_MS;
}

/** How serious the state of a stream is at `now`. */
export function severityOf(
  { state, failure, failedTicks, lagSeconds }: StreamStatus,
  behind: Behind,
  now: EpochMs,
): Severity {
  switch (state) {
    case "stopped":
      return 3;
    case "failing":
      // The stream stops at the same moment, and is reported as stopped.
      if (failure?.code === "ledger") return 0;
      if (!TEMPORARY.has(failure?.code ?? "")) return 2;
      return failedTicks > FAILED_TICKS_MAX ? 1 : 0;
    case "behind":
      if (behind === undefined || now - behind.since < CATCHING_UP_WITHIN_MS) return 0;
      return (lagSeconds ?? 0) >= behind.lagSeconds ? 1 : 0;
    default:
      return 0;
  }
}

/** Each time the lag has shrunk, the measurement starts again from there. A lag that is not known does not shrink. */
export function behindSince(behind: Behind, { state, lagSeconds }: StreamStatus, now: EpochMs): Behind {
  if (state !== "behind") return undefined;
  const lag = lagSeconds ?? 0;
  return behind === undefined || lag < behind.lagSeconds ? { since: now, lagSeconds: lag } : behind;
}

function gapText({ stream, gaps }: StreamStatus, count: number): string {
  const newest = gaps.spans.at(-1);
  const where = newest === undefined ? "" : ` (newest: ${newest.from} to ${newest.to})`;
  return `${stream}: the events of ${countOf(count, "time span")} are lost, because the source no longer has them${where}`;
}
