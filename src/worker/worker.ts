import { ExporterError, exitCodeOf, LedgerError, TransientError, worstExitCode } from "../errors.ts";
import { tick } from "../export/tick.ts";
import type { Observe } from "../fact.ts";
import { reconcile } from "../export/reconcile.ts";
import { cronAlarm } from "./schedule.ts";
import { earlierClock } from "../source.ts";
import { epochMs } from "../time.ts";
import type { Pipeline } from "../export/pipeline.ts";

/** A stream as the worker runs it. */
export interface ScheduledStream {
  readonly pipeline: Pipeline;
  /** Cron, UTC. */
  readonly schedule: string;
  /** When to compare a past span with the source, and how long that span is. */
  readonly reconcile?: { readonly schedule: string; readonly spanMs: number } | undefined;
}

/**
 * The worker: each stream ticks at start and by its schedule until `signal` aborts. Ticks of one stream cannot overlap, for
 * one loop runs them; streams do not wait for each other. A stream whose ledger is damaged stops, the others go on. Resolves
 * with the exit code: 0, or that of the streams that stopped. A bug ends all, and is thrown.
 *
 * @param signal asks to stop: no window is begun any more
 * @param abandon gives up the windows at hand, too
 */
export async function work(
  streams: readonly ScheduledStream[],
  observe: Observe,
  signal: AbortSignal,
  abandon: AbortSignal = signal,
): Promise<number> {
  const ending = new AbortController();
  const either = (asked: AbortSignal): AbortSignal => AbortSignal.any([asked, ending.signal]);
  const loops = streams.map((stream) => workStream(stream, observe, either(signal), either(abandon)));
  try {
    return worstExitCode(await Promise.all(loops));
  } finally {
    ending.abort(new Error("another stream met a bug"));
    await Promise.allSettled(loops);
  }
}

async function workStream(
  { pipeline, schedule, reconcile: comparing }: ScheduledStream,
  observe: Observe,
  signal: AbortSignal,
  abandon: AbortSignal,
): Promise<number> {
  const { name, source, sink } = pipeline;
  observe({ kind: "stream.started", stream: name, schedule, source: source.identity.baseUrl, sink: sink.place });
  const schedules = new Map<"tick" | "reconcile", string>([["tick", schedule]]);
  if (comparing !== undefined) schedules.set("reconcile", comparing.schedule);
  const alarm = cronAlarm(schedules, () => epochMs(Date.now()));
  try {
    for (let due: ReadonlySet<string> = new Set(["tick"]); !signal.aborted; due = await alarm.next(signal)) {
      const error = due.has("tick") ? await runTick(pipeline, signal, abandon) : undefined;
      if (error instanceof LedgerError) {
        observe({ kind: "stream.stopped", stream: name, error });
        return exitCodeOf(error);
      }
      // Comparing only reads: what it finds broken in the past must not keep the present from being exported.
      if (due.has("reconcile") && comparing !== undefined) await runReconcile(pipeline, comparing.spanMs, signal);
    }
    return 0;
  } catch (error) {
    // Asked to stop is not a failure; whatever else comes here is a bug.
    if (isAbort(error, signal) || isAbort(error, abandon)) return 0;
    throw error;
  }
}

/** Whether it is the end that was asked for, as it is told: by its own reason, by Node, or by a request that was cut off. */
function isAbort(error: unknown, signal: AbortSignal): boolean {
  if (!signal.aborted) return false;
  return (
    error === signal.reason ||
    (error instanceof Error && error.name === "AbortError") ||
    error instanceof TransientError
  );
}

/**
 * One tick, observed. Resolves with the error that ended it, if one of ours did; a bug and an abort are thrown. No window is
 * begun once `signal` has aborted: what was done until then is told. The window at hand is given up when `abandon` aborts.
 */
export async function runTick(
  pipeline: Pipeline,
  signal: AbortSignal,
  abandon: AbortSignal = signal,
): Promise<ExporterError | undefined> {
  const { observe } = pipeline;
  const startedAt = performance.now();
  const durationMs = () => Math.round(performance.now() - startedAt);
  try {
    const { head: found, ...totals } = await tick(pipeline, epochMs(Date.now()), abandon, durationMs, signal);
    const { exportedUntil, seq: sequence, sha256 } = found;
    observe({ kind: "tick.done", ...totals, durationMs: durationMs(), exportedUntil, head: { sequence, sha256 } });
    return undefined;
  } catch (error) {
    if (isAbort(error, abandon) || !(error instanceof ExporterError)) throw error;
    observe({ kind: "tick.failed", error, durationMs: durationMs() });
    return error;
  }
}

/** The last `spanMs` that are exported, against the source; observed, and a failure too. */
async function runReconcile(pipeline: Pipeline, spanMs: number, signal: AbortSignal): Promise<void> {
  const { observe, ledger, source } = pipeline;
  try {
    const { exportedUntil } = await ledger.head(signal);
    if (exportedUntil === undefined) return;
    const now = await earlierClock(source, epochMs(Date.now()), signal);
    const span = { from: epochMs(exportedUntil - spanMs), to: exportedUntil };
    const report = await reconcile(pipeline, span, now, signal);
    if (report !== undefined) observe({ kind: "reconciled", ...report });
  } catch (error) {
    if (isAbort(error, signal) || !(error instanceof ExporterError)) throw error;
    observe({ kind: "reconcile.failed", error });
  }
}
