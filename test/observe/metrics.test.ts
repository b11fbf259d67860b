import { expect, test } from "vitest";
import { RefusedError, TransientError } from "../../src/errors.ts";
import type { Fact } from "../../src/fact.ts";
import { METRICS, metrics } from "../../src/observe/metrics.ts";
import { applyFact } from "../../src/status/status.ts";
import { DAY_MS, epochMs, HOUR_MS, MINUTE_MS } from "../../src/time.ts";
import { committed, described, fold, LATER, ticked } from "../support/status.ts";
import { START } from "../support/world.ts";
import { statusAt } from "../../src/status/status-at.ts";

function metricsOf() {
  let status = fold([], [described("acme", { retentionMs: 90 * DAY_MS }), described("other")]);
  const clock = { now: LATER };
  const shown = metrics(["acme", "other"], "1.2.3", () => statusAt(status, clock.now));
  return {
    clock,
    observe: (...facts: Fact[]): void => {
      for (const fact of facts) {
        shown.observe(fact);
        status = applyFact(status, fact, clock.now);
      }
    },
    text: () => shown.text(),
    /** The values of the exporter's metrics by name and labels. */
    values: async (): Promise<Map<string, number>> => {
      const lines = (await shown.text()).split("\n").filter((line) => line.startsWith("siem_export_"));
      return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.split(" ").at(-1))]));
    },
  };
}

const failed = (error = new RefusedError("unauthorized", "GET /x: HTTP 401")): Fact => {
  error.stage = "fetch";
  return { kind: "tick.failed", stream: "acme", error, durationMs: 2000 };
};

test("committed windows are counted, empty ones too", async () => {
  const { observe, values } = metricsOf();
  observe(committed(1, { late: 2, quarantined: 1 }), committed(2, { events: 0, objects: 0, bytes: 0 }));
  observe(committed(3, { type: "gap", events: 0, objects: 0, bytes: 0 }));
  observe({ kind: "gap.found", stream: "acme", sequence: 3, window: committed(3).window });
  const found = await values();
  expect(found.get('siem_export_events_exported_total{stream="acme"}')).toBe(5);
  expect(found.get('siem_export_late_events_total{stream="acme"}')).toBe(2);
  expect(found.get('siem_export_quarantined_events_total{stream="acme"}')).toBe(1);
  expect(found.get('siem_export_objects_written_total{stream="acme"}')).toBe(1);
  expect(found.get('siem_export_written_bytes_total{stream="acme"}')).toBe(100);
  expect(found.get('siem_export_gaps_total{stream="acme"}')).toBe(1);
  expect(found.get('siem_export_windows_total{stream="acme",kind="window",empty="false"}')).toBe(1);
  expect(found.get('siem_export_windows_total{stream="acme",kind="window",empty="true"}')).toBe(1);
  expect(found.get('siem_export_windows_total{stream="acme",kind="gap",empty="true"}')).toBe(1);
});

test("each stream counts from zero, so that the first event is an increase", async () => {
  const found = await metricsOf().values();
  for (const stream of ["acme", "other"]) {
    for (const name of [
      "events_exported",
      "late_events",
      "quarantined_events",
      "truncated_events",
      "gaps",
      "written_bytes",
    ]) {
      expect(found.get(`siem_export_${name}_total{stream="${stream}"}`), name).toBe(0);
    }
  }
});

test("the lag is computed when the metrics are read", async () => {
  const { observe, values, clock } = metricsOf();
  const lag = async () => (await values()).get('siem_export_lag_seconds{stream="acme"}');
  expect(await lag()).toBeUndefined();
  observe(ticked(18));
  expect(await lag()).toBe(0);
  clock.now = epochMs(LATER + HOUR_MS);
  expect(await lag()).toBe(3600);
  const found = await values();
  expect(found.get('siem_export_lag_limit_seconds{stream="acme"}')).toBe(1800);
  expect(found.get('siem_export_checkpoint_timestamp_seconds{stream="acme"}')).toBe(LATER / 1000);
  expect(found.get('siem_export_retention_left_seconds{stream="acme"}')).toBe((90 * DAY_MS - HOUR_MS) / 1000);
  expect(found.has('siem_export_retention_left_seconds{stream="other"}')).toBe(false);
  expect(found.get('siem_export_last_success_timestamp_seconds{stream="acme"}')).toBe(LATER / 1000);
  expect(found.get('siem_export_last_success_timestamp_seconds{stream="other"}')).toBe(0);
});

