import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import { STREAM_STATES, type StatusDocument } from "../status/status-document.ts";
import { entryOf, FACT_METRICS, type MetricDefinition, type Observe } from "../fact.ts";
import { parseInstant, SECOND_MS } from "../time.ts";

/** Every metric of the exporter. The gauges are computed from the status document when `/metrics` is read. */
export const METRICS = {
  ...FACT_METRICS,
  siem_export_checkpoint_timestamp_seconds: gauge(["stream"], "Everything before this instant is exported."),
  siem_export_lag_seconds: gauge(["stream"], "Time from the checkpoint, or from the start of the stream, to now."),
  siem_export_lag_limit_seconds: gauge(["stream"], "The stream is not ready while its lag is above this."),
  siem_export_last_success_timestamp_seconds: gauge(
    ["stream"],
    "End of the last successful run; 0 before the first one since the worker started.",
  ),
  /** state: starting, ok, behind, failing, stopped. */
  siem_export_stream_state: gauge(["stream", "state"], "1 for the current state of the stream, 0 for the others."),
  /** Present only after a failed run, and for a stopped stream. */
  siem_export_failure: gauge(["stream", "stage", "code"], "1 while the last run has failed with this code."),
  siem_export_completeness_ratio: gauge(
    ["stream"],
    "Share of the source's items that the ledger has, by the last comparison. Absent before the first.",
  ),
  siem_export_retention_left_seconds: gauge(
    ["stream"],
    "Time until the source deletes the oldest event not yet exported; negative: it has. Absent if the source keeps everything.",
  ),
  siem_export_known_gap_seconds: gauge(
    ["stream"],
    "Total length of all known gaps, whichever worker found them. Absent until the earlier windows are read from the ledger.",
  ),
  siem_export_quarantined_last_day: gauge(
    ["stream"],
    "Items quarantined in the last exported day, by any worker. Absent until the earlier windows are read from the ledger.",
  ),
  siem_export_clock_skew_seconds: gauge(
    ["stream"],
    "How far the source's clock was ahead of this machine's at the last request; negative: behind. Absent before the first.",
  ),
  siem_export_head_sequence: gauge(["stream"], "Sequence of the newest manifest in the ledger."),
  siem_export_build_info: gauge(["version"], "Always 1."),
} as const satisfies Readonly<Record<string, MetricDefinition>>;

function gauge<const Labels extends readonly string[]>(labels: Labels, help: string) {
  return { type: "gauge", labels, help } as const;
}

export interface Metrics {
  readonly observe: Observe;
  /** The current metrics in Prometheus' text format. */
  text(): Promise<string>;
  readonly contentType: string;
}

const TICK_BUCKETS_SECONDS = [0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200];

/** Gauges of prom-client that are named like counters, which `promtool check metrics` refuses. */
const MISNAMED = ["nodejs_active_resources_total", "nodejs_active_handles_total", "nodejs_active_requests_total"];

/**
 * Counts facts; reads what depends on the clock from the status when `text` is called.
 * @param document returns the current status
 */
export function metrics(streams: readonly string[], version: string, document: () => StatusDocument): Metrics {
  const registry = new Registry();
  const { counters, gauges, histograms } = metricsIn(registry);
  const set: SetGauge = (name, labels, value) => gauges.get(name)?.set({ ...labels }, value);

  collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  set("siem_export_build_info", { version }, 1);
  // Streams count from 0, so that the first event is an increase. Series with further labels begin when they occur.
  for (const stream of streams) {
    for (const [name, { labels }] of Object.entries<MetricDefinition>(FACT_METRICS)) {
      if (labels.join() !== "stream") continue;
      counters.get(name)?.inc({ stream }, 0);
      histograms.get(name)?.zero({ stream });
    }
  }

  return {
    contentType: registry.contentType,
    observe(fact) {
      for (const [name, labels, by = 1] of entryOf(fact).count(fact)) {
        counters.get(name)?.inc({ ...labels }, by);
        histograms.get(name)?.observe({ ...labels }, by);
      }
    },
    text() {
      for (const name of ["siem_export_failure", "siem_export_completeness_ratio"] as const) gauges.get(name)?.reset();
      for (const stream of document().streams) showStream(stream, set);
      return registry.metrics();
    },
  };
}

function metricsIn(registry: Registry) {
  const counters = new Map<string, Counter>();
  const gauges = new Map<string, Gauge>();
  const histograms = new Map<string, Histogram>();
  for (const [name, { type, labels, help }] of Object.entries<MetricDefinition>(METRICS)) {
    const options = { name, help, labelNames: [...labels], registers: [registry] };
    if (type === "counter") counters.set(name, new Counter(options));
    else if (type === "gauge") gauges.set(name, new Gauge(options));
    else histograms.set(name, new Histogram({ ...options, buckets: TICK_BUCKETS_SECONDS }));
  }
  return { counters, gauges, histograms };
}

type SetGauge = (name: keyof typeof METRICS, labels: Readonly<Record<string, string>>, value: number) => void;

function showStream(status: StatusDocument["streams"][number], set: SetGauge): void {
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
