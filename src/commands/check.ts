import { styleText } from "node:util";
import { ConfigError, ExporterError, exitCodeOf, LedgerError, worstExitCode } from "../errors.ts";
import { findHead } from "../ledger/head.ts";
import { PROBE_KEY } from "../ledger/ledger.ts";
import type { Stream } from "../assemble.ts";
import type { Finding } from "../source.ts";
import { epochMs, formatDuration, formatInstant, formatSpan } from "../time.ts";
import { assembleNow, loadStreams, type ConfigOptions } from "./streams.ts";

export interface CheckOptions extends ConfigOptions {
  readonly stream?: readonly string[];
  readonly json?: boolean;
}

/** The preflight of each stream, a line a finding. Resolves with the exit code: 0 when nothing failed. */
export async function checkCommand(
  { stream: names, json = false, ...options }: CheckOptions,
  signal: AbortSignal,
): Promise<number> {
  const codes: number[] = [];
  const say = (stream: string | undefined, finding: Finding): void => {
    // Without an error it is not the other side that says no, but what was found: a clock that is wrong, say. No bug.
    if (finding.state === "failed") codes.push(finding.error === undefined ? 69 : exitCodeOf(finding.error));
    const { state, what, hint } = finding;
    const code = finding.error instanceof ExporterError ? finding.error.code : undefined;
    process.stdout.write(json ? `${JSON.stringify({ stream, state, what, hint, code })}\n` : textOf(finding));
  };
  let streams: Stream[];
  try {
    const config = await loadStreams(options, names);
    streams = assembleNow(config, () => undefined);
    say(undefined, {
      state: "ok",
      what: `${options.config}: ${streams.length} stream${streams.length === 1 ? "" : "s"}`,
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
  const { config, pipeline, ledgerStore, dataStore } = stream;
  const { start, sizeMs, lagMs, lookbackMs } = config.windows;
  const times = `windows of ${formatDuration(sizeMs)} from ${formatInstant(start)}, ${formatDuration(lagMs)} behind the clock, looking back ${formatDuration(lookbackMs)}`;
  yield { state: "ok", what: `schedule ${config.schedule} (UTC); ${times}` };
  yield* pipeline.source.check(signal);
  yield* pipeline.sink.check(signal);
  if (dataStore === undefined || config.ledger !== undefined) yield* ledgerStore.check(PROBE_KEY, signal);
  yield* placeFinding(stream, signal);
}

/** Where the stream stands, and whether the source still keeps what comes next. */
async function* placeFinding(
  { config: { name, windows }, pipeline: { source }, ledgerStore, dataStore }: Stream,
  signal: AbortSignal,
): AsyncGenerator<Finding> {
  try {
    const { head } = await findHead(ledgerStore, dataStore, name, signal);
    const from = head.exportedUntil ?? windows.start;
    const { retentionMs = Infinity } = source;
    const ageMs = Date.now() - from;
    const what = `next to export: ${formatInstant(from)}${head.seq === 0 ? ", the start" : ""}`;
    const kept = `the source keeps its events for ${formatDuration(retentionMs === Infinity ? 0 : retentionMs)}`;
    if (ageMs > retentionMs) {
      const lost = formatSpan({ from, to: epochMs(Date.now() - retentionMs) });
      const hint = `${kept}: ${lost} is lost, and will be committed as a gap`;
      yield { state: "warning", what, hint };
    } else if (ageMs > retentionMs / 2) {
      yield { state: "warning", what, hint: `${kept}: start the worker soon` };
    } else yield { state: "ok", what };
  } catch (error) {
    signal.throwIfAborted();
    // What the store says of itself was said above.
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
