import { once } from "node:events";
import { Readable, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { pachcaHistory } from "../simulator/pachca-history.ts";
import { lineOf, communicationsMiningHistory, shownIn } from "../simulator/communications-mining-history.ts";
import { simulator, type AccessLine, type Simulator, type SimulatorOptions } from "../simulator/simulator.ts";
import type { HistoryOptions } from "../simulator/timeline.ts";
import type { Span } from "../time.ts";

export interface SimulateOptions extends Omit<SimulatorOptions, "observe"> {
  /** Prints the addresses as a line of JSON instead of text. */
  readonly json?: boolean | undefined;
  /** Writes an access log to `err`. */
  readonly verbose?: boolean | undefined;
  /** Default: stdout. */
  readonly out?: Writable | undefined;
  /** Default: stderr. */
  readonly err?: Writable | undefined;
}

/** Runs the simulator until aborted. Prints its addresses and its token on `out`, in the form of the configuration. */
export async function simulateCommand(options: SimulateOptions, signal: AbortSignal): Promise<void> {
  const { out = process.stdout, err = process.stderr, json = false, verbose = false } = options;
  const observe = verbose ? (access: AccessLine): void => void err.write(accessLine(access)) : undefined;
  const running = await simulator({ ...options, observe });
  try {
    out.write(json ? `${JSON.stringify(placesOf(running))}\n` : welcome(running));
    // A signal that has already aborted emits no further event.
    if (!signal.aborted) await once(signal, "abort");
  } finally {
    await running.close();
  }
}

function placesOf({ url, port, access, mining }: Simulator): object {
  return { url, port, token: access.token, mining: { url: mining.url } };
}

function welcome({ url, mining, access }: Simulator): string {
  const source = (type: string, baseUrl: string): string =>
    `  source: { type: ${type}, baseUrl: ${JSON.stringify(baseUrl)}, token: ${JSON.stringify(access.token)} }\n`;
  return `Two simulated audit APIs are running. To export from one, put its line into a stream of the configuration:\n${source("pachca", url)}${source("communications-mining", mining.url)}`;
}

/** The APIs that have a history. */
export const HISTORIES = ["pachca", "communications-mining"] as const;

export interface PrintHistoryOptions extends HistoryOptions, Span {
  /** Default: `pachca`. */
  readonly of?: (typeof HISTORIES)[number] | undefined;
}

/** Lines are written in pieces of about this size: one by one, writing would cost more than generating. */
const PIECE_BYTES = 64 * 1024;

/**
 * Writes the history of a span as NDJSON, oldest first, as fast as `out` accepts it: the lines that an export from the simulator
 * must contain, without the events of recorded reads. It does not end `out`. The reader of `out` may stop early.
 */
export async function printHistory(options: PrintHistoryOptions, out: Writable, signal: AbortSignal): Promise<void> {
  try {
    await pipeline(Readable.from(pieces(options), { objectMode: false }), out, { end: false, signal });
  } catch (error) {
    if (signal.aborted || (error as NodeJS.ErrnoException).code === "EPIPE") return;
    throw error;
  }
}

function* linesOf({ of, from, to, ...options }: PrintHistoryOptions): Generator<Buffer> {
  if (of === "communications-mining") {
    for (const event of shownIn(communicationsMiningHistory(options), { from, to })) yield lineOf(event);
  } else {
    for (const { record } of pachcaHistory(options).events({ from, to })) yield record;
  }
}

function* pieces(options: PrintHistoryOptions): Generator<Buffer> {
  const newline = Buffer.from("\n");
  let lines: Buffer[] = [];
  let bytes = 0;
  for (const record of linesOf(options)) {
    lines.push(record, newline);
    bytes += record.length + 1;
    if (bytes >= PIECE_BYTES) {
      yield Buffer.concat(lines, bytes);
      lines = [];
      bytes = 0;
    }
  }
  if (bytes > 0) yield Buffer.concat(lines, bytes);
}

function accessLine({ method, path, status, bytes, durationMs, fault }: AccessLine): string {
  const what = fault === undefined ? "" : ` ${fault}`;
  return `${new Date().toISOString()} ${method} ${path} ${status} ${bytes} B ${durationMs.toFixed(1)} ms${what}\n`;
}
