import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import { STREAM_STATES, type StatusDocument } from "../status/status-document.ts";
import type { Fact, Observe, StreamFact } from "../fact.ts";
import { parseInstant, SECOND_MS } from "../time.ts";

/** A metric as `/metrics` shows it. */
export interface MetricDefinition {
  readonly type: "counter" | "gauge" | "histogram";
  readonly labels: readonly string[];
  readonly help: string;
}

/**
 * Every metric of ours. All label values come from closed sets: the configured streams, and the words listed here and in
 * errors.ts. Counters start at 0 for each stream; the gauges that depend on the clock are computed when they are asked for.
 */
export const METRICS = {
  siem_export_events_exported_total: counter(["stream"], "Events committed, late ones included."),
  siem_export_late_events_total: counter(["stream"], "Events that became visible after their own window was exported."),
  siem_export_quarantined_events_total: counter(["stream"], "Items put aside, because they cannot be exported."),
  siem_export_truncated_events_total: counter(["stream"], "Events shortened to fit the sink's transport, and marked."),
  siem_export_objects_written_total: counter(["stream"], "Objects of committed windows."),
  siem_export_written_bytes_total: counter(["stream"], "Bytes of the objects of committed windows, as stored."),
  /** kind: window, gap, repair; empty: true, false. */
  siem_export_windows_total: counter(
    ["stream", "kind", "empty"],
    "Windows committed. empty=true: looked at, and nothing had happened.",
  ),
  siem_export_gaps_total: counter(["stream"], "Spans that the source did not keep any more: their events are lost."),
  /** stage: plan, fetch, write, commit, reconcile, none. */
  siem_export_errors_total: counter(["stream", "stage", "code"], "Failed ticks and comparisons, and stopped streams."),
  /** stage: fetch, store, write. code: timeout, network, rate_limited, unavailable. */
  siem_export_retries_total: counter(["stream", "stage", "code"], "Requests and writes that are tried again."),
  /** status: one of the usual HTTP statuses, or other. */
  siem_export_requests_total: counter(["stream", "status"], "Answers of the source."),
  siem_export_tick_duration_seconds: {
    type: "histogram",
    labels: ["stream"],
    help: "How long ticks took, failed ones included.",
  },
  siem_export_checkpoint_timestamp_seconds: gauge(["stream"], "The instant up to which all is exported."),
  siem_export_lag_seconds: gauge(["stream"], "From that instant, or the start of the stream, to now."),
  siem_export_lag_limit_seconds: gauge(["stream"], "The lag beyond which the stream is not ready."),
  siem_export_last_success_timestamp_seconds: gauge(
    ["stream"],
    "When the last tick that succeeded ended; 0 before the first since the start of the worker.",
  ),
  /** state: starting, ok, behind, failing, stopped. */
  siem_export_stream_state: gauge(["stream", "state"], "1 for the state in which the stream is, 0 for the others."),
  /** Only while the last tick failed, or the stream is stopped. */
  siem_export_failure: gauge(["stream", "stage", "code"], "1 while the last tick has failed with this code."),
  siem_export_completeness_ratio: gauge(
    ["stream"],
    "Of the last comparison with the source: the share of its items that the ledger has. Absent before the first.",
  ),
  siem_export_retention_left_seconds: gauge(
    ["stream"],
    "Until the source forgets what is exported next; negative when it has. Absent where the source keeps all.",
  ),
  siem_export_known_gap_seconds: gauge(
    ["stream"],
    "How much time is known to be lost, whoever found it. Absent until the ledger's past is read.",
  ),
  siem_export_quarantined_last_day: gauge(
    ["stream"],
    "Items put aside in the last day that was exported, whoever did. Absent until the ledger's past is read.",
  ),
  siem_export_clock_skew_seconds: gauge(
    ["stream"],
    "How far the source's clock was ahead of this machine's when it was asked last; negative: behind. Absent before.",
  ),
  siem_export_head_sequence: gauge(["stream"], "The newest sequence of the ledger."),
  /** notifier: webhook, pachca, heartbeat; result: sent, failed, dropped. */
  siem_export_notifications_total: counter(["notifier", "result"], "Notifications and heartbeats."),
  siem_export_build_info: gauge(["version"], "Always 1."),
} as const satisfies Readonly<Record<string, MetricDefinition>>;

function counter<const Labels extends readonly string[]>(labels: Labels, help: string) {
  return { type: "counter", labels, help } as const;
}

function gauge<const Labels extends readonly string[]>(labels: Labels, help: string) {
  return { type: "gauge", labels, help } as const;
}

type Name = keyof typeof METRICS;
type Labels = Readonly<Record<string, string>>;

export interface Metrics {
  readonly observe: Observe;
  /** The metrics now, as Prometheus reads them. */
  text(): Promise<string>;
  readonly contentType: string;
}

/** What each stream counts from 0, so that the first that happens is seen as an increase. */
const COUNTED_FROM_ZERO: readonly Name[] = [
  "siem_export_events_exported_total",
  "siem_export_late_events_total",
  "siem_export_quarantined_events_total",
  "siem_export_truncated_events_total",
  "siem_export_objects_written_total",
  "siem_export_written_bytes_total",
  "siem_export_gaps_total",
];

const TICK_BUCKETS_SECONDS = [0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200];

/** Gauges of the library that are named as counters are, which `promtool check metrics` refuses. */
const MISNAMED = ["nodejs_active_resources_total", "nodejs_active_handles_total", "nodejs_active_requests_total"];

/** The statuses that have a meaning for us; whatever else a server answers is `other`. */
const STATUSES = new Set([200, 400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504]);

/**
 * Counts facts, and reads what depends on the clock from the status when it is asked.
 * @param document the status now
 */
