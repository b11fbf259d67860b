import { batches } from "./batch.ts";
import { collection, newEvents, takeOver, type Collection } from "./collect.ts";
import { atStage } from "../errors.ts";
import { type ObserveStream } from "../fact.ts";
import type { Head } from "../ledger/head.ts";
import { idSet, type IdSet } from "../ledger/ids.ts";
import type { CommitOutcome, Draft, Ledger } from "../ledger/ledger.ts";
import { type Manifest, type QuarantineObject, committedOf } from "../ledger/manifest.ts";
import type { Receipt, Plan, StoredObject } from "../sink.ts";
import { epochMs, type EpochMs, type Span } from "../time.ts";
import {
  gapBefore,
  isSettled,
  lookbackStart,
  missingBefore,
  nextWindow,
  readyWindows,
  retentionFloor,
} from "./window.ts";
import type { Pipeline } from "./pipeline.ts";
import { addTotals, lostSpan, NO_TOTALS, totalsOf, type Committed, type Totals } from "../totals.ts";

/** What one tick came to. */
export interface TickResult extends Totals {
  readonly head: Head;
  /** How far the source's clock is ahead of ours; undefined when no window was due, and it was not asked. */
  readonly clockOffsetMs?: number;
}

/** So many kinds of event say what a window was made of. */
const KEYS_IN_MANIFEST = 50;

/**
 * THE LOOP: exports each window that is ready, one after another, and returns when none is left. A window is planned, written
 * down, then exported; its manifest is the commit point. Whatever is thrown, no window was committed past an event that is
 * not durable.
 *
 * @param clock our clock's time; the tick goes by the earlier of it and the source's
 * @param elapsedMs how long ago `clock` was read, by a clock that only moves forward: while a tick runs, the source forgets
 * @param stop when it aborts no further window is begun; between two windows is the best place to end
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
  let total = NO_TOTALS;
  if (nextWindow(head.exportedUntil ?? windows.start, clock, windows) === undefined) return { ...total, head };

  const clockOffsetMs = await atStage("fetch", source.clockOffsetMs(signal));
  // The earlier of the two clocks: what is past by both is past.
  const now = epochMs(clock + Math.min(clockOffsetMs, 0));
  const kept = (): EpochMs => retentionFloor(epochMs(now + elapsedMs()), source.retentionMs);
  warnOfRetention(pipeline, head, now);
  try {
    for (let isFirst = true; ;) {
      signal.throwIfAborted();
      if (stop.aborted) break;
      const proposal = propose(pipeline, head, now, kept(), isFirst);
      if (proposal === undefined) break;
      const { plan, found } = await atStage("plan", ledger.plan(proposal, signal));
      const theirs = found ? await atStage("plan", ledger.overtaken(signal)) : undefined;
      if (theirs !== undefined) {
        pipeline.observe({ kind: "window.lost", sequence: plan.seq, window: spanOf(plan) });
        head = theirs;
        continue;
      }
      // Somebody whose clock is ahead may have planned it: it is carried out when it has settled by ours.
      if (!isSettled(plan, now, windows)) break;
      const outcome = await carryOut(pipeline, plan, found, now, kept, signal);
      head = outcome.head;
      if (!found) isFirst = false;
      total = addTotals(total, outcome);
    }
  } finally {
    reader.close();
  }
  return { ...total, head, clockOffsetMs };
}

/** What comes next: the gap that the source does not keep any more, else the next window; undefined when none is ready. */
function propose(
  { windows, fingerprint }: Pipeline,
  head: Head,
  now: EpochMs,
  floor: EpochMs,
  isFirst: boolean,
): Plan | undefined {
  const from = head.exportedUntil ?? windows.start;
  const gap = gapBefore(from, floor, windows);
  if (gap !== undefined) return { seq: head.seq + 1, kind: "gap", ...gap, since: from, fingerprint };
  const window = nextWindow(from, now, windows);
  if (window === undefined) return undefined;
  const since = isFirst ? lookbackStart(from, windows) : from;
  return { seq: head.seq + 1, kind: "window", ...window, since, fingerprint };
}

/** From half of the retention on, a worker that does not come forward will lose events. */
function warnOfRetention({ source: { retentionMs }, windows, observe }: Pipeline, head: Head, now: EpochMs): void {
  const exportedUntil = head.exportedUntil ?? windows.start;
  const leftMs = retentionMs === undefined ? Infinity : exportedUntil + retentionMs - now;
  // What is gone already is told as a gap.
  if (retentionMs !== undefined && leftMs > 0 && leftMs < retentionMs / 2) {
    observe({ kind: "retention.near", exportedUntil, leftMs });
  }
}

