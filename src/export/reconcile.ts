import { TransientError } from "../errors.ts";
import { carryOut } from "./tick.ts";
import { idSet, ID_BYTES, type IdSet } from "../ledger/ids.ts";
import { epochMs, formatSpan, HOUR_MS, SECOND_MS, type EpochMs, type Span } from "../time.ts";
import { isSettled, retentionFloor } from "./window.ts";
import type { Plan } from "../sink.ts";
import type { Pipeline } from "./pipeline.ts";

/** Ids of what is missing or extra that a report shows, each. */
const SHOWN_MAX = 20;

/** A past span of the source against the ledger. An item counts once; those in quarantine are items too. */
export interface Reconciliation {
  /** What was compared: less than what was asked for where the ledger or the source's retention does not reach. */
  readonly span: Span;
  /** Items that the source has. */
  readonly source: number;
  /** Those of them that the ledger has too. */
  readonly same: number;
  readonly missing: number;
  /** The first of the missing, by their ids. */
  readonly missingIds: readonly string[];
  /** Items that the ledger has and the source does not show any more. */
  readonly extra: number;
  /** Packed ids, hex, of the first of the extra. */
  readonly extraIds: readonly string[];
}

/**
 * Asks the source again for a past span and compares ids with the ledger. Holds 32 bytes in memory for each item on either side:
 * a million a day take about 64 MB for each day.
 *
 * @returns undefined when nothing of the span is exported yet, or kept by the source
 */
export async function reconcile(
  { ledger, source, reader }: Pipeline,
  asked: Span,
  now: EpochMs,
  signal: AbortSignal,
  onProgress: (until: EpochMs, items: number) => void = () => undefined,
): Promise<Reconciliation | undefined> {
  const { exportedUntil } = await ledger.head(signal);
  const floor = Math.ceil(retentionFloor(now, source.retentionMs) / SECOND_MS) * SECOND_MS;
  const within: Span = {
    from: epochMs(Math.max(asked.from, floor)),
    to: epochMs(Math.min(asked.to, exportedUntil ?? -Infinity)),
  };
  if (within.from >= within.to) return undefined;

  const { ids: inLedger, reach, begins = within.to } = await ledger.idsOverlapping(within, signal);
  // Before the stream's first window nothing was ever to be exported.
  const span: Span = { from: epochMs(Math.max(within.from, begins)), to: within.to };
  if (span.from >= span.to) return undefined;
  const inSource = idSet();
  const counts = { source: 0, same: 0 };
  const missingIds: string[] = [];
  const judge = (id: string | Buffer, time: EpochMs | undefined): void => {
    if (!inSource.add(id) || (time !== undefined && (time < span.from || time >= span.to))) return;
    counts.source++;
    if (inLedger.has(id)) counts.same++;
    else if (missingIds.length < SHOWN_MAX) missingIds.push(typeof id === "string" ? id : `sha256 of its bytes`);
  };
  // As far as the windows reach that may hold events of the span: else what lies beside it would look extra.
  const hull: Span = {
    from: epochMs(Math.max(Math.min(reach.from, span.from), floor, begins)),
    to: epochMs(Math.max(reach.to, span.to)),
  };
  try {
    for (const part of hoursOf(hull)) {
      for await (const { events, poison } of reader.read(part, hoursOf({ from: part.to, to: hull.to }), signal)) {
        for (const { id, time } of events) judge(id, time);
        for (const { id, time, record } of poison) judge(id ?? record, time);
      }
      onProgress(part.to, counts.source);
    }
  } finally {
    reader.close();
  }
  // Where the retention cut the reading short, nobody can say what is extra.
  const extra = hull.from <= Math.max(reach.from, begins) ? onlyInFirst(inLedger, inSource) : { count: 0, shown: [] };
  return {
    ...{ span, ...counts, missing: counts.source - counts.same, missingIds },
    extra: extra.count,
    extraIds: extra.shown,
  };
}

/**
 * Exports what a past span is missing: plans a `repair` at the next sequence, which any worker can carry out, and carries it
 * out. Nothing that is there is rewritten. Resolves with the number of items that were added, those put
 * aside among them.
 */
export async function repair(
  pipeline: Pipeline,
  { from, to }: Span,
  now: EpochMs,
  signal: AbortSignal,
): Promise<number> {
  const { ledger, fingerprint, windows, source } = pipeline;
  const floor = retentionFloor(now, source.retentionMs);
  try {
    for (;;) {
      const { seq } = await ledger.head(signal);
      const ours: Plan = { seq: seq + 1, kind: "repair", from, to, since: from, fingerprint };
      const { plan, found } = await ledger.plan(ours, signal);
      if (found && (await ledger.overtaken(signal)) !== undefined) continue;
      // Somebody planned a window here and did not finish: it comes first, as for any worker.
      if (!isSettled(plan, now, windows)) {
        throw new TransientError(
          "unavailable",
          `repair ${formatSpan(ours)}: another worker's window comes first, and has not settled`,
        );
      }
      const { won, events, quarantined } = await carryOut(pipeline, plan, found, now, () => floor, signal);
      if (won && plan.kind === "repair" && plan.from === from && plan.to === to) return events + quarantined;
    }
  } finally {
    pipeline.reader.close();
  }
}

/** The span hour by hour: what the reading ahead is told of. */
export function* hoursOf({ from, to }: Span): Generator<Span> {
  for (let start: EpochMs = from; start < to;) {
    const end = epochMs(Math.min(to, (Math.floor(start / HOUR_MS) + 1) * HOUR_MS));
    yield { from: start, to: end };
    start = end;
  }
}

/** The ids of the first set that the other lacks. */
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
