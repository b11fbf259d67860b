import { atStage, eachAtStage } from "../errors.ts";
import type { Head } from "../ledger/head.ts";
import { idSet, type IdSet } from "../ledger/ids.ts";
import type { Draft, Ledger } from "../ledger/ledger.ts";
import { committedOf } from "../ledger/manifest.ts";
import type { Plan, StoredObject } from "../sink.ts";
import { epochMs, type EpochMs, type Span } from "../time.ts";
import { addTotals, lostSpan, NO_TOTALS, totalsOf, type Totals } from "../totals.ts";
import { batches } from "./batch.ts";
import { collection, NOTHING_REUSED, refusalOf, reuseObjects, seenJustBefore } from "./collect.ts";
import type { Pipeline, Run } from "./pipeline.ts";
import { quarantineFor, type QuarantineWriter } from "./quarantine.ts";
import type { Fetched } from "./fetch-piece.ts";
import {
  gapBefore,
  isSettled,
  lookbackStart,
  missingBefore,
  nextWindow,
  readyWindows,
  retentionFloor,
} from "./window.ts";

/** What one tick exported, and where the ledger ends now. */
export interface TickResult extends Totals {
  readonly head: Head;
  /** How far the source's clock is ahead of ours. Undefined if no window was due: then the source was not asked. */
  readonly clockOffsetMs?: number;
}

/**
 * THE LOOP: exports every window that is ready, one after another, and returns when none is left. Whatever is thrown, no window
 * was committed past an event that is not durable: `exportWindow` says why.
 *
 * @param clock our clock's time; the tick uses the earlier of it and the source's
 * @param elapsedMs the time since `clock` was read, by a monotonic clock: the source's retention moves on during a tick
 * @param stop after it aborts, no further window is started; between two windows is the best place to stop
 */
export async function tick(
  pipeline: Pipeline,
  clock: EpochMs,
  signal: AbortSignal,
  elapsedMs: () => number = () => 0,
  stop: AbortSignal = signal,
): Promise<TickResult> {
  const { ledger, source, windows, reader } = pipeline;
  let head = await atStage("plan", ledger.head(signal));
  if (nextWindow(head.exportedUntil ?? windows.start, clock, windows) === undefined) return { ...NO_TOTALS, head };

  const clockOffsetMs = await atStage("fetch", source.clockOffsetMs(signal));
  // The earlier of the two clocks: a window must have settled by both.
  const now = epochMs(clock + Math.min(clockOffsetMs, 0));
  const retainedFrom = (): EpochMs => retentionFloor(epochMs(now + elapsedMs()), source.retentionMs);
  const run: Run = { pipeline, now, retainedFrom };
  warnOfRetention(run, head);
  let totals = NO_TOTALS;
  try {
    for (let isFirst = true; ;) {
      signal.throwIfAborted();
      const proposal = stop.aborted ? undefined : propose(run, head, isFirst);
      if (proposal === undefined) break;
      const outcome = await exportWindow(run, proposal, signal);
      if (outcome.state === "unsettled") break;
      head = outcome.head;
      if (outcome.state === "committed") totals = addTotals(totals, outcome.totals);
      if (!outcome.isResumed) isFirst = false;
    }
  } finally {
    reader.close();
  }
  return { ...totals, head, clockOffsetMs };
}

/** The plan for what comes next: the gap that the source no longer keeps, or the next window; undefined if none is ready. */
function propose({ pipeline, now, retainedFrom }: Run, head: Head, isFirst: boolean): Plan | undefined {
  const { windows, fingerprint } = pipeline;
  const from = head.exportedUntil ?? windows.start;
  const gap = gapBefore(from, retainedFrom(), windows);
  if (gap !== undefined) return { seq: head.seq + 1, kind: "gap", ...gap, since: from, fingerprint };
  const window = nextWindow(from, now, windows);
  if (window === undefined) return undefined;
  const since = isFirst ? lookbackStart(from, windows) : from;
  return { seq: head.seq + 1, kind: "window", ...window, since, fingerprint };
}

