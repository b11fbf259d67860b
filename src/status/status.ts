import { type Failure, type PastFailure, type RunningWindow, type StreamStatus } from "./status-document.ts";
import { ExporterError } from "../errors.ts";
import type { Fact, HeadFact, StreamFact } from "../fact.ts";
import { addWindows, NO_DAYS, type LastDays } from "./last-days.ts";
import type { SourceIdentity } from "../source.ts";
import { formatInstant, jsonSpan, type EpochMs } from "../time.ts";
import { addTotals, NO_TOTALS, totalsOf, type Totals } from "../totals.ts";

/** The configuration of a stream, as far as its status depends on it. */
export interface StreamDescription {
  readonly stream: string;
  readonly source: SourceIdentity;
  readonly sink: string;
  readonly schedule: string;
  readonly start: EpochMs;
  readonly retentionMs: number | undefined;
  /** `windows.lag`. Clocks that differ by more delay the export, or hide how far behind it is. */
  readonly windowLagMs: number;
  /** The stream is not ready above this lag. */
  readonly lagLimitMs: number;
}

/** The fold of all facts so far. What depends on the current time is computed by `statusAt`. */
export interface Status {
  readonly version: string;
  readonly startedAt: EpochMs | undefined;
  readonly stopping: boolean;
  readonly streams: ReadonlyMap<string, StreamSoFar>;
}

/** The fold of one stream's facts so far. */
export interface StreamSoFar {
  readonly description: StreamDescription;
  /** The ledger was read: if `exportedUntil` is undefined, nothing has been exported. */
  readonly isHeadFound: boolean;
  readonly exportedUntil: EpochMs | undefined;
  readonly head: StreamStatus["head"];
  /** Sequence of the head when the ledger was first read: `totals` counts the windows after it. Undefined before. */
  readonly initialSequence: number | undefined;
  /** The windows up to `initialSequence` are known too, as far as they could be read. */
  readonly isPastRead: boolean;
  /** How far the source's clock was ahead of ours when last asked. */
  readonly clockOffsetMs: number | undefined;
  readonly lastTick: EpochMs | undefined;
  readonly lastSuccess: EpochMs | undefined;
  readonly lastCommit: EpochMs | undefined;
  readonly failedTicks: number;
  readonly running: RunningWindow | null;
  readonly failure: Failure | null;
  readonly isStopped: boolean;
  readonly errors: readonly PastFailure[];
  readonly completeness: number | null;
  readonly reconciledAt: EpochMs | undefined;
  readonly totals: Totals;
  readonly lastDays: LastDays;
}

const INITIAL: Omit<StreamSoFar, "description"> = {
  isHeadFound: false,
  exportedUntil: undefined,
  head: null,
  initialSequence: undefined,
  isPastRead: false,
  clockOffsetMs: undefined,
  lastTick: undefined,
  lastSuccess: undefined,
  lastCommit: undefined,
  failedTicks: 0,
  running: null,
  failure: null,
  isStopped: false,
  errors: [],
  completeness: null,
  reconciledAt: undefined,
  totals: NO_TOTALS,
  lastDays: NO_DAYS,
};

const ERRORS_MAX = 10;

/** The status before the first fact. */
export function initialStatus(version: string, streams: readonly StreamDescription[]): Status {
  const initial = streams.map((description) => [description.stream, { description, ...INITIAL }] as const);
  return { version, startedAt: undefined, stopping: false, streams: new Map(initial) };
}

/** The status after one more fact, which happened at `at`. */
export function applyFact(status: Status, fact: Fact, at: EpochMs): Status {
  if (fact.kind === "worker.started") return { ...status, startedAt: at };
  if (fact.kind === "worker.stopping") return { ...status, stopping: true };
  const before = "stream" in fact ? status.streams.get(fact.stream) : undefined;
  if (before === undefined || !("stream" in fact)) return status;
  const changes = changesOf(before, fact, at);
  if (changes === undefined) return status;
  return { ...status, streams: new Map(status.streams).set(fact.stream, { ...before, ...changes }) };
}

/** What a fact changes of its stream; undefined: nothing. */
function changesOf(before: StreamSoFar, fact: StreamFact, at: EpochMs): Partial<StreamSoFar> | undefined {
  switch (fact.kind) {
    case "head.found":
      return {
        isHeadFound: true,
        exportedUntil: fact.exportedUntil,
        head: headOf(fact),
        initialSequence: before.initialSequence ?? fact.sequence,
        isPastRead: before.isPastRead || fact.sequence === 0,
      };
    case "window.started":
      return {
        running: { sequence: fact.sequence, kind: fact.type, ...jsonSpan(fact.window), since: formatInstant(at) },
      };
    case "window.lost":
      return { running: null };
    case "window.committed":
      return {
        // A repair adds to the past: it does not move the checkpoint.
        exportedUntil: fact.type === "repair" ? before.exportedUntil : fact.window.to,
        head: { sequence: fact.sequence, sha256: fact.sha256 },
        lastCommit: at,
        running: null,
        totals: addTotals(before.totals, totalsOf(fact)),
        lastDays: addWindows(before.lastDays, [fact]),
      };
    case "past.read":
      return {
        lastDays: addWindows(before.lastDays, fact.committed),
        totals: fact.committed
          .filter(({ sequence }) => sequence > (before.initialSequence ?? Infinity))
          .map(totalsOf)
          .reduce(addTotals, before.totals),
        isPastRead: true,
      };
    case "past.failed":
      return { isPastRead: true };
    case "tick.done": {
      const { exportedUntil = before.exportedUntil, clockOffsetMs = before.clockOffsetMs } = fact;
      return {
        ...{ isHeadFound: true, exportedUntil, clockOffsetMs, head: headOf(fact.head) },
        ...{ lastTick: at, lastSuccess: at, failedTicks: 0, failure: null, running: null },
      };
    }
    case "tick.failed": {
      const failure = failureOf(fact.error);
      const failedTicks = before.failedTicks + 1;
      return { lastTick: at, failedTicks, failure, running: null, errors: withError(before.errors, failure, at) };
    }
    case "stream.stopped":
      return { isStopped: true, failure: failureOf(fact.error), running: null };
    case "reconciled":
      return { completeness: fact.source === 0 ? 1 : fact.same / fact.source, reconciledAt: at };
    case "reconcile.failed": {
      const failure = { ...failureOf(fact.error), stage: "reconcile" };
      return { completeness: null, reconciledAt: undefined, errors: withError(before.errors, failure, at) };
    }
    default:
      return undefined;
  }
}

function headOf({ sequence, sha256 }: HeadFact): StreamStatus["head"] {
  return sha256 === null ? null : { sequence, sha256 };
}

function failureOf(error: ExporterError): Failure {
  const { code, stage, message, hint } = error;
  return { code, stage: stage ?? null, message, hint: hint ?? null };
}

/** A failure that repeats is counted, so that one outage does not push out all others. */
function withError(errors: readonly PastFailure[], failure: Failure, at: EpochMs): readonly PastFailure[] {
  const time = formatInstant(at);
  const last = errors.at(-1);
  const isSame = last?.code === failure.code && last.stage === failure.stage && last.message === failure.message;
  if (isSame) return [...errors.slice(0, -1), { ...last, time, count: last.count + 1 }];
  return [...errors, { ...failure, firstTime: time, time, count: 1 }].slice(-ERRORS_MAX);
}
