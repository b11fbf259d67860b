import { styleText } from "node:util";
import type { StreamConfig } from "../config/config.ts";
import type { Observe, StreamFact } from "../fact.ts";
import { formatInstant, MINUTE_MS, SECOND_MS, type EpochMs } from "../time.ts";
import { countOf, formatBytes, formatCount } from "../status/readable.ts";

/** The output of the demo. */
export interface Story {
  /** Prints what happens. */
  readonly observe: Observe;
  /** Prints the result. */
  end(): void;
}

export interface StoryOptions {
  readonly directory: string;
  readonly streams: readonly StreamConfig[];
  /** The port of the status page. */
  readonly port: number;
  readonly now: EpochMs;
}

type Committed = Extract<StreamFact, { kind: "window.committed" }>;

/** What one stream has done so far. */
interface Progress {
  newest: Committed | undefined;
  windows: number;
  events: number;
  bytes: number;
  /** Names of objects that are not printed yet. */
  names: string[];
}

/** A stream has caught up when it is at most this far behind the start of the demo. */
const LIVE_MS = 20 * SECOND_MS;

/** Prints on stdout what a worker with these streams does: first it catches up, then it exports new windows. */
export function demoStory({ directory, streams, port, now }: StoryOptions): Story {
  const progress = new Map<string, Progress>(
    streams.map(({ name }) => [name, { newest: undefined, windows: 0, events: 0, bytes: 0, names: [] }]),
  );
  const width = Math.max(...streams.map(({ name }) => name.length));
  const isLive = ({ newest }: Progress): boolean => newest !== undefined && newest.window.to > now - LIVE_MS;
  let chapter: "before" | "catching up" | "live" = "before";
  let small = 0;

  say(`${styleText("bold", "siem-export demo")}${dim("  runs on this machine, no account needed")}\n`);
  for (const { name, source } of streams) say(`  ${name.padEnd(width)}  ${source.baseUrl}`);
  say(`  ${"archive".padEnd(width)}  ${directory}`);
  say(`  ${"status page".padEnd(width)}  http://127.0.0.1:${port}/`);

  function onWindow(fact: Committed, stream: Progress): void {
    stream.newest = fact;
    stream.windows++;
    stream.events += fact.events;
    stream.bytes += fact.bytes;
    if (chapter === "before") begin("catching up", "Catching up with the last three hours");
    // After the windows of half an hour there are many small ones up to now: one line counts them.
    if (chapter === "catching up" && [...progress.values()].every(isLive)) {
      if (small > 0) say(dim(`  … and ${small} small windows up to now`));
      begin("live", "Live: a new window every 10 seconds (stop with Ctrl-C)");
    }
    const isSmall = fact.window.to - fact.window.from < MINUTE_MS;
    if (chapter === "catching up" && isSmall) small++;
    else {
      say(windowLine(fact, width));
      if (chapter === "live") for (const name of stream.names) say(dim(`         ${name}`));
    }
    stream.names = [];
  }

  function begin(next: typeof chapter, title: string): void {
    chapter = next;
    say(`\n${styleText("bold", title)}`);
  }

  return {
    observe(fact) {
      const stream = "stream" in fact ? progress.get(fact.stream) : undefined;
      if (stream === undefined) return;
      if (fact.kind === "window.committed") onWindow(fact, stream);
      else if (fact.kind === "object.written")
        stream.names.push(`${fact.key.slice(fact.key.lastIndexOf("/") + 1)}  ${formatBytes(fact.bytes)}`);
      else if (fact.kind === "tick.failed") say(styleText("red", `  ✗ ${fact.stream}: ${fact.error.message}`));
    },
    end() {
      say(`\n${styleText("bold", "Result")}`);
      for (const [name, { newest, windows, events, bytes }] of progress) {
        const until = newest === undefined ? "" : `, exported until ${formatInstant(newest.window.to)}`;
        const counts = `${countOf(windows, "window")}, ${countOf(events, "event")}`;
        say(`  ${name.padEnd(width)}  ${counts}, ${formatBytes(bytes)} compressed${until}`);
      }
      say(`\n${styleText("bold", "Look at the result")}`);
      for (const name of progress.keys()) {
        say(`  find ${directory}/${name}/data -name '*.ndjson.gz' | sort | xargs zcat | head -3`);
      }
      const [first] = progress;
      if (first?.[1].newest !== undefined) {
        say(`  cat ${directory}/${first[0]}/ledger/checkpoint.json`);
        const manifest = String(first[1].newest.sequence).padStart(12, "0");
        say(`  head -1 ${directory}/${first[0]}/ledger/manifests/${manifest}.json`);
      }
      say(
        `\nFor your own account: cp config/exporter.example.yaml config/exporter.yaml, edit it, then run siem-export check`,
      );
    },
  };
}

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const dim = (text: string): string => styleText("dim", text);

function windowLine({ stream, sequence, window, events, objects, bytes, late }: Committed, width: number): string {
  const [from = "", to = ""] = [window.from, window.to].map((instant) => new Date(instant).toISOString().slice(11, 19));
  const count = `${formatCount(events).padStart(6)} ${events === 1 ? "event " : "events"}`;
  const size = objects === 0 ? "no object" : `${countOf(objects, "object")}  ${formatBytes(bytes)}`;
  const place = `${stream.padEnd(width)}  #${String(sequence).padEnd(4)} ${from} – ${to}`;
  return `  ${styleText("green", "✓")} ${place}  ${count}  ${size}${late > 0 ? `  ${late} late` : ""}`;
}
