import { exitCodeOf, type ExporterError, worstExitCode } from "../errors.ts";
import { formatHead, type Fact, type Observe } from "../fact.ts";
import { progress, type Progress } from "../observe/progress.ts";
import { countOf } from "../status/readable.ts";
import { epochMs, formatInstant, type EpochMs, type Span } from "../time.ts";
import { command, CONFIG, STREAMS, toggle, type OptionsOf } from "./command.ts";

const flags = { config: CONFIG, stream: STREAMS, json: toggle("a line of JSON for each stream") };

export const once = command({
  name: "once",
  about: "runs each stream once: exports what is ready, then exits",
  flags,
  help: `
Example, from cron instead of a worker:
  siem-export once --stream pachca-acme`,
  run: exportOnce,
});

/** Runs all streams at the same time. */
async function exportOnce(
  { config: path, stream: names, json }: OptionsOf<typeof flags>,
  signal: AbortSignal,
): Promise<number> {
  const { assembleNow, loadStreams, logOf } = await import("./streams.ts");
  const { runTick } = await import("../worker/worker.ts");
  const config = await loadStreams(path, names);
  const results = new Map<string, Extract<Fact, { kind: "tick.done" }>>();
  // A single stream on a terminal has a progress bar. Log lines are written over it; the next update draws it again below.
  const bar = process.stderr.isTTY && config.streams.length === 1 ? tickProgress() : undefined;
  const log = bar === undefined ? logOf(config.log.level) : logOf("warn", OVER_THE_BAR);
  const observe: Observe = (fact) => {
    if (fact.kind === "tick.done") results.set(fact.stream, fact);
    bar?.observe(fact);
    log(fact);
  };
  const streams = assembleNow(config, observe);
  const errors = await Promise.all(streams.map(({ pipeline }) => runTick(pipeline, signal)));
  bar?.end();
  const reports = streams.map(({ pipeline: { name } }, index) => report(name, results.get(name), errors[index]));
  // When stdout is a sink, it carries only events.
  const out = config.streams.some(({ sink }) => sink.type === "stdout") ? process.stderr : process.stdout;
  for (const line of reports) out.write(json ? `${JSON.stringify(line)}\n` : `${textOf(line)}\n`);
  return worstExitCode(errors.map((error) => (error === undefined ? 0 : exitCodeOf(error))));
}

const OVER_THE_BAR = { write: (line: string) => process.stderr.write(`\r\u001b[K${line}`) };

type Report = ReturnType<typeof report>;

function report(
  stream: string,
  done: Extract<Fact, { kind: "tick.done" }> | undefined,
  error: ExporterError | undefined,
) {
  if (done === undefined)
    return { stream, done: false as const, code: error?.code, message: error?.message, hint: error?.hint };
  const { windows, events, late, quarantined, gaps, bytes, exportedUntil } = done;
  const head = formatHead(done.head);
  const until = exportedUntil === undefined ? null : formatInstant(exportedUntil);
  return { stream, done: true as const, windows, events, late, quarantined, gaps, bytes, exportedUntil: until, head };
}

function textOf(line: Report): string {
  if (!line.done)
    return `✗ ${line.stream}: ${line.message ?? ""}${line.hint === undefined ? "" : `\n    → ${line.hint}`}`;
  const count =
    line.windows === 0
      ? "no window was ready"
      : `${countOf(line.windows, "window")}, ${countOf(line.events, "event")}, ${countOf(line.bytes, "byte")}`;
  const { late, quarantined, gaps } = line;
  const notes =
    (late > 0 ? `\n  late: ${countOf(late, "event")}` : "") +
    (quarantined > 0 ? `\n  ! quarantined: ${countOf(quarantined, "item")}; see siem-export quarantine list` : "") +
    (gaps > 0 ? `\n  ! ${countOf(gaps, "gap")}: the source no longer keeps these events, and they are lost` : "");
  return `✓ ${line.stream}: ${count}; exported until ${line.exportedUntil ?? "—"}; head ${line.head}${notes}`;
}

/** A bar from the start of the first window to now. */
function tickProgress(): { observe: Observe; end(): void } {
  const now = epochMs(Date.now());
  let bar: Progress | undefined;
  let events = 0;
  const begin = (from: EpochMs): Progress => progress({ from, to: now } satisfies Span, process.stderr);
  return {
    observe(fact) {
      if (fact.kind !== "window.committed") return;
      bar ??= begin(fact.window.from);
      events += fact.events;
      bar.update(fact.window.to, events);
    },
    end: () => bar?.end(),
  };
}
