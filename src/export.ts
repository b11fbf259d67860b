import { batches, type BatchLimits } from "./batch.ts";
import { ExporterError, ProtocolError, type Stage } from "./errors.ts";
import type { ObserveStream } from "./fact.ts";
import type { Head } from "./head.ts";
import { idSet, type IdSet } from "./ids.ts";
import type { Ledger } from "./ledger.ts";
import type { Delivered, Manifest, Plan, StoredObject } from "./manifest.ts";
import type { ReadAhead } from "./readahead.ts";
import type { Sink } from "./sink.ts";
import type { AuditEvent, Poison, Source } from "./source.ts";
import { epochMs, formatInstant, formatSpan, type EpochMs } from "./time.ts";
import { isSettled, lookbackStart, nextWindow, readyWindows, type WindowPolicy } from "./window.ts";

/** All that one stream is made of. */
export interface Pipeline {
  readonly name: string;
  readonly source: Source;
  /** The same source, read ahead of the loop. */
  readonly reader: ReadAhead;
  readonly sink: Sink;
  readonly ledger: Ledger;
  readonly windows: WindowPolicy;
  readonly batch: BatchLimits;
  readonly fingerprint: string;
  readonly exporter: { readonly name: string; readonly version: string };
  readonly observe: ObserveStream;
}

/** What one tick came to. */
export interface TickResult {
  readonly windows: number;
  readonly events: number;
  readonly bytes: number;
  readonly head: Head;
}

/**
 * THE LOOP: exports each window that is ready, one after another, and returns when none is left. A window is planned, written
 * down, then exported; its manifest is the commit point. Whatever is thrown, no window was committed past an event that is
 * not durable.
 *
 * @param clock our clock's time; the tick goes by the earlier of it and the source's
 */
export async function tick(pipeline: Pipeline, clock: EpochMs, signal: AbortSignal): Promise<TickResult> {
  const { ledger, source, windows, reader } = pipeline;
  let head = await atStage("plan", ledger.head(signal));
  const total = { windows: 0, events: 0, bytes: 0 };
  if (nextWindow(head.exportedUntil ?? windows.start, clock, windows) === undefined) return { ...total, head };

  const offsetMs = await atStage("fetch", source.clockOffsetMs(signal));
  const now = epochMs(clock + Math.min(offsetMs, 0));
  try {
    for (let isFirst = true; ;) {
      signal.throwIfAborted();
      const from = head.exportedUntil ?? windows.start;
      const window = nextWindow(from, now, windows);
      if (window === undefined) break;
      const { fingerprint } = pipeline;
      const since = isFirst ? lookbackStart(from, windows) : from;
      const proposal: Plan = { seq: head.seq + 1, kind: "window", ...window, since, fingerprint };
      const { plan, found } = await atStage("plan", ledger.plan(proposal, signal));
      const theirs = found ? await atStage("plan", ledger.overtaken(signal)) : undefined;
      if (theirs !== undefined) {
        pipeline.observe({ kind: "window.lost", sequence: plan.seq, window: { from: plan.from, to: plan.to } });
        head = theirs;
        continue;
      }
      // Somebody whose clock is ahead may have planned it: it is carried out when it has settled by ours.
      if (!isSettled(plan, now, windows)) break;
      const outcome = await exportWindow(pipeline, plan, found, now, signal);
      head = outcome.head;
      if (!found) isFirst = false;
      total.windows += outcome.won ? 1 : 0;
      total.events += outcome.won ? outcome.events : 0;
      total.bytes += outcome.won ? outcome.bytes : 0;
    }
  } finally {
    reader.close();
  }
  return { ...total, head };
}

