import { LedgerError, TransientError, type ExporterError } from "./errors.ts";
import type { ManifestKind } from "./sink.ts";
import { SECOND_MS, type EpochMs, type Span } from "./time.ts";
import type { Committed, Totals } from "./totals.ts";

/*
 * Facts: what happened. Code observes each once; the log, the metrics and the status fold over it, so that they cannot
 * disagree. A kind of fact is one entry in one of the two tables below: its members, its level and message in the log, and
 * what it adds to the metrics.
 */

export type Level = "trace" | "debug" | "info" | "warn" | "error";

/** How the log and the metrics show facts of one kind. */
export interface Entry<Members> {
  readonly level: Level;
  /**
   * The level of the facts that differ from `level`.
   * @param failedRuns how many runs of the stream have failed in a row: before this fact, or with it where it is a failure
   */
  readonly levelIf?: (fact: Members, failedRuns: number) => Level | undefined;
  /** The message of the log line. */
  readonly text: string;
  readonly count: (fact: Members) => readonly Increment[];
}

/** A metric as `/metrics` shows it. */
export interface MetricDefinition {
  readonly type: "counter" | "gauge" | "histogram";
  readonly labels: readonly string[];
  readonly help: string;
}

/**
 * The metrics that facts add to. All label values come from closed sets: the names of the configured streams, the codes of
 * errors.ts, and the words listed here.
 */
export const FACT_METRICS = {
  siem_export_events_exported_total: counter(["stream"], "Events committed, late events included."),
  siem_export_late_events_total: counter(["stream"], "Events that became visible after their own window was exported."),
  siem_export_quarantined_events_total: counter(["stream"], "Items quarantined because they cannot be exported."),
  siem_export_truncated_events_total: counter(["stream"], "Events truncated to fit the sink's transport, and marked."),
  siem_export_objects_written_total: counter(["stream"], "Objects of committed windows."),
  siem_export_written_bytes_total: counter(["stream"], "Bytes of the objects of committed windows, as stored."),
  /** kind: window, gap, repair; empty: true, false. */
  siem_export_windows_total: counter(
    ["stream", "kind", "empty"],
    "Windows committed. empty=true: exported, with no events in it.",
  ),
  siem_export_gaps_total: counter(["stream"], "Spans that the source no longer kept: their events are lost."),
  /** stage: plan, fetch, write, commit, reconcile, none. */
  siem_export_errors_total: counter(["stream", "stage", "code"], "Failed runs and comparisons."),
  /** stage: fetch, store, write. code: timeout, network, rate_limited, unavailable. */
  siem_export_retries_total: counter(["stream", "stage", "code"], "Requests and writes that were retried."),
  /** status: one of the usual HTTP statuses, or other. */
  siem_export_requests_total: counter(["stream", "status"], "Responses of the source."),
  siem_export_tick_duration_seconds: {
    type: "histogram",
    labels: ["stream"],
    help: "Duration of runs, failed ones included.",
  },
  /** notifier: webhook, pachca, heartbeat; result: sent, failed, dropped. */
  siem_export_notifications_total: counter(["notifier", "result"], "Notifications and heartbeats."),
} as const satisfies Readonly<Record<string, MetricDefinition>>;

function counter<const Labels extends readonly string[]>(labels: Labels, help: string) {
  return { type: "counter", labels, help } as const;
}

type FactMetrics = typeof FACT_METRICS;

/** What a fact adds to a counter (1 where nothing is said), or one observation of a histogram. */
export type Increment = {
  readonly [Name in keyof FactMetrics]: readonly [
    metric: Name,
    labels: Readonly<Record<FactMetrics[Name]["labels"][number], string>>,
    by?: number,
  ];
}[keyof FactMetrics];

const nothing = (): readonly Increment[] => [];

/** HTTP statuses that are counted one by one; all others are `other`. */
const STATUSES = new Set([200, 400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504]);

/** An outage is a warning for this many runs in a row, then an error: it does not pass by itself, and someone must look. */
const WARNINGS_BEFORE_ERROR = 3;

/** A channel of `notify`, by its key in the configuration: `webhook`. */
export type Notifier = string;

/** `what` names the message: its kind and its stream. */
type Notification = { notifier: Notifier; what: string };

function notified(notifier: Notifier, result: "sent" | "failed" | "dropped"): readonly Increment[] {
  return [["siem_export_notifications_total", { notifier, result }]];
}

