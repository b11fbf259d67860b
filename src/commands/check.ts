import { styleText } from "node:util";
import { ConfigError, ExporterError, exitCodeOf, LedgerError, worstExitCode } from "../errors.ts";
import type { Stream } from "../assemble.ts";
import type { Finding } from "../source.ts";
import { epochMs, formatDuration, formatInstant, formatSpan } from "../time.ts";
import { command, CONFIG, STREAMS, toggle, type OptionsOf } from "./command.ts";

const flags = { config: CONFIG, stream: STREAMS, json: toggle("a line of JSON for each finding") };

export const check = command({
  name: "check",
  about: "tests the configuration and every permission the worker needs, and says how to fix what fails",
  flags,
  help: `
It writes one small object, ledger/probe, and makes one audit query, which Pachca logs.

Exit code: 0 if nothing failed, otherwise the code of the worst failure (see siem-export --help).`,
  run: checkStreams,
});

/** Prints a line for each finding. */
async function checkStreams(
  { config: path, stream: names, json }: OptionsOf<typeof flags>,
  signal: AbortSignal,
): Promise<number> {
  const { assembleNow, loadStreams } = await import("./streams.ts");
  const codes: number[] = [];
  const say = (stream: string | undefined, finding: Finding): void => {
    // A failure without an error is something that was found, such as a wrong clock: no request was refused, and it is no bug.
    if (finding.state === "failed") codes.push(finding.error === undefined ? 69 : exitCodeOf(finding.error));
    const { state, what, hint } = finding;
    const code = finding.error instanceof ExporterError ? finding.error.code : undefined;
    process.stdout.write(json ? `${JSON.stringify({ stream, state, what, hint, code })}\n` : textOf(finding));
  };
  let streams: Stream[];
  try {
    const config = await loadStreams(path, names);
    streams = assembleNow(config, () => undefined);
    say(undefined, {
      state: "ok",
      what: `${path}: ${streams.length} stream${streams.length === 1 ? "" : "s"}`,
    });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    say(undefined, { state: "failed", what: error.message, hint: error.hint, error });
    return worstExitCode(codes);
  }
  for (const stream of streams) {
    if (!json) process.stdout.write(`\n${styleText("bold", stream.config.name)}\n`);
    for await (const finding of findingsOf(stream, signal)) say(stream.config.name, finding);
  }
  return worstExitCode(codes);
}

async function* findingsOf(stream: Stream, signal: AbortSignal): AsyncGenerator<Finding> {
  const { PROBE_KEY } = await import("../ledger/ledger.ts");
  const { config, pipeline, ledgerStore, dataStore } = stream;
  const { start, sizeMs, lagMs, lookbackMs } = config.windows;
  const times = `windows of ${formatDuration(sizeMs)} from ${formatInstant(start)}, ${formatDuration(lagMs)} behind the clock, looking back ${formatDuration(lookbackMs)}`;
  yield { state: "ok", what: `schedule ${config.schedule} (UTC); ${times}` };
  yield* pipeline.source.check(signal);
  yield* pipeline.sink.check(signal);
  if (dataStore === undefined || (config.ledger?.type ?? "beside") !== "beside")
    yield* ledgerStore.check(PROBE_KEY, signal);
  yield* placeFinding(stream, signal);
}

/** How far the stream is exported, and whether the source still keeps the events that come next. */
async function* placeFinding(
  { config: { name, windows }, pipeline: { source }, ledgerStore, dataStore }: Stream,
  signal: AbortSignal,
): AsyncGenerator<Finding> {
  const { findHead } = await import("../ledger/head.ts");
  try {
    const { head } = await findHead(ledgerStore, dataStore, name, signal);
    const from = head.exportedUntil ?? windows.start;
    const { retentionMs = Infinity } = source;
    const ageMs = Date.now() - from;
    const what = `next to export: ${formatInstant(from)}${head.seq === 0 ? " (windows.start)" : ""}`;
    const kept = `the source keeps its events for ${formatDuration(retentionMs === Infinity ? 0 : retentionMs)}`;
    if (ageMs > retentionMs) {
      const lost = formatSpan({ from, to: epochMs(Date.now() - retentionMs) });
      const hint = `${kept}: the events of ${lost} are lost, and will be committed as a gap`;
      yield { state: "warning", what, hint };
    } else if (ageMs > retentionMs / 2) {
      yield { state: "warning", what, hint: `${kept}: start the worker soon` };
    } else yield { state: "ok", what };
  } catch (error) {
    signal.throwIfAborted();
    // The check of the store has reported other failures.
    if (!(error instanceof LedgerError)) return;
    yield { state: "failed", what: `ledger: ${error.message}`, hint: error.hint, error };
  }
}

const MARKS = { ok: "✓", warning: "!", failed: "✗" } as const;
const COLOURS = { ok: "green", warning: "yellow", failed: "red" } as const;

function textOf({ state, what, hint }: Finding): string {
  const advice = hint === undefined || state === "ok" ? "" : `    → ${hint.replaceAll("\n", "\n      ")}\n`;
  return `${styleText(COLOURS[state], MARKS[state])} ${what}\n${advice}`;
}
