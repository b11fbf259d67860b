import type { StreamState } from "./status-document.ts";
import type { StreamSoFar } from "./status.ts";
import { formatDuration, formatInstant, MINUTE_MS, SECOND_MS, type EpochMs } from "../time.ts";

interface StateShown {
  readonly state: StreamState;
  readonly why: string | null;
  readonly hint: string | null;
}

/** In which state a stream is at `now`, why, and what to do. */
export function stateOf(
  soFar: StreamSoFar,
  lagMs: number | undefined,
  now: EpochMs,
  startedAt: EpochMs | undefined,
): StateShown {
  const { described, failure, isHeadFound, isStopped, lastTick } = soFar;
  if (failure !== null) {
    const hint = failure.hint ?? "it may pass: the next tick tries again, and goes on from where the export is";
    return { state: isStopped ? "stopped" : "failing", why: failure.message, hint };
  }
  if (lagMs !== undefined && lagMs > described.lagLimitMs) return behind(soFar, lagMs, now, startedAt !== undefined);
  if (startedAt !== undefined && lastTick === undefined) {
    const waitedMs = now - startedAt;
    if (isHeadFound || waitedMs <= described.lagLimitMs) {
      return { state: "starting", why: "the first tick has not ended yet", hint: null };
    }
    const why = `the ledger was not read for ${roughly(waitedMs)}: the first tick has not ended yet`;
    return { state: "behind", why, hint: "look at the log for what it waits for" };
  }
  return { state: "ok", ...skewOf(soFar) };
}

function behind(soFar: StreamSoFar, lagMs: number, now: EpochMs, isWorking: boolean): StateShown {
  const { described, exportedUntil, lastCommit } = soFar;
  const place =
    exportedUntil === undefined ? "nothing is exported yet" : `exported until ${formatInstant(exportedUntil)}`;
  const why = `${place}: ${roughly(lagMs)} behind, the limit is ${roughly(described.lagLimitMs)}`;
  const isComingForward = lastCommit !== undefined && now - lastCommit <= described.lagLimitMs;
  const hint = isComingForward
    ? "it is catching up: nothing to do while the lag shrinks"
    : isWorking
      ? "look at the log for what it waits for"
      : "start the worker";
  return { state: "behind", why, hint };
}

function skewOf({ described, clockOffsetMs = 0 }: StreamSoFar): Omit<StateShown, "state"> {
  if (Math.abs(clockOffsetMs) <= described.settleMs) return { why: null, hint: null };
  const side = clockOffsetMs > 0 ? "behind" : "ahead of";
  const why = `this machine's clock is ${roughly(Math.abs(clockOffsetMs))} ${side} that of the source`;
  return { why, hint: "set both by NTP: events are exported when their time is over by both clocks" };
}

/** A duration in whole minutes, or in seconds below a minute. */
function roughly(durationMs: number): string {
  const unit = durationMs < MINUTE_MS ? SECOND_MS : MINUTE_MS;
  return formatDuration(Math.floor(durationMs / unit) * unit);
}
