import { join } from "node:path";
import { styleText } from "node:util";
import { assemble } from "../assemble.ts";
import type { StreamConfig } from "../config.ts";
import { UsageError } from "../errors.ts";
import type { Fact, Observe } from "../fact.ts";
import { factLog, logger } from "../log.ts";
import { serveHealth } from "../server.ts";
import { simulator } from "../simulator/simulator.ts";
import {
  compactInstant,
  epochMs,
  formatInstant,
  HOUR_MS,
  MINUTE_MS,
  parseDuration,
  SECOND_MS,
  type EpochMs,
  type Span,
} from "../time.ts";
import { EXPORTER } from "../version.ts";
import { work } from "../worker.ts";
import { tellingOf } from "./telling.ts";
import { within } from "./within.ts";

export interface DemoOptions {
  /** How long, such as `30s`; without it until stopped. */
  readonly for?: string;
  /** Each demo makes a folder of its own in it. */
  readonly directory: string;
}

const STREAM = "pachca-demo";
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
  // Its limit is above what the stream asks: both share one process and its hiccups, and this is a story without refusals.
  const api = await simulator({ eventsPerDay: 40_000, latencyMs: 20, requestsPerSecond: 100 });
  try {
    const stream = demoStream(directory, api, epochMs(Math.floor((now - HISTORY_MS) / HOUR_MS) * HOUR_MS));
    const settings = { server: false, notify: {}, shutdownGraceMs: 0, log: { level: "warn" } } as const;
    const config = { streams: [stream], stateDirectory: directory, ...settings };
    const readers = [factLog(logger("warn"))];
    const observe: Observe = (fact) => readers.forEach((read) => read(fact));
    const streams = assemble(config, { env: {}, observe, now });
    const telling = tellingOf(streams);
    const server = await serveHealth({ host: "127.0.0.1", port: 0 }, telling);
    const story = demoStory(directory, api.url, server.port, now);
    readers.push(telling.observe, story.observe);
    observe({ kind: "worker.started", version: EXPORTER.version, config: "demo", streams: [stream.name] });
    const scheduled = streams.map(({ pipeline }) => ({ pipeline, schedule: stream.schedule }));
    const working = (ending: AbortSignal): Promise<number> => work(scheduled, observe, ending);
    const exitCode = await (durationMs === undefined ? working(signal) : within(durationMs, signal, working));
    story.end();
    await server.close();
    return exitCode;
  } finally {
    await api.close();
  }
}

function demoStream(directory: string, api: { url: string; access: { token: string } }, start: EpochMs): StreamConfig {
  return {
    name: STREAM,
    // With seconds, so that there is something to see; a worker's configuration has minutes.
    schedule: "*/5 * * * * *",
    source: {
      type: "pachca",
      baseUrl: api.url,
      account: "demo",
      token: () => api.access.token,
      requestsPerSecond: 40,
      filter: {},
      ownReads: "keep",
      pageLimit: 50,
    },
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
    sink: { type: "file", directory },
  };
}

interface Story {
  readonly observe: Observe;
  end(): void;
}

function demoStory(directory: string, url: string, port: number, now: EpochMs): Story {
  const say = (text: string): void => void process.stdout.write(`${text}\n`);
  const dim = (text: string): string => styleText("dim", text);
  let chapter: "before" | "catching up" | "live" = "before";
  let newest: Extract<Fact, { kind: "window.committed" }> | undefined;
  let windows = 0;
  let events = 0;
  let bytes = 0;
  let small = 0;
  let names: string[] = [];

  say(styleText("bold", "siem-export demo") + dim("  everything on this machine, no account needed"));
  say(`\n  simulated API  ${url}`);
  say(`  archive        ${directory}/${STREAM}`);
  say(`  status page    http://127.0.0.1:${port}/`);

  function chapterOf({ to }: Span): "catching up" | "live" {
    return to > now - MINUTE_MS ? "live" : "catching up";
  }

  function onWindow(fact: Extract<Fact, { kind: "window.committed" }>): void {
    const next = chapterOf(fact.window);
    if (next !== chapter) {
      if (next === "live" && small > 0) say(dim(`  … ${small} small windows up to now`));
      const titles = {
        "catching up": "Catching up on the last hours",
        live: "Live: a new window every 10 seconds (Ctrl-C ends)",
      };
      say(`\n${styleText("bold", titles[next])}`);
    }
    chapter = next;
    newest = fact;
    windows++;
    events += fact.events;
    bytes += fact.bytes;
    // Between the half hours and now there are many small ones: they are told in one line.
    if (chapter === "catching up" && fact.window.to - fact.window.from < MINUTE_MS) small++;
    else {
      say(windowLine(fact));
      if (chapter === "live") for (const name of names) say(dim(`         ${name}`));
    }
    names = [];
  }

  return {
    observe(fact) {
      if (fact.kind === "window.committed") onWindow(fact);
      else if (fact.kind === "object.written")
        names.push(`${fact.key.slice(fact.key.lastIndexOf("/") + 1)}  ${sizeOf(fact.bytes)}`);
      else if (fact.kind === "tick.failed") say(styleText("red", `  ✗ ${fact.error.message}`));
    },
    end() {
      const root = `${directory}/${STREAM}`;
      say(`\n${styleText("bold", "What is there now")}`);
      say(`  ${windows} windows, ${events.toLocaleString("en")} events, ${sizeOf(bytes)} compressed`);
      if (newest === undefined) return;
      say(`  exported until ${formatInstant(newest.window.to)}; head ${newest.sequence} ${newest.sha256}`);
      say(`\n${styleText("bold", "Have a look")}`);
      say(`  find ${root}/data -name '*.ndjson.gz' | sort | head`);
      say(`  find ${root}/data -name '*.ndjson.gz' | sort | xargs zcat | head -3`);
      say(`  cat ${root}/ledger/checkpoint.json`);
      say(`  head -1 ${root}/ledger/manifests/${String(newest.sequence).padStart(12, "0")}.json`);
      say(
        `\nThe worker for your own account: cp config/exporter.example.yaml config/exporter.yaml, then siem-export check`,
      );
    },
  };
}

function windowLine({
  sequence,
  window,
  events,
  objects,
  bytes,
  late,
}: Extract<Fact, { kind: "window.committed" }>): string {
  const [from, to] = [window.from, window.to].map((instant) => new Date(instant).toISOString().slice(11, 19));
  const count = `${events.toLocaleString("en").padStart(6)} events`;
  const size = objects === 0 ? "nothing happened" : `${objects} object${objects === 1 ? "" : "s"}  ${sizeOf(bytes)}`;
  return `  ${styleText("green", "✓")} #${String(sequence).padEnd(4)} ${from ?? ""} – ${to ?? ""}  ${count}  ${size}${late > 0 ? `  ${late} late` : ""}`;
}

function sizeOf(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1024 * 1024 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}
