import type { ManifestKind } from "./sink.ts";
import type { Span } from "./time.ts";

/** How many events there were of each kind, by the source's words for it; the most frequent first. */
export type KeyCounts = Readonly<Record<string, number>>;

/** How late events became visible: counts by upper bound (`5m`, …, `more`), empty buckets left out. */
export type LatenessCounts = Readonly<Record<string, number>>;

/** What a committed window came to. */
export interface Committed {
  readonly type: ManifestKind;
  readonly sequence: number;
  readonly window: Span;
  readonly events: number;
  readonly late: number;
  readonly quarantined: number;
  readonly objects: number;
  readonly bytes: number;
  /** The part of the window that the source did not keep any more. */
  readonly missing?: Span | undefined;
  readonly lateness?: LatenessCounts | undefined;
  /** The most frequent kinds of event. */
  readonly keys?: KeyCounts | undefined;
}
