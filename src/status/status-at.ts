import { type Status, type StreamSoFar } from "./status.ts";
import { type EpochMs, formatInstant, epochMs, SECOND_MS } from "../time.ts";
import { type StatusDocument, toldInFull, type StreamStatus } from "./status-document.ts";
import { listsOf, sumsOf } from "./last-days.ts";
import { stateOf } from "./stream-state.ts";

/** When a schedule rings next after an instant; undefined where that is never. */
export type NextTick = (schedule: string, after: EpochMs) => EpochMs | undefined;

/**
 * The document at `now`.
 * @param asked the stream that is to be told in full, where there are too many for all
 */
export function statusAt(status: Status, now: EpochMs, nextTick?: NextTick, asked?: string): StatusDocument {
  const streams = [...status.streams.values()].map((soFar) => ({
    recent: soFar.recent,
    ...streamAt(soFar, status, now, nextTick),
  }));
  const full = new Set(toldInFull(streams, asked));
  const share = (all: number, count: number, each: number) => Math.min(each, Math.floor(all / Math.max(1, count)));
  const inFull = { windows: share(WINDOWS_IN_ALL, full.size, WINDOWS_EACH), hours: HOURS_EACH };
  const inShort = {
    windows: share(WINDOWS_IN_ALL, streams.length, WINDOWS_EACH),
    hours: Math.max(HOURS_AT_LEAST, share(HOURS_IN_ALL, streams.length, HOURS_EACH)),
  };
  return {
    version: status.version,
    startedAt: shown(status.startedAt),
    now: formatInstant(now),
    stopping: status.stopping,
    streams: streams.map((stream) => {
      const { recent, ...told } = stream;
      return { ...told, ...listsOf(recent, full.has(stream) ? inFull : inShort) };
    }),
  };
}

/** All but the lists, of which there is a share for each stream. */
function streamAt(
  soFar: StreamSoFar,
  { startedAt }: Status,
  now: EpochMs,
  nextTick: NextTick | undefined,
): Omit<StreamStatus, "windows" | "hours"> {
  const { described, exportedUntil, isStopped, recent } = soFar;
  const { stream, source, sink, schedule, lagLimitMs, retentionMs, start } = described;
  // By the later of both clocks: ours may be slow, and the source forgets by its own.
  const later = now + Math.max(0, soFar.clockOffsetMs ?? 0);
  const lagMs = soFar.isHeadFound ? later - (exportedUntil ?? start) : undefined;
  const forgottenAt = retentionMs === undefined ? undefined : epochMs((exportedUntil ?? start) + retentionMs);
  const isTicking = startedAt !== undefined && !isStopped;
  return {
    stream,
    ...stateOf(soFar, lagMs, now, startedAt),
    source: { type: source.type, baseUrl: source.baseUrl, account: source.account },
    ...{ sink, schedule },
    exportedUntil: shown(exportedUntil),
    lagSeconds: lagMs === undefined ? null : Math.floor(lagMs / SECOND_MS),
    lagLimitSeconds: lagLimitMs / SECOND_MS,
    nextTick: isTicking ? shown(nextTick?.(schedule, now)) : null,
    lastTick: shown(soFar.lastTick),
    lastSuccess: shown(soFar.lastSuccess),
    failedTicks: soFar.failedTicks,
    running: soFar.running,
    failure: soFar.failure,
    errors: soFar.errors,
    head: soFar.head,
    completeness: soFar.completeness,
    reconciledAt: shown(soFar.reconciledAt),
    retention:
      forgottenAt === undefined || !soFar.isHeadFound
        ? null
        : { until: formatInstant(forgottenAt), leftSeconds: Math.floor((forgottenAt - later) / SECOND_MS) },
    clockOffsetSeconds: soFar.clockOffsetMs === undefined ? null : soFar.clockOffsetMs / SECOND_MS,
    isPastRead: soFar.isPastRead,
    ...sumsOf(recent, now),
    totals: soFar.totals,
  };
}

function shown(instant: EpochMs | undefined): string | null {
  return instant === undefined ? null : formatInstant(instant);
}

/** Shared by all streams, so that the document stays small. */
const WINDOWS_IN_ALL = 900;

const HOURS_IN_ALL = 504;

const WINDOWS_EACH = 300;

const HOURS_EACH = 168;

/** Whatever the number of streams, each shows its last 24 hours and the one before them. */
const HOURS_AT_LEAST = 25;