export function metrics(streams: readonly string[], version: string, document: () => StatusDocument): Metrics {
  const registry = new Registry();
  const { counters, gauges, histograms } = madeIn(registry);
  const count: Count = (name, labels, by = 1) => counters.get(name)?.inc({ ...labels }, by);
  const set: SetTo = (name, labels, value) => gauges.get(name)?.set({ ...labels }, value);
  const took = (stream: string, durationMs: number): void =>
    histograms.get("siem_export_tick_duration_seconds")?.observe({ stream }, durationMs / SECOND_MS);

  collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  set("siem_export_build_info", { version }, 1);
  for (const stream of streams) {
    for (const name of COUNTED_FROM_ZERO) count(name, { stream }, 0);
    histograms.get("siem_export_tick_duration_seconds")?.zero({ stream });
  }

  return {
    contentType: registry.contentType,
    observe: (fact) => countFact(fact, count, took),
    text() {
      for (const name of ["siem_export_failure", "siem_export_completeness_ratio"] as const) gauges.get(name)?.reset();
      for (const stream of document().streams) showStream(stream, set);
      return registry.metrics();
    },
  };
}

function madeIn(registry: Registry) {
  const counters = new Map<Name, Counter>();
  const gauges = new Map<Name, Gauge>();
  const histograms = new Map<Name, Histogram>();
  for (const [name, { type, labels, help }] of Object.entries(METRICS) as [Name, MetricDefinition][]) {
    const options = { name, help, labelNames: [...labels], registers: [registry] };
    if (type === "counter") counters.set(name, new Counter(options));
    else if (type === "gauge") gauges.set(name, new Gauge(options));
    else histograms.set(name, new Histogram({ ...options, buckets: TICK_BUCKETS_SECONDS }));
  }
  return { counters, gauges, histograms };
}

type SetTo = (name: Name, labels: Labels, value: number) => void;
type Count = (name: Name, labels: Labels, by?: number) => void;

function countFact(fact: Fact, count: Count, tickTook: (stream: string, durationMs: number) => void): void {
  if (
    fact.kind === "notification.sent" ||
    fact.kind === "notification.failed" ||
    fact.kind === "notification.dropped"
  ) {
    const result = fact.kind.slice("notification.".length);
    count("siem_export_notifications_total", { notifier: fact.notifier, result });
  }
  if (!("stream" in fact)) return;
  const { stream } = fact;
  switch (fact.kind) {
    case "window.committed":
      countWindow(fact, count);
      break;
    case "events.truncated":
      count("siem_export_truncated_events_total", { stream }, fact.events);
      break;
    case "gap.found":
      count("siem_export_gaps_total", { stream });
      break;
    case "request.done": {
      const status = STATUSES.has(fact.status) ? String(fact.status) : "other";
      count("siem_export_requests_total", { stream, status });
      break;
    }
    case "retrying":
      count("siem_export_retries_total", { stream, stage: fact.stage, code: fact.error.code });
      break;
    case "tick.done":
      tickTook(stream, fact.durationMs);
      break;
    case "tick.failed":
      tickTook(stream, fact.durationMs);
      count("siem_export_errors_total", { stream, stage: fact.error.stage ?? "none", code: fact.error.code });
      break;
    case "reconcile.failed":
      count("siem_export_errors_total", { stream, stage: "reconcile", code: fact.error.code });
      break;
  }
}

/** What was committed counts, not what was written: a window that is given up is written again. */
function countWindow(fact: Extract<StreamFact, { kind: "window.committed" }>, count: Count): void {
  const { stream, type, events, late, quarantined, objects, bytes } = fact;
  count("siem_export_windows_total", { stream, kind: type, empty: String(events === 0 && quarantined === 0) });
  count("siem_export_events_exported_total", { stream }, events);
  count("siem_export_late_events_total", { stream }, late);
  count("siem_export_quarantined_events_total", { stream }, quarantined);
  count("siem_export_objects_written_total", { stream }, objects);
  count("siem_export_written_bytes_total", { stream }, bytes);
}

function showStream(status: StatusDocument["streams"][number], set: SetTo): void {
  const { stream, state, failure, lagSeconds, completeness, retention, head, exportedUntil } = status;
  for (const each of STREAM_STATES) {
    set("siem_export_stream_state", { stream, state: each }, each === state ? 1 : 0);
  }
  set("siem_export_lag_limit_seconds", { stream }, status.lagLimitSeconds);
  set("siem_export_last_success_timestamp_seconds", { stream }, secondsOf(status.lastSuccess) ?? 0);
  set("siem_export_head_sequence", { stream }, head?.sequence ?? 0);
  const until = secondsOf(exportedUntil);
  if (until !== undefined) set("siem_export_checkpoint_timestamp_seconds", { stream }, until);
  if (lagSeconds !== null) set("siem_export_lag_seconds", { stream }, lagSeconds);
  if (retention !== null) set("siem_export_retention_left_seconds", { stream }, retention.leftSeconds);
  if (completeness !== null) set("siem_export_completeness_ratio", { stream }, completeness);
  if (status.isPastRead) {
    set("siem_export_known_gap_seconds", { stream }, status.gaps.seconds);
    set("siem_export_quarantined_last_day", { stream }, status.day.quarantined);
  }
  const { clockOffsetSeconds } = status;
  if (clockOffsetSeconds !== null) set("siem_export_clock_skew_seconds", { stream }, clockOffsetSeconds);
  if (failure !== null) set("siem_export_failure", { stream, stage: failure.stage ?? "none", code: failure.code }, 1);
}

function secondsOf(instant: string | null): number | undefined {
  const ms = instant === null ? undefined : parseInstant(instant);
  return ms === undefined ? undefined : ms / SECOND_MS;
}
