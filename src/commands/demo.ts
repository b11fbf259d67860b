import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import type { Config, SourceConfig, StreamConfig } from "../config/config.ts";
import { UsageError } from "../errors.ts";
import { withTimeLimit } from "../http/time-limit.ts";
import type { Simulator } from "../simulator/simulator.ts";
import { compactInstant, epochMs, HOUR_MS, MINUTE_MS, parseDuration, SECOND_MS, type EpochMs } from "../time.ts";
import { command, text, withDefault, type OptionsOf } from "./command.ts";
import { demoStory, type Story } from "./demo-story.ts";

const flags = {
  for: text("duration", "stop after this time, such as 30s (default: run until Ctrl-C)"),
  directory: withDefault(text("folder", "where each demo creates a folder for its objects"), "demo-out"),
};

export const demo = command({
  name: "demo",
  about: "runs a simulated audit API and the worker on this machine, no account needed",
  flags,
  run: runDemo,
});

const HOST = "127.0.0.1";
const USUAL_PORT = 9464;
const HISTORY_MS = 3 * HOUR_MS;
/** Timers cannot be much longer. */
const FOR_MAX_MS = 24 * HOUR_MS;

/** Runs the simulator and a worker with a file sink, and reports on stdout what happens. Resolves with the exit code. */
async function runDemo(options: OptionsOf<typeof flags>, signal: AbortSignal): Promise<number> {
  const { simulator } = await import("../simulator/simulator.ts");
  const { runWorker } = await import("./run-worker.ts");
  const durationMs = options.for === undefined ? undefined : parseDuration(options.for);
  if (options.for !== undefined && (durationMs === undefined || durationMs > FOR_MAX_MS)) {
    throw new UsageError(`--for ${options.for}: not a duration of at most a day, such as 30s`);
  }
  const now = epochMs(Date.now());
  const directory = join(options.directory, compactInstant(now));
  // Its rate limit is above what the streams use: simulator and worker share one process with all its delays, and no request
  // of a demo should be refused.
  const api = await simulator({ eventsPerDay: 40_000, latencyMs: 20, requestsPerSecond: 100 });
  try {
    const start = epochMs(Math.floor((now - HISTORY_MS) / HOUR_MS) * HOUR_MS);
    const config = { ...demoConfig(directory, api, start), server: { host: HOST, port: await pagePort() } };
    let story: Story | undefined;
    const onReady = (port = 0) => (story = demoStory({ directory, streams: config.streams, port, now })).observe;
    // No proxy of the environment: the simulator is on this machine.
    const worker = (ending: AbortSignal) => runWorker({ config, configPath: "demo", env: {}, onReady }, ending);
    const exitCode = await (durationMs === undefined ? worker(signal) : withTimeLimit(durationMs, worker, signal));
    story?.end();
    return exitCode;
  } finally {
    await api.close();
  }
}

/** The usual port, so that the address of the status page stays the same; 0, any free port, when it is in use. */
async function pagePort(): Promise<number> {
  const probe = createServer().listen(USUAL_PORT, HOST);
  try {
    await once(probe, "listening");
  } catch {
    return 0;
  }
  probe.close();
  await once(probe, "close");
  return USUAL_PORT;
}

function demoConfig(directory: string, { url, mining, access }: Simulator, start: EpochMs): Omit<Config, "server"> {
  const both = { account: "demo", token: () => access.token, requestsPerSecond: 40 };
  const stream = (name: string, source: SourceConfig): StreamConfig => ({
    name,
    // Every five seconds, so that there is something to see. The configuration file has no seconds.
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
    ...{ notify: {}, shutdownGraceMs: 0, log: { level: "warn" } },
  };
}