/** One window: fetch, write, ids, manifest. */
async function exportWindow(
  pipeline: Pipeline,
  plan: Plan,
  found: boolean,
  now: EpochMs,
  signal: AbortSignal,
): Promise<{ won: boolean; head: Head; events: number; bytes: number }> {
  const { ledger, sink, observe, windows } = pipeline;
  const window = { from: plan.from, to: plan.to };
  const known = plan.since < plan.from ? await atStage("plan", ledger.idsSince(plan.since, signal)) : idSet();
  const tally: Tally = { ids: idSet(), late: 0 };
  const objects: StoredObject[] = [];
  let delivered: Delivered | undefined;
  let part = 0;
  if (found) {
    observe({ kind: "plan.adopted", sequence: plan.seq, window });
    part = await atStage("write", takeOver(pipeline, plan, known, tally, objects, signal));
  }
  const fetched = newEvents(pipeline, plan, known, tally, readyWindows(plan.to, now, windows), signal);
  for await (const batch of batches(fetched, plan, pipeline.batch, part)) {
    const receipt = await atStage("write", sink.write(batch, signal));
    if ("object" in receipt) {
      const { object } = receipt;
      objects.push(object);
      observe({
        kind: "object.written",
        sequence: plan.seq,
        key: object.key,
        bytes: object.bytes,
        lines: object.lines,
      });
    } else {
      delivered = receipt.delivered;
    }
  }
  const draft: Omit<Manifest, "prev"> = {
    stream: pipeline.name,
    seq: plan.seq,
    kind: plan.kind,
    window,
    events: tally.ids.size,
    late: tally.late,
    objects,
    delivered,
    ids: await atStage("write", ledger.writeIds(plan, tally.ids, signal)),
    source: { type: pipeline.source.identity.type, fingerprint: pipeline.fingerprint },
    exporter: pipeline.exporter,
  };
  const { won, head } = await atStage("commit", ledger.commit(draft, signal));
  const bytes = objects.reduce((sum, object) => sum + object.bytes, 0);
  const outcome = { won, head, events: draft.events, bytes };
  if (won) {
    const { events, late } = draft;
    const sha256 = head.sha256 ?? "";
    observe({
      kind: "window.committed",
      sequence: plan.seq,
      window,
      events,
      late,
      objects: objects.length,
      bytes,
      sha256,
    });
  } else {
    observe({ kind: "window.lost", sequence: plan.seq, window });
  }
  return outcome;
}

/** What a window has so far: the ids of its events, and how many of them are older than it. */
interface Tally {
  readonly ids: IdSet;
  late: number;
}

/**
 * Takes over what a broken attempt at this plan left: each whole object whose events lie in the plan and are neither in the
 * ledger nor in an object already taken. Only what is in none of them is written again, so that no reader of the folder
 * sees an event twice. Returns the number of the next part.
 */
async function takeOver(
  { sink, observe }: Pipeline,
  plan: Plan,
  known: IdSet,
  tally: Tally,
  objects: StoredObject[],
  signal: AbortSignal,
): Promise<number> {
  let nextPart = 0;
  for await (const { key, part, whole } of sink.leftovers(plan, signal)) {
    nextPart = part + 1;
    const reason = whole === undefined ? "it is not whole" : whyNotOurs(whole.events, plan, known, tally.ids);
    if (whole === undefined || reason !== undefined) {
      observe({ kind: "object.left", sequence: plan.seq, key, reason: reason ?? "" });
      continue;
    }
    for (const event of whole.events) count(event, plan, tally);
    objects.push(whole.object);
    observe({ kind: "object.taken", sequence: plan.seq, key, lines: whole.object.lines });
  }
  return nextPart;
}

function whyNotOurs(events: readonly AuditEvent[], plan: Plan, known: IdSet, taken: IdSet): string | undefined {
  const own = idSet();
  for (const { id, time } of events) {
    if (time < plan.since || time >= plan.to) return "it holds an event outside of the plan";
    if (known.has(id)) return "it holds an event that an earlier manifest names";
    if (taken.has(id) || !own.add(id)) return "it holds an event twice, or one that another object holds";
  }
  return undefined;
}

/** Counts the event, unless it was counted before: false. */
function count({ id, time }: AuditEvent, plan: Plan, tally: Tally): boolean {
  if (!tally.ids.add(id)) return false;
  if (time < plan.from) tally.late++;
  return true;
}

/** The events of the plan that the ledger does not know, each once, in order of time. */
async function* newEvents(
  { name, reader }: Pipeline,
  plan: Plan,
  known: IdSet,
  tally: Tally,
  ahead: Iterable<{ from: EpochMs; to: EpochMs }>,
  signal: AbortSignal,
): AsyncGenerator<readonly AuditEvent[]> {
  const fetching = reader.read({ from: plan.since, to: plan.to }, ahead, signal);
  try {
    for (;;) {
      const next = await atStage("fetch", fetching.next());
      if (next.done === true) return;
      const { events, poison } = next.value;
      if (poison[0] !== undefined) throw cannotExport(name, plan, poison[0]);
      yield events.filter((event) => !known.has(event.id) && count(event, plan, tally));
    }
  } finally {
    await fetching.return(undefined);
  }
}

function cannotExport(name: string, plan: Plan, { reason }: Poison): ProtocolError {
  const error = new ProtocolError(`fetch ${formatSpan(plan)} of ${name}: an item cannot be exported: ${reason}`, {
    hint: `the stream stays before ${formatInstant(plan.from)} until the source mends the item`,
  });
  error.stage = "fetch";
  return error;
}

/** Says on the way out where in the tick an error was met. */
export async function atStage<Result>(stage: Stage, work: Promise<Result>): Promise<Result> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof ExporterError) error.stage ??= stage;
    throw error;
  }
}
