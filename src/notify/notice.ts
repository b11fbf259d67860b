import type { StreamStatus } from "../status/status-document.ts";
import { MINUTE_MS, type EpochMs } from "../time.ts";
import { formatShare } from "../status/readable.ts";

/** Something that a person is to be told of one stream. */
export interface Notice {
  readonly kind: "unhealthy" | "recovered" | "gap" | "quarantine" | "incomplete";
  readonly stream: string;
  readonly time: EpochMs;
  /** One or two sentences that say all of it. */
  readonly text: string;
  readonly hint: string | null;
  readonly code: string | null;
  readonly exportedUntil: string | null;
  readonly lagSeconds: number | null;
}

/** What a kind is about, as `Watched` keeps it, and the sign that a message begins with. */
export const KINDS = {
  unhealthy: { about: "health", sign: "🔴" },
  recovered: { about: "health", sign: "🟢" },
  gap: { about: "gaps", sign: "🔴" },
  quarantine: { about: "quarantined", sign: "🟡" },
  incomplete: { about: "comparison", sign: "🔴" },
} as const satisfies Readonly<Record<Notice["kind"], { readonly about: keyof Told; readonly sign: string }>>;

/** What was told of one stream. Each part is one message's: one that did not arrive is put back alone. */
export interface Told {
  readonly health: {
    /** As it was told last. */
    readonly severity: Severity;
    /** The last alarm: it is not told again at once, unless it is a graver one. */
    readonly alarm: Severity;
    readonly at: EpochMs | undefined;
  };
  readonly gaps: Counted;
  readonly quarantined: Counted;
  /** When the comparison was that found something missing. */
  readonly comparison: { readonly reconciledAt: string | null };
}

interface Counted {
  readonly count: number;
  readonly at: EpochMs | undefined;
}

/** How badly somebody is needed: 0 not at all; 1 it may pass by itself; 2 a person has to act; 3 the stream has stopped. */
export type Severity = 0 | 1 | 2 | 3;

/** Since when a stream is behind, and how far it was then; undefined when it is not. */
export type Behind = { readonly since: EpochMs; readonly lagSeconds: number } | undefined;

export const NOTHING_TOLD: Told = {
  health: { severity: 0, alarm: 0, at: undefined },
  gaps: { count: 0, at: undefined },
  quarantined: { count: 0, at: undefined },
  comparison: { reconciledAt: null },
};

/** Failures that may pass by themselves are told with the fourth failed tick in a row, as they become errors in the log. */
const TICKS_BORNE = 3;
const MAY_PASS = new Set(["timeout", "network", "rate_limited", "unavailable"]);

/** A stream that is behind, and has not come nearer in this time, is not catching up. */
const COMES_NEARER_WITHIN_MS = 10 * MINUTE_MS;

/** The same again is told after this at the earliest, all that came meanwhile together. */
const AGAIN_AFTER_MS = 10 * MINUTE_MS;

/** What there is to tell at `now`, given what was told. Looked at after each tick, and every few seconds. */
export function noticesOf(
  told: Told,
  status: StreamStatus,
  behind: Behind,
  now: EpochMs,
): { readonly told: Told; readonly notices: readonly Notice[] } {
  const notices: Notice[] = [];
  let next = told;
  const tell = (kind: Notice["kind"], change: Partial<Told>, text: string, hint: string | null): void => {
    const { stream, exportedUntil, lagSeconds, failure } = status;
    notices.push({ kind, stream, time: now, text, hint, code: failure?.code ?? null, exportedUntil, lagSeconds });
    next = { ...next, ...change };
  };
  const { stream, reconciledAt, completeness } = status;
  const { health } = told;

  const severity = severityOf(status, behind, now);
  if (severity > health.severity && (severity > health.alarm || isDue(health.at, now))) {
    const change = { health: { severity, alarm: severity, at: now } };
    tell("unhealthy", change, `${stream} is ${status.state}: ${status.why ?? ""}`, status.hint);
  } else if (status.state === "ok" && health.severity > 0) {
    const text = `${stream} is well again: exported until ${status.exportedUntil ?? "its start"}`;
    tell("recovered", { health: { ...health, severity: 0 } }, text, null);
  }

  const { gaps, quarantined } = status.totals;
  if (gaps > told.gaps.count && isDue(told.gaps.at, now)) {
    const change = { gaps: { count: gaps, at: now } };
    tell(
      "gap",
      change,
      gapText(status, gaps - told.gaps.count),
      "the source has forgotten them; ask its vendor for them",
    );
  }
  if (quarantined > told.quarantined.count && isDue(told.quarantined.at, now)) {
    const count = quarantined - told.quarantined.count;
    const text = `${stream}: ${count} ${count === 1 ? "item" : "items"} could not be exported and lie in quarantine`;
    const hint = "siem-export quarantine list shows them, with the reasons";
    tell("quarantine", { quarantined: { count: quarantined, at: now } }, text, hint);
  }
  if (completeness !== null && completeness < 1 && reconciledAt !== told.comparison.reconciledAt) {
    const text = `${stream}: of the source's events in the span that was compared, the archive has ${formatShare(completeness)}`;
    const hint = "the log's line reconciled names the span; siem-export reconcile --repair with it exports the rest";
    tell("incomplete", { comparison: { reconciledAt } }, text, hint);
  }
  return { told: next, notices };
}

function isDue(at: EpochMs | undefined, now: EpochMs): boolean {
  return at === undefined || now - at >= AGAIN_AFTER_MS;
}

/** How badly somebody is needed at `now`. */
export function severityOf(
  { state, failure, failedTicks, lagSeconds }: StreamStatus,
  behind: Behind,
  now: EpochMs,
): Severity {
  switch (state) {
    case "stopped":
      return 3;
    case "failing":
      // The stream stops in the same moment, and is told as stopped.
      if (failure?.code === "ledger") return 0;
      if (!MAY_PASS.has(failure?.code ?? "")) return 2;
      return failedTicks > TICKS_BORNE ? 1 : 0;
    case "behind":
      if (behind === undefined || now - behind.since < COMES_NEARER_WITHIN_MS) return 0;
      return (lagSeconds ?? 0) >= behind.lagSeconds ? 1 : 0;
    default:
      return 0;
  }
}

/** A stream that came nearer since is measured anew from there: it may stop to. A lag that is not known does not shrink. */
export function behindSince(behind: Behind, { state, lagSeconds }: StreamStatus, now: EpochMs): Behind {
  if (state !== "behind") return undefined;
  const lag = lagSeconds ?? 0;
  return behind === undefined || lag < behind.lagSeconds ? { since: now, lagSeconds: lag } : behind;
}

function gapText({ stream, gaps }: StreamStatus, count: number): string {
  const span = gaps.spans.at(-1);
  const where = span === undefined ? "" : ` (the newest: ${span.from} to ${span.to})`;
  const spans = count === 1 ? "a span of time is" : `${count} spans of time are`;
  return `${stream}: ${spans} lost, for the source does not keep those events any more${where}`;
}
