import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parse } from "yaml";
import { blocksOf, read, root } from "./pages.ts";
import { freePort, installed, portOpen, startServer, stopServer } from "./process.ts";

export const prometheusInstalled = (): boolean => installed("prometheus", "promtool");

/** The whole output of `promtool`, and its exit code. */
export function promtool(args: readonly string[], input = ""): { readonly code: number | null; readonly said: string } {
  const { status, stdout, stderr } = spawnSync("promtool", args, { input, encoding: "utf8" });
  return { code: status, said: stdout + stderr };
}

type Labels = Readonly<Record<string, string>>;

export interface Prometheus {
  /** The labels of each series of an expression now. @throws with the mistake in the expression */
  query(expression: string): Promise<readonly Labels[]>;
  /** The answer of its HTTP API. */
  get(path: string): Promise<unknown>;
  /** The alerts whose expression is true now, as `name stream`, sorted. */
  alarms(): Promise<readonly string[]>;
  /** Resolves as soon as `look` does not throw. @throws its last error when that takes too long */
  until(look: () => Promise<void>, timeoutMs: number): Promise<void>;
  stop(): Promise<void>;
}

/** A Prometheus as in deploy/README.md, but it scrapes and evaluates every second. The caller stops it. */
export async function startPrometheus(target: string): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), "siem-export-prometheus-"));
  const block = blocksOf(read("deploy/README.md")).find(({ text }) => text.startsWith("# prometheus.yml"));
  const settings = parse(block?.text ?? "") as {
    rule_files: readonly string[];
    scrape_configs: readonly { static_configs: readonly { targets: string[] }[] }[];
  };
  for (const job of settings.scrape_configs) for (const each of job.static_configs) each.targets.fill(target);
  const rules = settings.rule_files.map((name) => join(root, "deploy/prometheus", name));
  const global = { scrape_interval: "1s", evaluation_interval: "1s" };
  const file = join(folder, "prometheus.yml");
  // YAML understands JSON.
  writeFileSync(file, JSON.stringify({ ...settings, rule_files: rules, global }));

  const port = await freePort();
  const server = startServer("prometheus", [
    `--config.file=${file}`,
    `--storage.tsdb.path=${join(folder, "data")}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ]);
  await portOpen(port, server);
  const get = async (path: string): Promise<unknown> => {
    const answer = (await (await fetch(`http://127.0.0.1:${port}${path}`)).json()) as { data: unknown; error?: string };
    if (answer.error !== undefined) throw new Error(`${path}: ${answer.error}`);
    return answer.data;
  };
  return {
    get,
    async query(expression) {
      const path = `/api/v1/query?query=${encodeURIComponent(expression)}`;
      const { result } = (await get(path)) as { result: readonly { metric: Labels }[] };
      return result.map(({ metric }) => metric);
    },
    async alarms() {
      const { alerts } = (await get("/api/v1/alerts")) as { alerts: readonly { labels: Labels }[] };
      return alerts.map(({ labels }) => `${labels["alertname"]} ${labels["stream"] ?? ""}`).sort();
    },
    async until(look, timeoutMs) {
      const startMs = Date.now();
      for (;;) {
        try {
          await look();
          return;
        } catch (error) {
          if (Date.now() - startMs > timeoutMs) throw error;
        }
        // It scrapes once a second, and gives no event.
        await sleep(250);
      }
    },
    async stop() {
      await stopServer(server);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
