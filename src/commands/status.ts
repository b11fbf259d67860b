import type { Stream } from "../assemble.ts";
import type { Config } from "../config.ts";
import { ExporterError, exitCodeOf, worstExitCode } from "../errors.ts";
import { findHead, readLink } from "../head.ts";
import { boundFor, latenessOf, type LatenessCounts } from "../lateness.ts";
import type { Store } from "../store.ts";
import type { StreamStatus } from "../status.ts";
import { formatDuration, formatInstant, SECOND_MS } from "../time.ts";
import { assembleNow, loadStreams, type ConfigOptions } from "./streams.ts";
import { within } from "./within.ts";

export interface StatusOptions extends ConfigOptions {
  readonly stream?: readonly string[];
  readonly json?: boolean;
}

/** A worker on this machine answers at once, or there is none. */
const WORKER_TIMEOUT_MS = 2000;

/** A day of windows of five minutes: enough to judge lateness by, and quickly read. */
const LATENESS_WINDOWS = 288;
const READS_AT_ONCE = 16;
const SHARE_TO_CATCH = 0.999;

interface Row {
  readonly stream: string;
  readonly state: string;
  readonly exportedUntil: string | null;
  readonly behindSeconds: number | null;
  readonly head: string | null;
  /** Of the newest windows: how late events became visible. Null before the first. */
  readonly lateness: Lateness | null;
  readonly error: { readonly code: string; readonly message: string; readonly hint?: string | null | undefined } | null;
}

/** How each stream stands, by its ledger and, where a worker runs here, by what that says. Resolves with the exit code. */
export async function statusCommand(
  { stream: names, json = false, ...options }: StatusOptions,
  signal: AbortSignal,
): Promise<number> {
  const config = await loadStreams(options, names);
  const streams = assembleNow(config, () => undefined);
  const running = await runningWorker(config, signal);
  const errors: unknown[] = [];
  const rows = await Promise.all(
    streams.map((stream) =>
      rowOf(stream, running, signal).catch((error: unknown): Row => {
        if (!(error instanceof ExporterError)) throw error;
        errors.push(error);
        const { code, message, hint } = error;
        const failure = { code, message, hint };
        return {
          stream: stream.config.name,
          state: "unknown",
          exportedUntil: null,
          behindSeconds: null,
          head: null,
          lateness: null,
          error: failure,
        };
      }),
    ),
  );
  process.stdout.write(json ? `${JSON.stringify({ streams: rows })}\n` : tableOf(rows));
  return worstExitCode(errors.map(exitCodeOf));
}

async function rowOf(
  { config, ledgerStore, dataStore }: Stream,
  running: Map<string, StreamStatus>,
  signal: AbortSignal,
): Promise<Row> {
  const { head } = await findHead(ledgerStore, dataStore, config.name, signal);
  const worker = running.get(config.name);
  const until = head.exportedUntil;
  const behindMs = Date.now() - (until ?? config.windows.start);
  return {
    stream: config.name,
    state: worker?.state ?? "no worker here",
    exportedUntil: until === undefined ? null : formatInstant(until),
    behindSeconds: Math.floor(behindMs / SECOND_MS),
    head: head.sha256 === null ? null : `${head.seq} ${head.sha256}`,
    lateness: await latenessIn(ledgerStore, config.name, head.seq, signal),
    error: worker?.failure ?? null,
  };
}

interface Lateness {
  readonly windows: number;
  readonly events: number;
  readonly late: number;
  readonly counts: LatenessCounts;
  /** The lag, or the look-back, that would have caught 99.9 % of the events; null: longer than a week. */
  readonly wouldCatch: string | null;
}

async function latenessIn(ledger: Store, stream: string, head: number, signal: AbortSignal): Promise<Lateness | null> {
  const seqs = Array.from({ length: Math.min(head, LATENESS_WINDOWS) }, (_, index) => head - index);
  const histogram = latenessOf();
  let events = 0;
  let late = 0;
  for (let start = 0; start < seqs.length; start += READS_AT_ONCE) {
    const links = await Promise.all(
      seqs.slice(start, start + READS_AT_ONCE).map((seq) => readLink(ledger, stream, seq, signal)),
    );
    for (const { manifest } of links) {
      events += manifest.events;
      late += manifest.late;
      histogram.addCounts(manifest.lateness ?? {});
    }
  }
  if (seqs.length === 0) return null;
  const counts = histogram.counts();
  return { windows: seqs.length, events, late, counts, wouldCatch: boundFor(SHARE_TO_CATCH, counts, events) ?? null };
}

/** What the worker at the configured address says of its streams; empty when none answers. */
async function runningWorker({ server }: Config, signal: AbortSignal): Promise<Map<string, StreamStatus>> {
  if (server === false) return new Map();
  const host = server.host.includes(":") ? `[${server.host}]` : server.host;
  try {
    const url = `http://${host}:${server.port}/status.json`;
    const answer = await within(WORKER_TIMEOUT_MS, signal, async (limit) =>
      (await fetch(url, { signal: limit })).json(),
    );
    const { streams } = answer as { streams: StreamStatus[] };
    return new Map(streams.map((status) => [status.stream, status]));
  } catch {
    signal.throwIfAborted();
    return new Map();
  }
}

function tableOf(rows: readonly Row[]): string {
  const cells = [
    ["STREAM", "STATE", "EXPORTED UNTIL", "BEHIND", "SEQUENCE"],
    ...rows.map(({ stream, state, exportedUntil, behindSeconds, head }) => [
      stream,
      state,
      exportedUntil ?? "nothing yet",
      behindSeconds === null ? "—" : formatDuration(Math.max(behindSeconds, 0) * SECOND_MS),
      head?.split(" ")[0] ?? "—",
    ]),
  ];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const lines = cells.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  const late = rows.flatMap(({ stream, lateness }) =>
    lateness === null || lateness.late === 0 ? [] : [lateLine(stream, lateness)],
  );
  const errors = rows.flatMap(({ stream, error }) =>
    error === null ? [] : [`\n${stream}: ${error.message}${error.hint ? `\n  → ${error.hint}` : ""}`],
  );
  return `${lines.join("\n")}\n${[...late, ...errors].map((line) => `${line}\n`).join("")}`;
}

function lateLine(stream: string, { windows, events, late, counts, wouldCatch }: Lateness): string {
  const histogram = Object.entries(counts)
    .map(([bound, count]) => `${bound}: ${count}`)
    .join(", ");
  return (
    `\n${stream}: ${late} of ${events} events in the last ${windows} windows became visible late (${histogram})\n` +
    `  → a lag, or a look-back, of ${wouldCatch ?? "more than a week"} would have caught 99.9 %`
  );
}
