import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { runWorker } from "../../src/commands/run-worker.ts";
import type { StreamConfig } from "../../src/config/config.ts";
import type { StatusDocument } from "../../src/status/status-document.ts";
import type { Fact, Observe } from "../../src/fact.ts";
import { simulator, type Simulator } from "../../src/simulator/simulator.ts";
import { epochMs, MINUTE_MS, SECOND_MS } from "../../src/time.ts";

/** Enough for ticks on a busy machine. */
const PATIENCE = { timeout: 60_000, interval: 500 };

function streamOf(api: Simulator, directory: string): StreamConfig {
  return {
    name: "acme",
    // Seconds, which a configuration does not allow: two ticks take little time.
    schedule: "*/2 * * * * *",
    source: {
      ...{ type: "pachca", baseUrl: api.url, account: "", token: () => api.access.token, requestsPerSecond: 50 },
      ...{ filter: {}, ownReads: "keep", pageLimit: 50 },
    },
    windows: {
      start: epochMs(Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS - 10 * MINUTE_MS),
      ...{ sizeMs: 2 * SECOND_MS, catchUpSizeMs: 10 * MINUTE_MS, lagMs: SECOND_MS, lookbackMs: 0 },
    },
    parallel: 4,
    batch: { maxEvents: 50_000, maxBytes: 1 << 20, maxEventBytes: 1 << 20 },
    format: "raw",
    severities: {},
    sink: { type: "file", directory },
    lagLimitMs: 15 * SECOND_MS,
  };
}

async function working(api: Simulator) {
  const directory = mkdtempSync(join(tmpdir(), "siem-export-health-"));
  const stream = streamOf(api, directory);
  const facts: Fact[] = [];
  const arrivals = new Set<() => void>();
  const observe: Observe = (fact) => {
    facts.push(fact);
    for (const wake of arrivals) wake();
  };
  const settings = { stateDirectory: directory, server: { host: "127.0.0.1", port: 0 }, notify: {} } as const;
  const config = { streams: [stream], ...settings, shutdownGraceMs: 0, log: { level: "silent" } } as const;
  const stop = new AbortController();
  const [port, ended] = await new Promise<[number, Promise<unknown>]>((resolve, reject) => {
    const onReady = (listening = 0) => {
      resolve([listening, worker]);
      return observe;
    };
    const worker = runWorker({ config, configPath: "", env: {}, onReady }, stop.signal);
    worker.catch(reject);
  });
  onTestFinished(async () => {
    stop.abort(new Error("enough"));
    await ended;
    rmSync(directory, { recursive: true });
  });
  const ask = (path: string) => fetch(`http://127.0.0.1:${port}${path}`);
  return {
    /** Resolves after `count` more facts of this kind. */
    next: async (kind: Fact["kind"], count = 1): Promise<void> => {
      const start = facts.length;
      while (facts.slice(start).filter((fact) => fact.kind === kind).length < count) {
        await new Promise<void>((resolve) => arrivals.add(resolve));
      }
    },
    ready: async () => {
      const response = await ask("/readyz");
      return { code: response.status, body: (await response.json()) as { ready: boolean; unready: object[] } };
    },
    metric: async (name: string): Promise<number | undefined> => {
      const text = await (await ask("/metrics")).text();
      const line = text.split("\n").find((one) => one.startsWith(`${name} `) || one.startsWith(`${name}{`));
      return line === undefined ? undefined : Number(line.split(" ").at(-1));
    },
    document: async () => (await (await ask("/status.json")).json()) as StatusDocument,
  };
}

test("while the source is down, the stream is not ready and its lag grows; then it recovers by itself", async () => {
  const first = await simulator({ eventsPerDay: 80_000, pageLimit: 500 });
  const { port } = first;
  const { next, ready, metric, document } = await working(first);
  await next("tick.done", 2);
  expect(await ready()).toMatchObject({ code: 200, body: { ready: true } });
  expect(await metric("siem_export_failure")).toBeUndefined();
  const before = await metric("siem_export_lag_seconds");

  await first.close();
  await next("tick.failed");
  const { code, body } = await ready();
  expect([code, body]).toMatchObject([503, { ready: false, unready: [{ stream: "acme", state: "failing" }] }]);
  // What an alert uses: the lag is over its limit, and the last success is long ago.
  const limit = (await metric("siem_export_lag_limit_seconds")) ?? Infinity;
  expect(await metric("siem_export_lag_seconds")).toBeGreaterThan(before ?? 0);
  await vi.waitFor(async () => expect(await metric("siem_export_lag_seconds")).toBeGreaterThan(limit), PATIENCE);
  expect(await metric("siem_export_failure")).toBe(1);
  expect((await metric("siem_export_last_success_timestamp_seconds")) ?? 0).toBeLessThan(Date.now() / 1000 - 5);

  const again = await simulator({ port, eventsPerDay: 80_000, pageLimit: 500 });
  onTestFinished(() => again.close());
  await next("tick.done");
  await vi.waitFor(
    async () => expect(await ready()).toMatchObject({ code: 200, body: { ready: true, unready: [] } }),
    PATIENCE,
  );
  expect(await metric("siem_export_failure")).toBeUndefined();
  expect(await metric("siem_export_lag_seconds")).toBeLessThan(limit);
  // Each window starts where the previous one ends: the outage left no gap.
  const [stream] = (await document()).streams;
  const windows = stream?.windows ?? [];
  expect(windows.length).toBeGreaterThan(2);
  expect(windows.slice(1).map(({ from }) => from)).toEqual(windows.slice(0, -1).map(({ to }) => to));
  expect(stream?.errors.at(0)).toMatchObject({ code: "network", stage: "fetch" });
}, 120_000);
