import { ExporterError, exitCodeOf, LedgerError, TransientError, worstExitCode } from "../errors.ts";
import { tick } from "../export/tick.ts";
import type { Observe } from "../fact.ts";
import { reconcile } from "../export/reconcile.ts";
import { cronTimer } from "./schedule.ts";
import { earlierClock } from "../source.ts";
import { epochMs } from "../time.ts";
import type { Pipeline } from "../export/pipeline.ts";

/** A stream with its schedules. */
export interface ScheduledStream {
  readonly pipeline: Pipeline;
  /** Cron, UTC. */
  readonly schedule: string;
  /** When to compare a past span with the source, and how long the span is. */
  readonly reconcile?: { readonly schedule: string; readonly spanMs: number } | undefined;
}

/**
 * The worker: each stream runs at start and by its schedule until `signal` aborts. Runs of one stream cannot overlap, because one
 * loop makes them. Streams do not wait for each other. A stream whose ledger is damaged stops, and the others continue. Resolves
 * with the exit code: 0, or that of the streams that stopped. A bug ends all streams, and is thrown.
 *
 * @param signal asks to stop: no further window is started
 * @param abandon gives up the windows under way, too
 */
export async function work(
  streams: readonly ScheduledStream[],
  observe: Observe,
  signal: AbortSignal,
  abandon: AbortSignal = signal,
): Promise<number> {
  const ending = new AbortController();
  const orEnding = (requested: AbortSignal): AbortSignal => AbortSignal.any([requested, ending.signal]);
  const loops = streams.map((stream) => workStream(stream, observe, orEnding(signal), orEnding(abandon)));
  try {
    return worstExitCode(await Promise.all(loops));
  } finally {
    ending.abort(new Error("another stream met a bug"));
    await Promise.allSettled(loops);
  }
}

async function workStream(
  { pipeline, schedule, reconcile: comparison }: ScheduledStream,
  observe: Observe,
  signal: AbortSignal,
  abandon: AbortSignal,
): Promise<number> {
  const { name, source, sink } = pipeline;
  observe({ kind: "stream.started", stream: name, schedule, source: source.identity.baseUrl, sink: sink.place });
  const schedules = new Map<"tick" | "reconcile", string>([["tick", schedule]]);
  if (comparison !== undefined) schedules.set("reconcile", comparison.schedule);
  const timer = cronTimer(schedules, () => epochMs(Date.now()));
  try {
    for (let due: ReadonlySet<string> = new Set(["tick"]); !signal.aborted; due = await timer.next(signal)) {
      const error = due.has("tick") ? await runTick(pipeline, signal, abandon) : undefined;
      if (error instanceof LedgerError) {
        observe({ kind: "stream.stopped", stream: name, error });
        return exitCodeOf(error);
      }
      // A comparison only reads: what it finds broken in the past must not stop the export.
      if (due.has("reconcile") && comparison !== undefined) await runReconcile(pipeline, comparison.spanMs, signal);
    }
    return 0;
  } catch (error) {
    // A requested stop is not a failure. Anything else that comes here is a bug.
    if (isAbort(error, signal) || isAbort(error, abandon)) return 0;
    throw error;
  }
}

/** Whether an error is only the effect of an abort: the signal's reason, Node's AbortError, or a request that was cut off. */
function isAbort(error: unknown, signal: AbortSignal): boolean {
  if (!signal.aborted) return false;
  return (
    error === signal.reason ||
    (error instanceof Error && error.name === "AbortError") ||
    error instanceof TransientError
  );
}

/**
 * One tick, observed. Resolves with the error that ended it, if it is one of ours; a bug and an abort are thrown. After `signal`
 * has aborted no window is started, and what was done until then is reported. When `abandon` aborts, the window under way is given
 * up.
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

/** Compares the last `spanMs` that are exported with the source. The result is observed, and so is a failure. */
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
