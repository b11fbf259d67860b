import { ExporterError } from "./errors.ts";
import type { Fact } from "./fact.ts";
import { formatInstant, type EpochMs } from "./time.ts";

/** How one stream of a running worker stands: what `/status.json` shows. Instants are RFC 3339. */
export interface StreamStatus {
  readonly stream: string;
  readonly state: "starting" | "ok" | "failing" | "stopped";
  readonly exportedUntil: string | null;
  /** The ledger's head: `sequence sha256`. */
  readonly head: string | null;
  readonly lastTick: string | null;
  readonly lastSuccess: string | null;
  /** What ended the last tick, if anything did. */
  readonly failure: Failure | null;
  /** Of the last comparison with the source: the share of its items that the ledger has; null before the first, and after one that
   * failed. */
  readonly completeness: number | null;
  /** When that comparison was made. */
  readonly reconciledAt: string | null;
  /** Counted since the worker started. */
  readonly windows: number;
  readonly events: number;
}

export interface Failure {
  readonly code: string;
  readonly stage: string | null;
  readonly message: string;
  readonly hint: string | null;
}

export type Status = ReadonlyMap<string, StreamStatus>;

const STARTING: Omit<StreamStatus, "stream"> = {
  state: "starting",
  exportedUntil: null,
  head: null,
  lastTick: null,
  lastSuccess: null,
  failure: null,
  completeness: null,
  reconciledAt: null,
  windows: 0,
  events: 0,
};

/** How streams stand before anything happened. */
export function starting(streams: readonly string[]): Status {
  return new Map(streams.map((stream) => [stream, { stream, ...STARTING }]));
}

/** The status after one more fact, which happened at `at`. */
export function after(status: Status, fact: Fact, at: EpochMs): Status {
  if (!("stream" in fact)) return status;
  const before = status.get(fact.stream) ?? { stream: fact.stream, ...STARTING };
  const changed = changes(before, fact, formatInstant(at));
  return changed === undefined ? status : new Map(status).set(fact.stream, { ...before, ...changed });
}

function changes(before: StreamStatus, fact: Fact, at: string): Partial<StreamStatus> | undefined {
  switch (fact.kind) {
    case "stream.started":
      return {};
    case "head.found":
      return { exportedUntil: fact.exportedUntil === undefined ? null : formatInstant(fact.exportedUntil) };
    case "window.committed":
      return {
        exportedUntil: formatInstant(fact.window.to),
        head: `${fact.sequence} ${fact.sha256}`,
        windows: before.windows + 1,
        events: before.events + fact.events,
      };
    case "tick.done":
      return { state: "ok", lastTick: at, lastSuccess: at, failure: null, head: fact.head };
    case "reconciled":
      return { completeness: fact.source === 0 ? 1 : fact.same / fact.source, reconciledAt: at };
    case "reconcile.failed":
      return { completeness: null, reconciledAt: null };
    case "tick.failed":
      return { state: "failing", lastTick: at, failure: failureOf(fact.error) };
    case "stream.stopped":
      return { state: "stopped", failure: failureOf(fact.error) };
    default:
      return undefined;
  }
}

function failureOf(error: unknown): Failure {
  if (!(error instanceof ExporterError)) return { code: "bug", stage: null, message: "a bug", hint: null };
  const { code, stage, message, hint } = error;
  return { code, stage: stage ?? null, message, hint: hint ?? null };
}