/** Once half of the retention is used up, a worker that does not catch up will lose events. */
function warnOfRetention({ pipeline: { source, windows, observe }, now }: Run, head: Head): void {
  const { retentionMs } = source;
  const exportedUntil = head.exportedUntil ?? windows.start;
  const leftMs = retentionMs === undefined ? Infinity : exportedUntil + retentionMs - now;
  // What is lost already is reported as a gap.
  if (retentionMs !== undefined && leftMs > 0 && leftMs < retentionMs / 2) {
    observe({ kind: "retention.near", exportedUntil, leftMs });
  }
}

/** How the export of one window ended. */
export type Outcome =
  | {
      readonly state: "committed";
      readonly plan: Plan;
      readonly isResumed: boolean;
      readonly head: Head;
      readonly totals: Totals;
    }
  /** Another worker committed this sequence first. `head` is what the others have reached by now. */
  | { readonly state: "lost"; readonly isResumed: boolean; readonly head: Head }
  /** The plan found is for a window that has not settled by our clock: it has to wait. */
  | { readonly state: "unsettled" };

/**
 * Exports one window in four steps. Their order is the safety argument:
 *
 * 1. plan: the plan is written before the first request, so that a window that is tried again, by any worker, is the same window.
 * 2. fetch, while 3. write: each batch is durable before the next is requested, so memory is bounded. Then the rest of the
 *    quarantine, then the ids file: only then are all ids known, and the manifest names the file.
 * 4. commit: the manifest is created when all that it names is durable. The worker that creates it first has committed the window.
 *    checkpoint.json comes last, because it may be wrong without harm.
 *
 * A crash between any two of these leaves files that no manifest names, and the next attempt reuses them.
 */
export async function exportWindow(run: Run, proposal: Plan, signal: AbortSignal): Promise<Outcome> {
  const planned = await atStage("plan", plan(run, proposal, signal));
  return planned.state === "planned" ? exportPlanned(run, planned, signal) : planned;
}

/** The steps after the plan. */
export async function exportPlanned(run: Run, planned: Planned, signal: AbortSignal): Promise<Outcome> {
  const fetched = eachAtStage("fetch", fetch(run, planned, signal));
  const written = await atStage("write", write(run, planned, fetched, signal));
  return atStage("commit", commit(run, planned, written, signal));
}

/** A window under way: its plan is in the ledger. */
export interface Planned {
  readonly state: "planned";
  readonly plan: Plan;
  /** The plan was found: another attempt, ours or another worker's, may have written objects. */
  readonly isResumed: boolean;
  /** Ids that the ledger has of the time that the plan reads. */
  readonly known: IdSet;
}

/** Writes the plan, or finds the one that is there: then that one is carried out. */
async function plan(
  { pipeline, now }: Run,
  proposal: Plan,
  signal: AbortSignal,
): Promise<Planned | Exclude<Outcome, { state: "committed" }>> {
  const { ledger, windows, observe } = pipeline;
  const { plan, found: isResumed } = await ledger.plan(proposal, signal);
  const [sequence, window] = [plan.seq, spanOf(plan)];
  const newHead = isResumed ? await ledger.overtaken(signal) : undefined;
  if (newHead !== undefined) {
    observe({ kind: "window.lost", sequence, window });
    return { state: "lost", isResumed, head: newHead };
  }
  // Another worker, whose clock is ahead of ours, may have planned it.
  if (!isSettled(plan, now, windows)) return { state: "unsettled" };
  if (isResumed) observe({ kind: "plan.adopted", sequence, window });
  observe({ kind: "window.started", type: plan.kind, sequence, window });
  // A repair's objects go beside the newest window's, so that keys only rise, in each folder and over all folders.
  const folder = plan.kind === "repair" ? (await ledger.head(signal)).windowFrom : undefined;
  return { state: "planned", plan: { ...plan, folder }, isResumed, known: await knownIds(ledger, plan, signal) };
}

async function knownIds(ledger: Ledger, plan: Plan, signal: AbortSignal): Promise<IdSet> {
  if (plan.kind === "repair") return (await ledger.idsOverlapping(plan, signal)).ids;
  return plan.since < plan.from ? ledger.idsSince(plan.since, signal) : idSet();
}

/** All that the source has of the plan's time, piece by piece in order of time. For a gap that is nothing. */
async function* fetch({ pipeline, now }: Run, { plan }: Planned, signal: AbortSignal): AsyncGenerator<Fetched> {
  if (plan.kind === "gap") return;
  const ahead = plan.kind === "repair" ? [] : readyWindows(plan.to, now, pipeline.windows);
  yield* pipeline.reader.read({ from: plan.since, to: plan.to }, ahead, signal);
}