/** Facts of the worker as a whole. */
const WORKER_FACTS = {
  /** `config`: the path of the configuration file. */
  "worker.started": fact<{ version: string; config: string; streams: readonly string[] }>({
    level: "info",
    text: "worker started",
    count: nothing,
  }),
  "worker.stopping": fact<{ reason: string }>({ level: "info", text: "worker is stopping", count: nothing }),
  "worker.stopped": fact<{ exitCode: number }>({ level: "info", text: "worker stopped", count: nothing }),
  "notification.sent": fact<Notification>({
    level: "debug",
    text: "notification sent",
    count: ({ notifier }) => notified(notifier, "sent"),
  }),
  "notification.failed": fact<Notification & { error: ExporterError }>({
    level: "warn",
    text: "could not send a notification; the export continues",
    count: ({ notifier }) => notified(notifier, "failed"),
  }),
  "notification.dropped": fact<Notification>({
    level: "warn",
    text: "notification dropped: too many are waiting, or it took too long",
    count: ({ notifier }) => notified(notifier, "dropped"),
  }),
};

/** The head of a ledger; `sha256` is null before the first window. */
export interface HeadFact {
  readonly sequence: number;
  readonly sha256: string | null;
}

/** `43 4056fe…`, the form that `verify --expect-head` takes; `0 -` before the first window. */
export function formatHead({ sequence, sha256 }: HeadFact): string {
  return `${sequence} ${sha256 ?? "-"}`;
}

