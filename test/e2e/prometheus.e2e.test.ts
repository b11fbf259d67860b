import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { epochMs, formatInstant, MINUTE_MS } from "../../src/time.ts";
import { read, root } from "../support/pages.ts";
import type { Program } from "../support/program.ts";
import { freePort } from "../support/process.ts";
import { prometheusInstalled, promtool, startPrometheus, type Prometheus } from "../support/prometheus.ts";
import { CANARY, openStage, type Stage } from "../support/stage.ts";

/** The first run fails for one stream, because its token is wrong, and succeeds for the other. */
async function startWorker(stage: Stage): Promise<Program> {
  writeFileSync(join(stage.folder, "token"), "revoked");
  const worker = stage.start(["run"]);
  await worker.saw(/"fact":"tick\.failed"/);
  await worker.saw(/"fact":"tick\.done"/);
  return worker;
}

/** The values that Grafana gives to its variables. */
const filledIn = (query: string) =>
  query.replaceAll("$stream", ".*").replaceAll("$__rate_interval", "1m").replaceAll("$__range", "1h");

interface Panel {
  readonly targets?: readonly { readonly expr: string }[];
}

describe.skipIf(!prometheusInstalled())("a worker that Prometheus scrapes", () => {
  const closing: (() => Promise<void>)[] = [];
  let stage: Stage;
  let worker: Program;
  let prometheus: Prometheus;
  let address: string;

  beforeAll(async () => {
    const port = await freePort();
    address = `127.0.0.1:${port}`;
    const start = Math.floor(Date.now() / MINUTE_MS - 10) * MINUTE_MS;
    stage = await openStage(
      {
        now: "real",
        simulator: { since: epochMs(start), until: undefined },
        windows: { start: formatInstant(epochMs(start)), size: "1m", catchUpSize: "5m", lag: "10s", lookback: "1m" },
        config: { server: { host: "127.0.0.1", port } },
        more: [{ name: "refused" }],
      },
      (close) => closing.push(close),
    );
    const { streams } = stage.settings as { streams: [unknown, { source: Record<string, unknown> }] };
    const [, refused] = streams;
    const { token: _, ...source } = refused.source;
    refused.source = { ...source, tokenFile: join(stage.folder, "token"), account: "refused" };
    stage.write(stage.settings);
    worker = await startWorker(stage);
    prometheus = await startPrometheus(address);
    closing.push(() => prometheus.stop());
  });

  afterAll(async () => {
    worker.kill("SIGTERM");
    await worker.ended;
    await Promise.all(closing.map((close) => close()));
  });

  test("promtool accepts its metrics", async () => {
    const text = await (await fetch(`http://${address}/metrics`)).text();
    expect(text).toContain('siem_export_failure{stream="refused",stage="fetch",code="unauthorized"} 1');
    expect(promtool(["check", "metrics"], text)).toEqual({ code: 0, said: "" });
  });

  test("every rule can be evaluated on its metrics", async () => {
    const healthy = async () => {
      const { groups } = (await prometheus.get("/api/v1/rules")) as {
        groups: readonly { rules: readonly { name: string; health: string; lastError?: string }[] }[];
      };
      const rules = groups.flatMap((group) => group.rules);
      expect(rules.length).toBeGreaterThan(14);
      expect(rules.filter(({ health }) => health !== "ok")).toEqual([]);
    };
    await prometheus.until(healthy, 30_000);
  });

  test("an alert fires for the refused stream and not for the healthy one, and resolves when the refusal ends", async () => {
    // All alerts are pending: none fires before its time.
    const expected = ["Behind", "NoSuccess", "NotAuthorised"].map((name) => `SiemExport${name} refused`);
    await prometheus.until(async () => expect(await prometheus.alarms()).toEqual(expected), 30_000);
    writeFileSync(join(stage.folder, "token"), CANARY);
    // The next run is at most a minute away.
    await prometheus.until(async () => expect(await prometheus.alarms()).toEqual([]), 90_000);
  });

  test("every query of the dashboard has an answer, and only these are empty", async () => {
    const { panels, annotations } = JSON.parse(read("deploy/grafana/dashboard.json")) as {
      panels: readonly Panel[];
      annotations: { readonly list: readonly { readonly expr: string }[] };
    };
    const asked = [...panels.flatMap(({ targets = [] }) => targets), ...annotations.list].map(({ expr }) => expr);
    const unanswered: string[] = [];
    for (const query of asked) {
      const found = await prometheus.query(filledIn(query));
      if (found.length === 0) unanswered.push(/siem_export_\w+|process_\w+/.exec(query)?.[0] ?? query);
    }
    expect(unanswered.sort()).toEqual([
      "process_start_time_seconds",
      "siem_export_completeness_ratio",
      "siem_export_failure",
      "siem_export_notifications_total",
      "siem_export_retries_total",
    ]);
  });
});

describe.skipIf(!prometheusInstalled())("the rules", () => {
  const folder = join(root, "deploy/prometheus");

  test("promtool accepts them", () => {
    const { code, said } = promtool(["check", "rules", join(folder, "alerts.yml")]);
    expect(said).toMatch(/SUCCESS: \d+ rules found/);
    expect(code, said).toBe(0);
  });

  test("each alert fires when it must, and does not fire otherwise", () => {
    const { code, said } = promtool(["test", "rules", join(folder, "alerts.test.yml")]);
    expect(code, said).toBe(0);
  });
});