/** What a window left in the sink, in quarantine and in the ledger's ids: all of it is durable. */
type Written = Pick<
  Draft,
  "events" | "late" | "lateness" | "keys" | "objects" | "delivered" | "missing" | "quarantine" | "ids"
>;

/** So many kinds of event, the most frequent ones, are counted in a manifest. */
const KINDS_IN_MANIFEST = 50;

/** Writes what is new of what was fetched: each event once, in order of time. Items that cannot be exported are quarantined. */
async function write(
  { pipeline, now, retainedFrom }: Run,
  { plan, isResumed, known }: Planned,
  fetched: AsyncIterable<Fetched>,
  signal: AbortSignal,
): Promise<Written> {
  const { sink, ledger, observe } = pipeline;
  const seenBefore = () => seenJustBefore(pipeline, plan, signal);
  const collected = collection({ plan, known, now, refusal: refusalOf(pipeline), seenBefore });
  const quarantine = quarantineFor(pipeline, plan, signal);
  const isReusing = isResumed && plan.kind !== "gap";
  const reused = isReusing ? await reuseObjects(pipeline, plan, collected, signal) : NOTHING_REUSED;
  const objects: StoredObject[] = [...reused.objects];
  let delivered = sink.nothing;
  const events = newEvents(fetched, collected.fresh, quarantine);
  for await (const batch of batches(events, plan, pipeline.batch, reused.nextPart)) {
    const receipt = await sink.write(batch, signal);
    if ("object" in receipt) {
      objects.push(receipt.object);
      const { key, bytes, lines } = receipt.object;
      observe({ kind: "object.written", sequence: plan.seq, key, bytes, lines });
    } else {
      delivered = receipt.delivered;
    }
  }
  // Asked after the fetch: what the source dropped meanwhile is missing.
  const missing = plan.kind === "window" ? missingBefore(spanOf(plan), retainedFrom()) : undefined;
  const quarantined = await quarantine.end();
  const ids = await ledger.writeIds(plan, collected.ids, signal);
  const { late, lateness, kinds } = collected;
  return {
    ...{ events: collected.events, late, objects, delivered, missing, quarantine: quarantined, ids },
    lateness: late > 0 ? lateness.counts() : undefined,
    keys: collected.events > 0 ? kinds.top(KINDS_IN_MANIFEST) : undefined,
  };
}

/** The new events of what was fetched. New items that are not events go to quarantine on the way. */
async function* newEvents(
  fetched: AsyncIterable<Fetched>,
  fresh: (fetched: Fetched) => Promise<Fetched>,
  quarantine: QuarantineWriter,
) {
  for await (const piece of fetched) {
    const { events, poison } = await fresh(piece);
    await quarantine.add(poison);
    yield events;
  }
}

/** Creates the manifest: with it the window is committed, by us or by the worker that was first. */
async function commit(
  { pipeline }: Run,
  { plan, isResumed }: Planned,
  written: Written,
  signal: AbortSignal,
): Promise<Outcome> {
  const { name, source, fingerprint, exporter, ledger, observe } = pipeline;
  const window = spanOf(plan);
  const draft: Draft = {
    ...{ stream: name, seq: plan.seq, kind: plan.kind, window, ...written },
    since: plan.since < plan.from ? plan.since : undefined,
    source: { type: source.identity.type, fingerprint, members: source.members },
    exporter,
  };
  const { won, head } = await ledger.commit(draft, signal);
  if (!won) {
    observe({ kind: "window.lost", sequence: plan.seq, window });
    return { state: "lost", isResumed, head };
  }
  const committed = committedOf(draft);
  observe({ kind: "window.committed", ...committed, sha256: head.sha256 ?? "" });
  const lost = lostSpan(committed);
  if (lost !== undefined) observe({ kind: "gap.found", sequence: plan.seq, window: lost });
  const { truncated = 0 } = written.delivered ?? {};
  if (truncated > 0) observe({ kind: "events.truncated", sequence: plan.seq, events: truncated });
  return { state: "committed", plan, isResumed, head, totals: totalsOf(committed) };
}

function spanOf({ from, to }: Span): Span {
  return { from, to };
}