test("a stream is in one state, and a failure is shown while it lasts", async () => {
  const { clock, observe, values } = metricsOf();
  clock.now = START;
  const states = async () =>
    [...(await values())].filter(([name, value]) => /stream_state\{stream="acme"/.test(name) && value === 1);
  const failure = 'siem_export_failure{stream="acme",stage="fetch",code="unauthorized"}';
  expect(await states()).toEqual([['siem_export_stream_state{stream="acme",state="starting"}', 1]]);
  clock.now = LATER;
  observe(failed());
  expect(await states()).toEqual([['siem_export_stream_state{stream="acme",state="failing"}', 1]]);
  expect((await values()).get(failure)).toBe(1);
  observe(failed(), ticked(18));
  expect(await states()).toEqual([['siem_export_stream_state{stream="acme",state="ok"}', 1]]);
  const found = await values();
  expect(found.has(failure)).toBe(false);
  expect(found.get('siem_export_errors_total{stream="acme",stage="fetch",code="unauthorized"}')).toBe(2);
  expect(found.get('siem_export_tick_duration_seconds_count{stream="acme"}')).toBe(3);
  expect(found.get('siem_export_tick_duration_seconds_bucket{le="1",stream="acme"}')).toBe(1);
});

test("completeness is absent before the first comparison and after a failed one", async () => {
  const { observe, values } = metricsOf();
  const ratio = async () => (await values()).get('siem_export_completeness_ratio{stream="acme"}');
  expect(await ratio()).toBeUndefined();
  const span = { from: START, to: LATER };
  observe({ kind: "reconciled", stream: "acme", span, source: 4, same: 3, missing: 1, missingIds: [], extra: 0 });
  expect(await ratio()).toBe(0.75);
  observe({ kind: "reconcile.failed", stream: "acme", error: new TransientError("network", "x") });
  expect(await ratio()).toBeUndefined();
});

test("the values of every label come from closed sets", async () => {
  const { observe, text } = metricsOf();
  for (let status = 0; status < 700; status++) {
    observe({ kind: "request.done", stream: "acme", status, durationMs: 1, bytes: 1 });
  }
  for (const code of ["timeout", "network", "rate_limited", "unavailable"] as const) {
    for (const stage of ["fetch", "store"] as const) {
      observe({
        kind: "retrying",
        stream: "acme",
        stage,
        error: new TransientError(code, "x"),
        attempt: 1,
        delayMs: 1,
      });
    }
    observe({ kind: "tick.failed", stream: "acme", error: new TransientError(code, `GET /${code}`), durationMs: 1 });
  }
  observe({ kind: "notification.sent", notifier: "webhook", what: "unhealthy acme" });
  observe({ kind: "notification.dropped", notifier: "pachca", what: "unhealthy acme" });
  observe(committed(1, { keys: { secret_kind: 1 } }));
  const allowed: Readonly<Record<string, RegExp>> = {
    stream: /^(?:acme|other)$/,
    kind: /^(?:window|gap|repair)$/,
    empty: /^(?:true|false)$/,
    state: /^(?:starting|ok|behind|failing|stopped)$/,
    stage: /^(?:plan|fetch|write|commit|store|reconcile|none)$/,
    code: /^[a-z_]{3,12}$/,
    status: /^(?:[1-5]\d\d|other)$/,
    notifier: /^(?:webhook|pachca|heartbeat)$/,
    result: /^(?:sent|failed|dropped)$/,
    version: /^1\.2\.3$/,
    le: /^(?:[\d.]+|\+Inf)$/,
  };
  const ours = (await text()).split("\n").filter((line) => line.startsWith("siem_export_"));
  for (const line of ours) {
    for (const [, label = "", value = ""] of line.matchAll(/[{,](\w+)="([^"]*)"/g)) {
      expect(value, line).toMatch(allowed[label] ?? /^never$/);
    }
  }
  expect(ours.filter((line) => line.startsWith("siem_export_requests_total")).length).toBeLessThan(20);
  expect(ours.length).toBeLessThan(120);
});

test("/metrics shows the metrics of METRICS, and those of the process", async () => {
  const { observe, text } = metricsOf();
  const hour = { window: { from: START, to: epochMs(START + 5 * MINUTE_MS) } };
  observe(committed(1, hour), ticked(1), failed(), {
    kind: "notification.sent",
    notifier: "webhook",
    what: "gap acme",
  });
  const shown = await text();
  const types = [...shown.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name = "", type = ""]) => [name, type] as const);
  const ours = types.filter(([name]) => name.startsWith("siem_export_"));
  expect(new Map(ours)).toEqual(new Map(Object.entries(METRICS).map(([name, { type }]) => [name, type])));
  expect(types.map(([name]) => name)).toContain("process_resident_memory_bytes");
  expect(shown).toContain('siem_export_build_info{version="1.2.3"} 1');
});

test("gaps and quarantined items of all workers count, once the earlier windows are read from the ledger", async () => {
  const { observe, values } = metricsOf();
  const known = async () => {
    const found = await values();
    return ["known_gap_seconds", "quarantined_last_day"].map((name) => found.get(`siem_export_${name}{stream="acme"}`));
  };
  observe({ kind: "head.found", stream: "acme", sequence: 2, sha256: "ab", exportedUntil: committed(2).window.to });
  expect(await known()).toEqual([undefined, undefined]);
  const past = [committed(1, { type: "gap", events: 0 }), committed(2, { quarantined: 3 })];
  observe({ kind: "past.read", stream: "acme", committed: past });
  expect(await known()).toEqual([300, 3]);
});

test("the clock skew is shown once the source was asked", async () => {
  const { observe, values } = metricsOf();
  const skew = async () => (await values()).get('siem_export_clock_skew_seconds{stream="acme"}');
  expect(await skew()).toBeUndefined();
  observe(ticked(1, { clockOffsetMs: -3000 }));
  expect(await skew()).toBe(-3);
});
