import { formatDuration, formatInstant, epochMs, MINUTE_MS, SECOND_MS, type EpochMs } from "../time.ts";
import { listNewest, summarize } from "./last-days.ts";
import { shownInFull, type StatusDocument, type StreamState, type StreamStatus } from "./status-document.ts";
import type { Status, StreamSoFar } from "./status.ts";

/** The next instant of a schedule after another instant; undefined if there is none. */
export type NextTick = (schedule: string, after: EpochMs) => EpochMs | undefined;

/** For all streams together, so that the document stays small. */
const WINDOWS_MAX = 900;
const HOURS_MAX = 504;

/** For a stream that is shown in full. */
const WINDOWS_PER_STREAM = 300;
const HOURS_PER_STREAM = 168;

/** However many streams there are, each shows its last 24 hours and the hour before them. */
const HOURS_MIN = 25;

/**
 * The status document at `now`.
 * @param selected the stream to show in full, if there are too many to show all in full
 */
export function statusAt(status: Status, now: EpochMs, nextTick?: NextTick, selected?: string): StatusDocument {
  const streams = [...status.streams.values()].map((soFar) => ({
    lastDays: soFar.lastDays,
    ...streamAt(soFar, status, now, nextTick),
  }));
  const full = new Set(shownInFull(streams, selected));
  const share = (all: number, count: number, each: number) => Math.min(each, Math.floor(all / Math.max(1, count)));
  const fullLimits = { windows: share(WINDOWS_MAX, full.size, WINDOWS_PER_STREAM), hours: HOURS_PER_STREAM };
  const limits = {
    windows: share(WINDOWS_MAX, streams.length, WINDOWS_PER_STREAM),
    hours: Math.max(HOURS_MIN, share(HOURS_MAX, streams.length, HOURS_PER_STREAM)),
  };
  return {
    version: status.version,
    startedAt: instantOrNull(status.startedAt),
    now: formatInstant(now),
    stopping: status.stopping,
    streams: streams.map((stream) => {
      const { lastDays, ...rest } = stream;
      return { ...rest, ...listNewest(lastDays, full.has(stream) ? fullLimits : limits) };
    }),
  };
}

/** All but the lists of windows and hours, whose length depends on the other streams. */
function streamAt(
  soFar: StreamSoFar,
  { startedAt }: Status,
  now: EpochMs,
  nextTick: NextTick | undefined,
): Omit<StreamStatus, "windows" | "hours"> {
  const { description, exportedUntil, isStopped } = soFar;
  const { stream, source, sink, schedule, lagLimitMs, retentionMs, start } = description;
  // By the later of the two clocks: ours may be slow, and the source deletes events by its own.
  const later = now + Math.max(0, soFar.clockOffsetMs ?? 0);
  const lagMs = soFar.isHeadFound ? later - (exportedUntil ?? start) : undefined;
  const deletedAt = retentionMs === undefined ? undefined : epochMs((exportedUntil ?? start) + retentionMs);
  const isScheduled = startedAt !== undefined && !isStopped;
  return {
    stream,
    ...stateOf(soFar, lagMs, now, startedAt),
    source: { type: source.type, baseUrl: source.baseUrl, account: source.account },
    ...{ sink, schedule },
    exportedUntil: instantOrNull(exportedUntil),
    lagSeconds: lagMs === undefined ? null : Math.floor(lagMs / SECOND_MS),
    lagLimitSeconds: lagLimitMs / SECOND_MS,
    nextTick: isScheduled ? instantOrNull(nextTick?.(schedule, now)) : null,
    lastTick: instantOrNull(soFar.lastTick),
    lastSuccess: instantOrNull(soFar.lastSuccess),
    failedTicks: soFar.failedTicks,
    running: soFar.running,
    failure: soFar.failure,
    errors: soFar.errors,
    head: soFar.head,
    completeness: soFar.completeness,
    reconciledAt: instantOrNull(soFar.reconciledAt),
    retention:
      deletedAt === undefined || !soFar.isHeadFound
        ? null
        : { until: formatInstant(deletedAt), leftSeconds: Math.floor((deletedAt - later) / SECOND_MS) },
    clockOffsetSeconds: soFar.clockOffsetMs === undefined ? null : soFar.clockOffsetMs / SECOND_MS,
    isPastRead: soFar.isPastRead,
    ...summarize(soFar.lastDays, now),
    totals: soFar.totals,
  };
}

function instantOrNull(instant: EpochMs | undefined): string | null {
  return instant === undefined ? null : formatInstant(instant);
}

/** The state of a stream, why it is in it, and what to do about it. */
interface StateReason {
  readonly state: StreamState;
  readonly why: string | null;
  readonly hint: string | null;
}

function stateOf(
  soFar: StreamSoFar,
  lagMs: number | undefined,
  now: EpochMs,
  startedAt: EpochMs | undefined,
): StateReason {
  const { description, failure, isHeadFound, isStopped, lastTick } = soFar;
  if (failure !== null) {
    const hint = failure.hint ?? "the next run tries again, from where the export stopped";
    return { state: isStopped ? "stopped" : "failing", why: failure.message, hint };
  }
  if (lagMs !== undefined && lagMs > description.lagLimitMs) return behind(soFar, lagMs, now, startedAt !== undefined);
  if (startedAt !== undefined && lastTick === undefined) {
    const waitedMs = now - startedAt;
    if (isHeadFound || waitedMs <= description.lagLimitMs) {
      return { state: "starting", why: "the first run has not finished yet", hint: null };
    }
    const why = `the ledger has not been read for ${rounded(waitedMs)}: the first run has not finished yet`;
    return { state: "behind", why, hint: LOOK_IN_THE_LOG };
  }
  return { state: "ok", ...clockWarning(soFar) };
}

const LOOK_IN_THE_LOG = "look in the log for what the worker is waiting for";

function behind(soFar: StreamSoFar, lagMs: number, now: EpochMs, isRunning: boolean): StateReason {
  const { description, exportedUntil, lastCommit } = soFar;
  const checkpoint =
    exportedUntil === undefined ? "nothing exported yet" : `exported until ${formatInstant(exportedUntil)}`;
  const why = `${checkpoint}: ${rounded(lagMs)} behind, the limit is ${rounded(description.lagLimitMs)}`;
  const isCatchingUp = lastCommit !== undefined && now - lastCommit <= description.lagLimitMs;
  const hint = isCatchingUp
    ? "catching up: nothing to do while the lag shrinks"
    : isRunning
      ? LOOK_IN_THE_LOG
      : "start the worker";
  return { state: "behind", why, hint };
}

function clockWarning({ description, clockOffsetMs = 0 }: StreamSoFar): Omit<StateReason, "state"> {
  if (Math.abs(clockOffsetMs) <= description.windowLagMs) return { why: null, hint: null };
  const side = clockOffsetMs > 0 ? "behind" : "ahead of";
  const why = `this machine's clock is ${rounded(Math.abs(clockOffsetMs))} ${side} the source's clock`;
  return { why, hint: "synchronize both with NTP: a window is exported when it has ended by both clocks" };
}

/** A duration in whole minutes, or in whole seconds below a minute. */
function rounded(durationMs: number): string {
  const unit = durationMs < MINUTE_MS ? SECOND_MS : MINUTE_MS;
  return formatDuration(Math.floor(durationMs / unit) * unit);
}
