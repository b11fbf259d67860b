import type { Stream } from "../assemble.ts";
import type { Config } from "../config/config.ts";
import type { StatusDocument, StreamStatus } from "../status/status-document.ts";
import { ConfigError, ExporterError, exitCodeOf, LedgerError, RefusedError, worstExitCode } from "../errors.ts";
import type { Fact } from "../fact.ts";
import { applyFact, initialStatus, type StreamDescription } from "../status/status.ts";
import { epochMs, formatDuration, SECOND_MS } from "../time.ts";
import { EXPORTER } from "../version.ts";
import { askWorker, workerUrl } from "./ask-worker.ts";
import { command, CONFIG, STREAMS, toggle, type OptionsOf } from "./command.ts";
import { statusAt } from "../status/status-at.ts";

const flags = { config: CONFIG, stream: STREAMS, json: toggle("one JSON document") };

export const status = command({
  name: "status",
  about: "shows for each stream how far it is exported, how far it is behind, and its last error",
  flags,
  run: showStatus,
});

/** A worker that is alive answers within this time. */
const WORKER_TIMEOUT_MS = 2 * SECOND_MS;

/**
 * Whether the status is the worker's own (`told`). `none`: nothing listens at its address, or it has no address; `silent`:
 * something listens and does not answer; `refused`: we have no token for it, it does not accept ours, or it answers with
 * another error; `other`: it is not the worker of this configuration.
 */
type WorkerAnswer = "told" | "none" | "silent" | "refused" | "other";

/** A day of windows of five minutes: enough to show how late events are, and few enough to read quickly. */
const WINDOWS_READ = 300;

/**
 * Shows the status of the worker on this machine, or without one what the ledgers say. The exit code is that of reading the
 * ledgers: an unhealthy stream is shown, and is not an error of this command.
 */
async function showStatus(
  { config: path, stream: names, json }: OptionsOf<typeof flags>,
  signal: AbortSignal,
): Promise<number> {
  const { assembleNow, loadStreams } = await import("./streams.ts");
  const { describeStream } = await import("./describe.ts");
  const config = await loadStreams(path, names, "read when used");
  const streams = assembleNow(config, () => undefined, "read when used");
  const described = streams.map(describeStream);
  const running = await runningWorker(config.server, described, signal);
  const { document, errors } =
    running.document === undefined
      ? await readLedgers(streams, described, signal)
      : { document: running.document, errors: [] };
  const shown = {
    ...document,
    streams: document.streams.filter(({ stream }) => described.some((one) => one.stream === stream)),
  };
  process.stdout.write(
    json ? `${JSON.stringify({ ...shown, worker: running.worker })}\n` : `${tableOf(shown)}${running.note}`,
  );
  return worstExitCode(errors.map(exitCodeOf));
}

interface Running {
  readonly worker: WorkerAnswer;
  readonly document?: StatusDocument;
  /** Shown below the table when the status is not the worker's own. */
  readonly note: string;
}

/** The status of the worker at the configured address, if it is the worker of this configuration. */
async function runningWorker(
  server: Config["server"],
  described: readonly StreamDescription[],
  signal: AbortSignal,
): Promise<Running> {
  const none: Running = {
    worker: "none",
    note: "\nNo worker answers on this machine: this is from the ledgers.\n",
  };
  if (server === false) return none;
  const asked = await askWorker(server, "/status.json", WORKER_TIMEOUT_MS, signal).catch((error: unknown) => {
    // The variable of its token is not set, or the file cannot be read.
    if (error instanceof ConfigError || error instanceof RefusedError) return "no token" as const;
    throw error;
  });
  const where = workerUrl(server, "");
  const without = (worker: WorkerAnswer, what: string): Running => ({
    worker,
    note: `\n${what} at ${where}: this is from the ledgers.\n`,
  });
  if (asked === "no token") {
    const unset = "The token (server.token) is not set or cannot be read, so the worker could not be asked";
    return without("refused", unset);
  }
  if (asked === "unreachable") return none;
  if (asked === "silent") return without("silent", "Something listens but does not answer (does the worker hang?)");
  if (asked.code === 401) return without("refused", "The token (server.token) is not accepted");
  if (asked.code !== 200) return without("refused", `The answer is HTTP ${asked.code}`);
  const document = documentIn(asked.text);
  if (document !== undefined && described.every((one) => isTold(one, document))) {
    return { worker: "told", document, note: "" };
  }
  return without("other", "The worker of another configuration answers");
}

function documentIn(text: string): StatusDocument | undefined {
  try {
    const found = JSON.parse(text) as Partial<StatusDocument> | null;
    return Array.isArray(found?.streams) ? (found as StatusDocument) : undefined;
  } catch {
    return undefined;
  }
}

/** The name is not enough: two configurations can both have a stream `pachca`. */
function isTold({ stream, source, sink }: StreamDescription, { streams }: StatusDocument): boolean {
  const told = streams.find((one) => one.stream === stream);
  return (
    told !== undefined &&
    told.sink === sink &&
    told.source.type === source.type &&
    told.source.baseUrl === source.baseUrl &&
    told.source.account === source.account
  );
}

/** The same document, as far as the ledgers know it. */
async function readLedgers(
  streams: readonly Stream[],
  described: readonly StreamDescription[],
  signal: AbortSignal,
): Promise<{ document: StatusDocument; errors: readonly ExporterError[] }> {
  const read = await Promise.all(streams.map((stream) => readLedger(stream, signal)));
  const now = epochMs(Date.now());
  const status = read
    .flat()
    .reduce((before, fact) => applyFact(before, fact, now), initialStatus(EXPORTER.version, described));
  const errors = read.flat().flatMap((fact) => (fact.kind === "tick.failed" ? [fact.error] : []));
  const document = statusAt(status, now);
  // Only reading the ledgers failed, now: no run did.
  const shown = document.streams.map((one) => ({ ...one, lastTick: null, failedTicks: 0, errors: [] }));
  return { document: { ...document, streams: shown }, errors };
}

/** The facts that a worker would report after reading the ledger. */
async function readLedger({ config, ledgerStore, dataStore }: Stream, signal: AbortSignal): Promise<Fact[]> {
  const { findHead } = await import("../ledger/head.ts");
  const { readWindows } = await import("../status/ledger-history.ts");
  const { name: stream } = config;
  try {
    const { head } = await findHead(ledgerStore, dataStore, stream, signal);
    const { seq: sequence, sha256, exportedUntil } = head;
    const found: Fact = { kind: "head.found", stream, sequence, sha256, exportedUntil };
    const span = { first: Math.max(1, sequence - WINDOWS_READ + 1), last: sequence };
    return [found, { kind: "past.read", stream, committed: await readWindows(ledgerStore, stream, span, signal) }];
  } catch (error) {
    if (!(error instanceof ExporterError)) throw error;
    const failed: Fact = { kind: "tick.failed", stream, error, durationMs: 0 };
    return error instanceof LedgerError ? [failed, { kind: "stream.stopped", stream, error }] : [failed];
  }
}

function tableOf({ streams }: StatusDocument): string {
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
  return `${lines.join("\n")}\n${notes.map((note) => `\n${note}\n`).join("")}`;
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
