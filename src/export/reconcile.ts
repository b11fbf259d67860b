import { TransientError } from "../errors.ts";
import { idSet, ID_BYTES, type IdSet } from "../ledger/ids.ts";
import { epochMs, formatSpan, HOUR_MS, SECOND_MS, type EpochMs, type Span } from "../time.ts";
import { retentionFloor } from "./window.ts";
import type { Plan } from "../sink.ts";
import type { Pipeline, Run } from "./pipeline.ts";
import { exportWindow } from "./tick.ts";

/** So many ids at most are shown of what is missing, and of what is extra. */
const SHOWN_MAX = 20;

/** A past span of the source, compared with the ledger. Each item counts once, including those in quarantine. */
export interface Reconciliation {
  /** What was compared: less than requested where the ledger or the source's retention does not reach. */
  readonly span: Span;
  /** Items that the source has. */
  readonly source: number;
  /** Those of them that the ledger has too. */
  readonly same: number;
  readonly missing: number;
  /** Ids of the first missing items. */
  readonly missingIds: readonly string[];
  /** Items that the ledger has and the source no longer shows. */
  readonly extra: number;
  /** Packed ids, in hex, of the first extra items. */
  readonly extraIds: readonly string[];
}

/**
 * Reads a past span of the source again and compares its ids with the ledger. Holds 32 bytes in memory for each item on either
 * side: with a million items a day, about 64 MB for each day.
 *
 * @param requested the span to compare
 * @param onProgress called after each hour with the instant reached and the items compared so far
 * @returns undefined if nothing of the span is exported yet, or if the source no longer keeps any of it
 */
export async function reconcile(
  { ledger, source, reader }: Pipeline,
  requested: Span,
  now: EpochMs,
  signal: AbortSignal,
  onProgress: (until: EpochMs, items: number) => void = () => undefined,
): Promise<Reconciliation | undefined> {
  const { exportedUntil } = await ledger.head(signal);
  const floor = Math.ceil(retentionFloor(now, source.retentionMs) / SECOND_MS) * SECOND_MS;
  const comparable: Span = {
    from: epochMs(Math.max(requested.from, floor)),
    to: epochMs(Math.min(requested.to, exportedUntil ?? -Infinity)),
  };
  if (comparable.from >= comparable.to) return undefined;

  const { ids: inLedger, reach, begins = comparable.to } = await ledger.idsOverlapping(comparable, signal);
  // Nothing before the stream's first window was meant to be exported.
  const span: Span = { from: epochMs(Math.max(comparable.from, begins)), to: comparable.to };
  if (span.from >= span.to) return undefined;
  const inSource = idSet();
  const counts = { source: 0, same: 0 };
  const missingIds: string[] = [];
  const compare = (id: string | Buffer, time: EpochMs | undefined): void => {
    if (!inSource.add(id) || (time !== undefined && (time < span.from || time >= span.to))) return;
    counts.source++;
    if (inLedger.has(id)) counts.same++;
    else if (missingIds.length < SHOWN_MAX) missingIds.push(typeof id === "string" ? id : `sha256 of its bytes`);
  };
  // Read all that windows with events of the span may hold, or what they hold beside the span would look extra.
  const hull: Span = {
    from: epochMs(Math.max(Math.min(reach.from, span.from), floor, begins)),
    to: epochMs(Math.max(reach.to, span.to)),
  };
  try {
    for (const part of hoursOf(hull)) {
      for await (const { events, poison } of reader.read(part, hoursOf({ from: part.to, to: hull.to }), signal)) {
        for (const { id, time } of events) compare(id, time);
        for (const { id, time, record } of poison) compare(id ?? record, time);
      }
      onProgress(part.to, counts.source);
    }
  } finally {
    reader.close();
  }
  // If the retention cuts the read short, what is extra cannot be known.
  const extra = hull.from <= Math.max(reach.from, begins) ? onlyInFirst(inLedger, inSource) : { count: 0, shown: [] };
  return {
    ...{ span, ...counts, missing: counts.source - counts.same, missingIds },
    extra: extra.count,
    extraIds: extra.shown,
  };
}

/**
 * Exports what is missing of a past span: plans a `repair` at the next sequence, which any worker can carry out, and carries it
 * out. Nothing that exists is rewritten. Resolves with the number of items added, including those in quarantine.
 *
 * @throws TransientError if another worker's window has the next sequence and has not settled yet
 */
export async function repair(
  pipeline: Pipeline,
  { from, to }: Span,
  now: EpochMs,
  signal: AbortSignal,
): Promise<number> {
  const { ledger, fingerprint, source } = pipeline;
  const retainedFrom = retentionFloor(now, source.retentionMs);
  const run: Run = { pipeline, now, retainedFrom: () => retainedFrom };
  try {
    for (;;) {
      const { seq } = await ledger.head(signal);
      const proposal: Plan = { seq: seq + 1, kind: "repair", from, to, since: from, fingerprint };
      // A window that was planned here and not finished comes first, as for any worker.
      const outcome = await exportWindow(run, proposal, signal);
      if (outcome.state === "unsettled") {
        throw new TransientError(
          "unavailable",
          `repair ${formatSpan(proposal)}: another worker's window comes first, and has not settled`,
        );
      }
      if (outcome.state === "lost") continue;
      const { plan, totals } = outcome;
      if (plan.kind === "repair" && plan.from === from && plan.to === to) return totals.events + totals.quarantined;
    }
  } finally {
    pipeline.reader.close();
  }
}

/** The parts of a span, hour by hour: what the reader is given to read ahead. */
export function* hoursOf({ from, to }: Span): Generator<Span> {
  for (let start: EpochMs = from; start < to;) {
    const end = epochMs(Math.min(to, (Math.floor(start / HOUR_MS) + 1) * HOUR_MS));
    yield { from: start, to: end };
    start = end;
  }
}

/** The ids that are in the first set and not in the other: how many, and the first of them in hex. */
function onlyInFirst(first: IdSet, other: IdSet): { count: number; shown: string[] } {
  const [ones, others] = [first.sorted(), other.sorted()];
  const shown: string[] = [];
  let count = 0;
  for (let at = 0, beside = 0; at < ones.length; at += ID_BYTES) {
    const id = ones.subarray(at, at + ID_BYTES);
    while (beside < others.length && others.compare(id, 0, ID_BYTES, beside, beside + ID_BYTES) < 0) beside += ID_BYTES;
    if (beside < others.length && others.compare(id, 0, ID_BYTES, beside, beside + ID_BYTES) === 0) continue;
    count++;
    if (shown.length < SHOWN_MAX) shown.push(id.toString("hex"));
  }
  return { count, shown };
}
