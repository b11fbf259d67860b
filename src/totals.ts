import type { ManifestKind } from "./sink.ts";
import type { Span } from "./time.ts";

/** Number of events of each kind, by the source's name for it; the most frequent first. */
export type KindCounts = Readonly<Record<string, number>>;

/** How late events became visible: counts by upper bound (`5m`, …, `more`); empty buckets are left out. */
export type LatenessCounts = Readonly<Record<string, number>>;

/** What a committed window contains. */
export interface Committed {
  readonly type: ManifestKind;
  readonly sequence: number;
  readonly window: Span;
  readonly events: number;
  readonly late: number;
  readonly quarantined: number;
  readonly objects: number;
  readonly bytes: number;
  /** The part of the window that the source no longer kept. */
  readonly missing?: Span | undefined;
  readonly lateness?: LatenessCounts | undefined;
  /** The most frequent kinds of event. */
  readonly keys?: KindCounts | undefined;
}

/** Sums over committed windows. */
export interface Totals {
  readonly windows: number;
  readonly events: number;
  /** Events that became visible after their own window was exported. */
  readonly late: number;
  /** Quarantined items: items that are not events. */
  readonly quarantined: number;
  /** Windows of which the source no longer kept all or a part. */
  readonly gaps: number;
  /** Bytes as stored. */
  readonly bytes: number;
}

export const NO_TOTALS: Totals = { windows: 0, events: 0, late: 0, quarantined: 0, gaps: 0, bytes: 0 };

/** The totals of one window. */
export function totalsOf(committed: Committed): Totals {
  const { events, late, quarantined, bytes } = committed;
  return { windows: 1, events, late, quarantined, gaps: lostSpan(committed) === undefined ? 0 : 1, bytes };
}

export function addTotals(one: Totals, other: Totals): Totals {
  return {
    windows: one.windows + other.windows,
    events: one.events + other.events,
    late: one.late + other.late,
    quarantined: one.quarantined + other.quarantined,
    gaps: one.gaps + other.gaps,
    bytes: one.bytes + other.bytes,
  };
}

/** The span that the source no longer kept: all of a gap, a part of a window, usually undefined. */
export function lostSpan({ type, window, missing }: Pick<Committed, "type" | "window" | "missing">): Span | undefined {
  return type === "gap" ? window : missing;
}
