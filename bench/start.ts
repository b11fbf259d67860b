import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  bare,
  countingProxy,
  exportOnce,
  help,
  HOUR_MS,
  inFolder,
  instant,
  MAIN,
  MIDNIGHT,
  program,
  startApi,
  table,
  whole,
  withS3,
  type S3Sink,
  type Usage,
} from "./stage.ts";

const TRIES = 11;
const NOW = Date.now();

/** The time of a start, the memory of an idle worker, and the requests of a window to the store. */
export async function start(): Promise<void> {
  await inFolder(async (directory) => {
    const ready = { from: NOW - HOUR_MS, to: NOW };
    const api = await startApi(ready);
    try {
      const sink = { type: "file", directory };
      // The first run exports everything. After it no window is ready.
      const windows = { start: instant(Math.floor(NOW / 300_000 - 3) * 300_000), size: "1h" };
      const stream = { source: api.source, windows, sink };
      await exportOnce(directory, stream);
      const nothing = () => program(directory, ["once"], stream);
      const node = await fastest(bare);
      const [helped, idled] = [await fastest(help), await fastest(nothing)];
      const row = (what: string, { wallS, cpuS, peakMB }: Usage) => ({
        what,
        "wall s": wallS.toFixed(3),
        "more than bare Node.js, s": (wallS - node.wallS).toFixed(3),
        "CPU-s": cpuS.toFixed(3),
        "peak MB": whole(peakMB),
      });
      table(`Starts: the fastest of ${TRIES}`, [
        row("node -e 0", node),
        row("--help", helped),
        row("once, nothing ready", idled),
      ]);
      table("`run` with one idle file stream, after ten seconds", [await idle(directory, stream)]);
    } finally {
      await api.stop();
    }
  });
  await withS3(async (s3) => {
    table("Requests to the store a window, S3 sink", [
      await requestsAWindow("with events", 20_000, s3),
      await requestsAWindow("empty", 0, s3),
    ]);
  });
}

async function fastest(run: () => Promise<Usage>): Promise<Usage> {
  const tries: Usage[] = [];
  for (let count = 0; count < TRIES; count++) tries.push(await run());
  return tries.sort((one, other) => one.wallS - other.wallS)[0] as Usage;
}

async function idle(folder: string, stream: object): Promise<Record<string, string>> {
  const config = join(folder, "exporter.yaml");
  writeFileSync(
    config,
    JSON.stringify({ streams: [{ name: "bench", ...stream }], server: { port: 0 }, stateDirectory: folder }),
  );
  const child = spawn(process.execPath, [MAIN, "run", "--config", config], { stdio: "ignore" });
  try {
    await sleep(10_000);
    const status = readFileSync(`/proc/${String(child.pid)}/status`, "utf8");
    const mb = (name: string) => whole((Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) * 1024) / 1e6);
    return { "resident MB": mb("VmRSS"), "peak MB": mb("VmHWM") };
  } finally {
    child.kill();
    await once(child, "exit");
  }
}

/** The difference between twelve and twenty-four windows, because a start sends requests, too. */
async function requestsAWindow(what: string, eventsPerDay: number, s3: S3Sink) {
  const counts: { requests: number; listings: number }[] = [];
  for (const hours of [1, 2]) {
    const from = MIDNIGHT + 8 * HOUR_MS;
    const span = { from, to: from + hours * HOUR_MS };
    const api = await startApi(span, "--events-per-day", Math.max(eventsPerDay, 1));
    const proxy = await countingProxy(s3.endpoint);
    try {
      await inFolder(async (folder) => {
        const windows = { start: instant(from), size: "5m", catchUpSize: "5m" };
        const sink = { ...s3, endpoint: proxy.url, prefix: `requests-${eventsPerDay}-${hours}` };
        const { windows: done } = await exportOnce(folder, {
          source: api.source,
          windows,
          sink,
        });
        if (done !== 12 * hours) throw new Error(`${done} windows, not ${12 * hours}`);
      });
      counts.push({ requests: proxy.requests(), listings: proxy.listings() });
    } finally {
      proxy.close();
      await api.stop();
    }
  }
  const [one, two] = counts as [(typeof counts)[0], (typeof counts)[0]];
  return {
    windows: what,
    "requests a window": ((two.requests - one.requests) / 12).toFixed(2),
    "listings a window": ((two.listings - one.listings) / 12).toFixed(2),
    "requests of a first start": one.requests - (two.requests - one.requests),
  };
}
