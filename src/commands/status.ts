import type { Stream } from "../assemble.ts";
import type { Config } from "../config.ts";
import type { StatusDocument, StreamStatus } from "../document.ts";
import { ExporterError, exitCodeOf, LedgerError, worstExitCode } from "../errors.ts";
import type { Fact } from "../fact.ts";
import { findHead } from "../head.ts";
import { readPast } from "../past.ts";
import { after, starting, statusAt } from "../status.ts";
import { epochMs, formatDuration, SECOND_MS } from "../time.ts";
import { EXPORTER } from "../version.ts";
import { describe } from "./describe.ts";
import { assembleNow, loadStreams, type ConfigOptions } from "./streams.ts";
import { within } from "./within.ts";

export interface StatusOptions extends ConfigOptions {
  readonly stream?: readonly string[];
  readonly json?: boolean;
}

/** A worker on this machine answers at once, or there is none. */
const WORKER_TIMEOUT_MS = 2000;

/** A day of windows of five minutes: enough to judge lateness by, and quickly read. */
const WINDOWS_READ = 300;

/**
 * How each stream stands: as the worker here says, or by the ledgers where none runs. Resolves with the exit code: of reading
 * the ledgers, for a stream that is not well is told, not an error of this command.
 */
export async function statusCommand(
  { stream: names = [], json = false, ...options }: StatusOptions,
  signal: AbortSignal,
): Promise<number> {
  const config = await loadStreams(options, names);
  const running = await runningWorker(config, signal);
  const { document, errors } =
    running === undefined ? await readLedgers(config, signal) : { document: running, errors: [] };
  const streams = document.streams.filter(({ stream }) => config.streams.some(({ name }) => name === stream));
  const shown = { ...document, streams };
  process.stdout.write(json ? `${JSON.stringify(shown)}\n` : tableOf(shown));
  return worstExitCode(errors.map(exitCodeOf));
}

/** What the worker at the configured address says; undefined when none answers, or it is another's. */
async function runningWorker({ server, streams }: Config, signal: AbortSignal): Promise<StatusDocument | undefined> {
  if (server === false) return undefined;
  // A worker that listens on every address is asked on this machine's own.
  const host = server.host === "0.0.0.0" || server.host === "::" ? "127.0.0.1" : server.host;
  const url = `http://${host.includes(":") ? `[${host}]` : host}:${server.port}/status.json`;
  const headers: Record<string, string> =
    server.token === undefined ? {} : { authorization: `Bearer ${server.token()}` };
  try {
    const answer = await within(WORKER_TIMEOUT_MS, signal, async (limit) =>
      (await fetch(url, { headers, signal: limit })).json(),
    );
    const document = answer as Partial<StatusDocument>;
    const known = new Set(document.streams?.map(({ stream }) => stream));
    return streams.every(({ name }) => known.has(name)) ? (document as StatusDocument) : undefined;
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}

/** The same document, as far as the ledgers can tell. */
async function readLedgers(
  config: Config,
  signal: AbortSignal,
): Promise<{ document: StatusDocument; errors: readonly ExporterError[] }> {
  const streams = assembleNow(config, () => undefined);
  const read = await Promise.all(streams.map((stream) => readLedger(stream, signal)));
  const now = epochMs(Date.now());
  const status = read
    .flat()
    .reduce((before, fact) => after(before, fact, now), starting(EXPORTER.version, streams.map(describe)));
  const errors = read.flat().flatMap((fact) => (fact.kind === "tick.failed" ? [fact.error] : []));
  return { document: statusAt(status, now), errors };
}

/** What a worker would say of the ledger. */
async function readLedger({ config, ledgerStore, dataStore }: Stream, signal: AbortSignal): Promise<Fact[]> {
  const { name: stream } = config;
  try {
    const { head } = await findHead(ledgerStore, dataStore, stream, signal);
    const { seq: sequence, sha256, exportedUntil } = head;
    const found: Fact = { kind: "head.found", stream, sequence, sha256, exportedUntil };
    const span = { first: Math.max(1, sequence - WINDOWS_READ + 1), last: sequence };
    return [found, { kind: "past.read", stream, committed: await readPast(ledgerStore, stream, span, signal) }];
  } catch (error) {
    if (!(error instanceof ExporterError)) throw error;
    const failed: Fact = { kind: "tick.failed", stream, error, durationMs: 0 };
    return error instanceof LedgerError ? [failed, { kind: "stream.stopped", stream, error }] : [failed];
  }
}

function tableOf({ startedAt, streams }: StatusDocument): string {
  const cells = [
    ["STREAM", "STATE", "EXPORTED UNTIL", "BEHIND", "SEQUENCE"],
    ...streams.map(({ stream, state, exportedUntil, lagSeconds, head }) => [
      stream,
      state,
      exportedUntil ?? "nothing yet",
      lagSeconds === null ? "—" : formatDuration(Math.max(lagSeconds, 0) * SECOND_MS),
      head === null ? "—" : String(head.sequence),
    ]),
  ];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const lines = cells.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  const notes = streams.flatMap((stream) => [...reasonOf(stream), ...lateLines(stream)]);
  const source = startedAt === null ? "\nNo worker answers here: this is what the ledgers say.\n" : "";
  return `${lines.join("\n")}\n${notes.map((note) => `\n${note}\n`).join("")}${source}`;
}

function reasonOf({ stream, why, hint }: StreamStatus): string[] {
  return why === null ? [] : [`${stream}: ${why}${hint === null ? "" : `\n  → ${hint}`}`];
}

function lateLines({ stream, day }: StreamStatus): string[] {
  const { late, events, lateness, wouldCatch, from } = day;
  if (late === 0) return [];
  const histogram = Object.entries(lateness)
    .map(([bound, count]) => `${bound}: ${count}`)
    .join(", ");
  return [
    `${stream}: ${late} of ${events} events since ${from ?? ""} became visible late (${histogram})\n` +
      `  → a lag, or a look-back, of ${wouldCatch ?? "more than a week"} would have caught 99.9 %`,
  ];
}