/** Facts of one stream; each also has the stream's name. */
export const STREAM_FACTS = {
  "stream.started": streamFact<{ schedule: string; source: string; sink: string }>({
    level: "info",
    text: "stream started",
    count: nothing,
  }),
  "stream.stopped": streamFact<{ error: ExporterError }>({
    level: "error",
    text: "stream stopped: its ledger is damaged; other streams continue",
    count: nothing,
  }),
  "head.found": streamFact<HeadFact & { exportedUntil: EpochMs | undefined }>({
    level: "debug",
    text: "found the head of the ledger",
    count: nothing,
  }),
  "checkpoint.rebuilt": streamFact<{ reason: string; sequence: number }>({
    level: "warn",
    text: "rebuilt checkpoint.json from the manifests; nothing is exported twice",
    count: nothing,
  }),
  "checkpoint.failed": streamFact<{ error: unknown }>({
    level: "warn",
    text: "could not write checkpoint.json; the manifests are complete, and the next window writes it again",
    count: nothing,
  }),
  "ids.rebuilt": streamFact<{ sequence: number; key: string; reason: string }>({
    level: "warn",
    text: "rebuilt an ids file from the objects of its window",
    count: nothing,
  }),
  /** `before`, `after`: fingerprints of the settings. */
  "settings.changed": streamFact<{ before: string; after: string }>({
    level: "warn",
    text: "the stream continues with a different filter, own-reads policy or format",
    count: nothing,
  }),
  "plan.adopted": streamFact<{ sequence: number; window: Span }>({
    level: "info",
    text: "resuming an interrupted window",
    count: nothing,
  }),
  "object.taken": streamFact<{ sequence: number; key: string; lines: number }>({
    level: "info",
    text: "reusing an object of the interrupted attempt",
    count: nothing,
  }),
  "object.left": streamFact<{ sequence: number; key: string; reason: string }>({
    level: "warn",
    text: "cannot reuse an object of the interrupted attempt; it stays, unreferenced",
    count: nothing,
  }),
  "item.left": streamFact<{ reason: string }>({
    level: "warn",
    text: "left out an item that is not an event",
    count: nothing,
  }),
  "request.done": streamFact<{ status: number; durationMs: number; bytes: number }>({
    level: "trace",
    text: "request done",
    count: ({ stream, status }) => [
      ["siem_export_requests_total", { stream, status: STATUSES.has(status) ? String(status) : "other" }],
    ],
  }),
  retrying: streamFact<{
    stage: "fetch" | "store" | "write";
    error: TransientError;
    attempt: number;
    delayMs: number;
  }>({
    level: "warn",
    text: "will retry",
    count: ({ stream, stage, error }) => [["siem_export_retries_total", { stream, stage, code: error.code }]],
  }),
  "object.written": streamFact<{ sequence: number; key: string; bytes: number; lines: number }>({
    level: "debug",
    text: "object written",
    count: nothing,
  }),
  "window.started": streamFact<{ type: ManifestKind; sequence: number; window: Span }>({
    level: "debug",
    text: "window started",
    count: nothing,
  }),
  "window.committed": streamFact<Committed & { sha256: string }>({
    level: "debug",
    text: "window committed",
    // Counted when committed, not when written: a window that is given up is written again.
    count: ({ stream, type, events, late, quarantined, objects, bytes }) => [
      ["siem_export_windows_total", { stream, kind: type, empty: String(events === 0 && quarantined === 0) }],
      ["siem_export_events_exported_total", { stream }, events],
      ["siem_export_late_events_total", { stream }, late],
      ["siem_export_quarantined_events_total", { stream }, quarantined],
      ["siem_export_objects_written_total", { stream }, objects],
      ["siem_export_written_bytes_total", { stream }, bytes],
    ],
  }),
  /** Windows that this worker did not commit itself, read from the ledger for the status. */
  "past.read": streamFact<{ committed: readonly Committed[] }>({
    level: "debug",
    text: "read earlier windows from the ledger, for the status",
    count: nothing,
  }),
  "past.failed": streamFact<{ error: ExporterError }>({
    level: "warn",
    text: "could not read earlier windows for the status; the export continues",
    count: nothing,
  }),
  /** The source no longer keeps this span: a gap window, or the older part of a window. */
  "gap.found": streamFact<{ sequence: number; window: Span }>({
    level: "error",
    text: "events lost: the source no longer keeps this span; the ledger records the gap",
    count: ({ stream }) => [["siem_export_gaps_total", { stream }]],
  }),
  "retention.near": streamFact<{ exportedUntil: EpochMs; leftMs: number }>({
    level: "warn",
    text: "the export is behind by more than half of the source's retention",
    count: nothing,
  }),
  /** Events of a committed window were truncated to fit the sink's transport. */
  "events.truncated": streamFact<{ sequence: number; events: number }>({
    level: "warn",
    text: "truncated events to fit the sink's transport, and marked them",
    count: ({ stream, events }) => [["siem_export_truncated_events_total", { stream }, events]],
  }),
  "items.quarantined": streamFact<{ sequence: number; key: string; lines: number; reasons: readonly string[] }>({
    level: "warn",
    text: "quarantined items that cannot be written as events",
    count: nothing,
  }),
  /** A past span of the source was compared with the ledger; the counts are of items. */
  reconciled: streamFact<{
    span: Span;
    source: number;
    same: number;
    missing: number;
    missingIds: readonly string[];
    extra: number;
  }>({
    level: "info",
    levelIf: ({ missing }) => (missing > 0 ? "error" : undefined),
    text: "compared a past span with the source",
    count: nothing,
  }),
  "reconcile.failed": streamFact<{ error: ExporterError }>({
    level: "warn",
    levelIf: ({ error }) => (error instanceof LedgerError ? "error" : undefined),
    text: "could not compare a past span with the source",
    count: ({ stream, error }) => [["siem_export_errors_total", { stream, stage: "reconcile", code: error.code }]],
  }),
  "window.lost": streamFact<{ sequence: number; window: Span }>({
    level: "info",
    text: "another worker committed this window first; continuing from its head",
    count: nothing,
  }),
  "tick.done": streamFact<
    Totals & {
      durationMs: number;
      exportedUntil: EpochMs | undefined;
      /** How far the source's clock is ahead of ours; undefined when it was not asked. */
      clockOffsetMs?: number | undefined;
      /** In the log it is an anchor outside of the archive. */
      head: HeadFact;
    }
  >({
    level: "info",
    // A run with nothing to export is news only after a failure.
    levelIf: ({ windows }, failedRuns) => (windows === 0 && failedRuns === 0 ? "debug" : undefined),
    text: "run finished",
    count: ({ stream, durationMs }) => [["siem_export_tick_duration_seconds", { stream }, durationMs / SECOND_MS]],
  }),
  "tick.failed": streamFact<{ error: ExporterError; durationMs: number }>({
    level: "error",
    levelIf: ({ error }, failedRuns) =>
      error instanceof TransientError && failedRuns <= WARNINGS_BEFORE_ERROR ? "warn" : undefined,
    text: "run failed; the checkpoint stays where it is",
    count: ({ stream, error, durationMs }) => [
      ["siem_export_tick_duration_seconds", { stream }, durationMs / SECOND_MS],
      ["siem_export_errors_total", { stream, stage: error.stage ?? "none", code: error.code }],
    ],
  }),
};

export const FACTS = { ...WORKER_FACTS, ...STREAM_FACTS };

function fact<Members>(entry: Entry<Members>): Entry<Members> {
  return entry;
}

function streamFact<Members>(entry: Entry<Members & { stream: string }>): Entry<Members & { stream: string }> {
  return entry;
}

type FactsOf<Table> = {
  [Kind in keyof Table]: Table[Kind] extends Entry<infer Members> ? Readonly<{ kind: Kind } & Members> : never;
}[keyof Table];

export type StreamFact = FactsOf<typeof STREAM_FACTS>;
export type Fact = FactsOf<typeof WORKER_FACTS> | StreamFact;

/** The entry of a fact's kind. */
export function entryOf({ kind }: Fact): Entry<Fact> {
  return FACTS[kind] as Entry<Fact>;
}

export type Observe = (fact: Fact) => void;
/** Observes the facts of one stream: its creator adds the stream's name. */
export type ObserveStream = (fact: DistributiveOmit<StreamFact, "stream">) => void;

type DistributiveOmit<Type, Key extends PropertyKey> = Type extends unknown ? Omit<Type, Key> : never;
