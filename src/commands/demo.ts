import { join } from "node:path";
import { assemble } from "../assemble.ts";
import type { Config, SourceConfig, StreamConfig } from "../config/config.ts";
import { UsageError } from "../errors.ts";
import type { Observe } from "../fact.ts";
import { factLog, logger } from "../observe/log.ts";
import { serveHealth } from "../server/server.ts";
import { simulator, type Simulator } from "../simulator/simulator.ts";
import { compactInstant, epochMs, HOUR_MS, MINUTE_MS, parseDuration, SECOND_MS, type EpochMs } from "../time.ts";
import { EXPORTER } from "../version.ts";
import { work } from "../worker/worker.ts";
import { demoStory } from "./demo-story.ts";
import { tellingOf } from "./observers.ts";
import { within } from "../http/time-limit.ts";

export interface DemoOptions {
  /** How long, such as `30s`; without it until stopped. */
  readonly for?: string;
  /** Each demo makes a folder of its own in it. */
  readonly directory: string;
}

const HISTORY_MS = 3 * HOUR_MS;
/** A timer cannot be longer. */
const FOR_MAX_MS = 24 * HOUR_MS;

/** Simulator and worker with a file sink on this machine, told as a story on stdout. Resolves with the exit code. */
export async function demoCommand(options: DemoOptions, signal: AbortSignal): Promise<number> {
  const durationMs = options.for === undefined ? undefined : parseDuration(options.for);
  if (options.for !== undefined && (durationMs === undefined || durationMs > FOR_MAX_MS)) {
    throw new UsageError(`--for ${options.for}: not a duration up to a day, such as 30s`);
  }
  const now = epochMs(Date.now());
  const directory = join(options.directory, compactInstant(now));
  // Its limit is above what the streams ask: both share one process and its hiccups, and this is a story without refusals.
  const api = await simulator({ eventsPerDay: 40_000, latencyMs: 20, requestsPerSecond: 100 });
  try {
    const config = demoConfig(directory, api, epochMs(Math.floor((now - HISTORY_MS) / HOUR_MS) * HOUR_MS));
    const readers = [factLog(logger("warn"))];
    const observe: Observe = (fact) => readers.forEach((read) => read(fact));
    const streams = assemble(config, { env: {}, observe, now });
    const telling = tellingOf(streams);
    const server = await serveHealth({ host: "127.0.0.1", port: 0 }, telling);
    const story = demoStory({ directory, streams: config.streams, port: server.port, now });
    readers.push(telling.observe, story.observe);
    try {
      const names = config.streams.map(({ name }) => name);
      observe({ kind: "worker.started", version: EXPORTER.version, config: "demo", streams: names });
      const scheduled = streams.map(({ pipeline, config: { schedule } }) => ({ pipeline, schedule }));
      const working = (ending: AbortSignal): Promise<number> => work(scheduled, observe, ending);
      const exitCode = await (durationMs === undefined ? working(signal) : within(durationMs, signal, working));
      story.end();
      return exitCode;
    } finally {
      await server.close();
    }
  } finally {
    await api.close();
  }
}

function demoConfig(directory: string, { url, mining, access }: Simulator, start: EpochMs): Config {
  const both = { account: "demo", token: () => access.token, requestsPerSecond: 40 };
  const stream = (name: string, source: SourceConfig): StreamConfig => ({
    name,
    // With seconds, so that there is something to see; a worker's configuration has minutes.
    schedule: "*/5 * * * * *",
    source,
    windows: {
      start,
      sizeMs: 10 * SECOND_MS,
      catchUpSizeMs: 30 * MINUTE_MS,
      lagMs: 5 * SECOND_MS,
      lookbackMs: MINUTE_MS,
    },
    parallel: 8,
    batch: { maxEvents: 50_000, maxBytes: 32 * 1024 * 1024, maxEventBytes: 16 * 1024 * 1024 },
    format: "raw",
    severities: {},
    sink: { type: "file", directory },
  });
  return {
    streams: [
      stream("pachca-demo", { type: "pachca", baseUrl: url, filter: {}, ownReads: "keep", pageLimit: 50, ...both }),
      stream("uipath-demo", { type: "communications-mining", baseUrl: mining.url, pageLimit: 128, ...both }),
    ],
    stateDirectory: directory,
    ...{ server: false, notify: {}, shutdownGraceMs: 0, log: { level: "warn" } },
  };
}