/**
 * One plan: fetch, write, ids, manifest. A gap has nothing to fetch.
 * @param kept from where on the source still has all events, asked anew after the fetch: what it forgot meanwhile is missing
 */
export async function carryOut(
  pipeline: Pipeline,
  planned: Plan,
  found: boolean,
  now: EpochMs,
  kept: () => EpochMs,
  signal: AbortSignal,
): Promise<CommitOutcome & Totals> {
  const { ledger, source, observe } = pipeline;
  // A repair's objects lie with the newest window's, so that the keys of a folder, and of all folders, only rise.
  const folder = planned.kind === "repair" ? (await ledger.head(signal)).windowFrom : undefined;
  const plan: Plan = { ...planned, folder };
  const window = spanOf(plan);
  if (found) observe({ kind: "plan.adopted", sequence: plan.seq, window });
  observe({ kind: "window.started", type: plan.kind, sequence: plan.seq, window });
  const known = await atStage("plan", knownIds(ledger, plan, signal));
  const collected = collection({ plan, known, now });
  const written: Written = { objects: [], delivered: pipeline.sink.nothing, quarantine: [] };
  if (plan.kind !== "gap") await writeWindow(pipeline, plan, found, now, collected, written, signal);

  const { events, late } = collected;
  const missing = plan.kind === "window" ? missingBefore(window, kept()) : undefined;
  const draft: Draft = {
    ...{ stream: pipeline.name, seq: plan.seq, kind: plan.kind, window, events, late, ...written },
    since: plan.since < plan.from ? plan.since : undefined,
    lateness: late > 0 ? collected.lateness.counts() : undefined,
    keys: events > 0 ? collected.keys.top(KEYS_IN_MANIFEST) : undefined,
    missing,
    ids: await atStage("write", ledger.writeIds(plan, collected.ids, signal)),
    source: { type: source.identity.type, fingerprint: pipeline.fingerprint },
    exporter: pipeline.exporter,
  };
  const { won, head } = await atStage("commit", ledger.commit(draft, signal));
  if (!won) {
    observe({ kind: "window.lost", sequence: plan.seq, window });
    return { won, head, ...NO_TOTALS };
  }
  const committed = committedOf(draft);
  observeCommit(observe, committed, draft, head);
  return { won, head, ...totalsOf(committed) };
}

/** What the ledger has of the time that the plan asks for. */
async function knownIds(ledger: Ledger, plan: Plan, signal: AbortSignal): Promise<IdSet> {
  if (plan.kind === "repair") return (await ledger.idsOverlapping(plan, signal)).ids;
  return plan.since < plan.from ? ledger.idsSince(plan.since, signal) : idSet();
}

/** What a window leaves in the sink and in quarantine. */
interface Written {
  readonly objects: StoredObject[];
  delivered: Manifest["delivered"];
  readonly quarantine: QuarantineObject[];
}

async function writeWindow(
  pipeline: Pipeline,
  plan: Plan,
  found: boolean,
  now: EpochMs,
  collected: Collection,
  written: Written,
  signal: AbortSignal,
): Promise<void> {
  const { sink, observe, windows } = pipeline;
  const part = found ? await atStage("write", takeOver(sink, plan, collected, written.objects, observe, signal)) : 0;
  const ahead = plan.kind === "repair" ? [] : readyWindows(plan.to, now, windows);
  const fetched = newEvents(pipeline, plan, collected, written.quarantine, ahead, signal);
  for await (const batch of batches(fetched, plan, pipeline.batch, part)) {
    const receipt: Receipt = await atStage("write", sink.write(batch, signal));
    if ("object" in receipt) {
      written.objects.push(receipt.object);
      const { key, bytes, lines } = receipt.object;
      observe({ kind: "object.written", sequence: plan.seq, key, bytes, lines });
    } else {
      written.delivered = receipt.delivered;
    }
  }
}

function observeCommit(observe: ObserveStream, committed: Committed, { delivered }: Draft, head: Head): void {
  const { sequence } = committed;
  observe({ kind: "window.committed", ...committed, sha256: head.sha256 ?? "" });
  const gap = lostSpan(committed);
  if (gap !== undefined) observe({ kind: "gap.found", sequence, window: gap });
  const { truncated = 0 } = delivered ?? {};
  if (truncated > 0) observe({ kind: "events.truncated", sequence, events: truncated });
}

function spanOf({ from, to }: Span): Span {
  return { from, to };
}
