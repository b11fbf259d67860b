import { type Failure, type PastFailure, type RunningWindow, type StreamStatus } from "./status-document.ts";
import { ExporterError } from "../errors.ts";
import type { Fact, HeadFact, StreamFact } from "../fact.ts";
import { NOTHING_RECENT, shownSpan, withCommitted, type Recent } from "./last-days.ts";
import type { SourceIdentity } from "../source.ts";
import { formatInstant, type EpochMs } from "../time.ts";
import { addTotals, NO_TOTALS, totalsOf, type Totals } from "../totals.ts";

/** A stream as it is configured. */
export interface StreamDescription {
  readonly stream: string;
  readonly source: SourceIdentity;
  readonly sink: string;
  readonly schedule: string;
  readonly start: EpochMs;
  readonly retentionMs: number | undefined;
  /** The `lag` of its windows: clocks that are further apart hold the export up, or hide how far behind it is. */
  readonly settleMs: number;
  /** Beyond this lag it is not ready. */
  readonly lagLimitMs: number;
}

/** What the facts so far come to. What depends on the clock is left to `statusAt`. */
export interface Status {
  readonly version: string;
  readonly startedAt: EpochMs | undefined;
  readonly stopping: boolean;
  readonly streams: ReadonlyMap<string, StreamSoFar>;
}

/** One stream, as far as the facts went. */
export interface StreamSoFar {
  readonly described: StreamDescription;
  /** The ledger was read: where there is no `exportedUntil`, nothing was exported. */
  readonly isHeadFound: boolean;
  readonly exportedUntil: EpochMs | undefined;
  readonly head: StreamStatus["head"];
  /** Where the ledger was when it was read first: what comes after it is news. Undefined before. */
  readonly newsAfter: number | undefined;
  /** What was before that is known too, as far as it could be read. */
  readonly isPastRead: boolean;
  /** How far the source's clock was ahead of ours when it was asked last. */
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
  readonly recent: Recent;
}

const NOTHING_YET: Omit<StreamSoFar, "described"> = {
  isHeadFound: false,
  exportedUntil: undefined,
  head: null,
  newsAfter: undefined,
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
  recent: NOTHING_RECENT,
};

const ERRORS_KEPT = 10;

/** How streams stand before anything happened. */
export function starting(version: string, streams: readonly StreamDescription[]): Status {
  const soFar = streams.map((described) => [described.stream, { described, ...NOTHING_YET }] as const);
  return { version, startedAt: undefined, stopping: false, streams: new Map(soFar) };
}

/** The status after one more fact, which happened at `at`. */
export function after(status: Status, fact: Fact, at: EpochMs): Status {
  if (fact.kind === "worker.started") return { ...status, startedAt: at };
  if (fact.kind === "worker.stopping") return { ...status, stopping: true };
  const before = "stream" in fact ? status.streams.get(fact.stream) : undefined;
  if (before === undefined || !("stream" in fact)) return status;
  const changed = changes(before, fact, at);
  if (changed === undefined) return status;
  return { ...status, streams: new Map(status.streams).set(fact.stream, { ...before, ...changed }) };
}

function changes(before: StreamSoFar, fact: StreamFact, at: EpochMs): Partial<StreamSoFar> | undefined {
  switch (fact.kind) {
    case "head.found":
      return {
        isHeadFound: true,
        exportedUntil: fact.exportedUntil,
        head: headOf(fact),
        newsAfter: before.newsAfter ?? fact.sequence,
        isPastRead: before.isPastRead || fact.sequence === 0,
      };
    case "window.started":
      return {
        running: { sequence: fact.sequence, kind: fact.type, ...shownSpan(fact.window), since: formatInstant(at) },
      };
    case "window.lost":
      return { running: null };
    case "window.committed":
      return {
        // A repair looks back: it does not move the place up to which all is exported.
        exportedUntil: fact.type === "repair" ? before.exportedUntil : fact.window.to,
        head: { sequence: fact.sequence, sha256: fact.sha256 },
        lastCommit: at,
        running: null,
        totals: addTotals(before.totals, totalsOf(fact)),
        recent: withCommitted(before.recent, [fact]),
      };
    case "past.read":
      return {
        recent: withCommitted(before.recent, fact.committed),
        totals: fact.committed
          .filter(({ sequence }) => sequence > (before.newsAfter ?? Infinity))
          .map(totalsOf)
          .reduce(addTotals, before.totals),
        isPastRead: true,
      };
    case "past.failed":
      return { isPastRead: true };
    case "tick.done": {
      const { exportedUntil = before.exportedUntil, clockOffsetMs = before.clockOffsetMs } = fact;
      const well = { lastTick: at, lastSuccess: at, failedTicks: 0, failure: null, running: null };
      return { ...well, isHeadFound: true, exportedUntil, clockOffsetMs, head: headOf(fact.head) };
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

/** The same failure again is counted, so that one outage does not push out all others. */
function withError(errors: readonly PastFailure[], failure: Failure, at: EpochMs): readonly PastFailure[] {
  const time = formatInstant(at);
  const last = errors.at(-1);
  const isSame = last?.code === failure.code && last.stage === failure.stage && last.message === failure.message;
  if (isSame) return [...errors.slice(0, -1), { ...last, time, count: last.count + 1 }];
  return [...errors, { ...failure, firstTime: time, time, count: 1 }].slice(-ERRORS_KEPT);
}
