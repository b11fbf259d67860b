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
  /** stage: fetch, store. code: timeout, network, rate_limited, unavailable. */
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
