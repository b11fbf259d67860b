import type { EpochMs, Span } from "./time.ts";

/** Written before a window's first request, so that a window tried again, by whomever, is the same window. */
export interface Plan {
  readonly seq: number;
  readonly kind: ManifestKind;
  readonly from: EpochMs;
  readonly to: EpochMs;
  /** The window asks from here: `from` less the look-back. */
  readonly since: EpochMs;
  /** See `fingerprint` in ledger terms: whose settings made this plan. */
  readonly fingerprint: string;
}

/** `gap`: a span that the source no longer keeps. `repair`: what `reconcile` found missing in a past span. */
export type ManifestKind = "window" | "gap" | "repair";

/** A data object as its manifest names it. */
export interface StoredObject {
  /** Relative to the stream's folder or prefix. */
  readonly key: string;
  /** Size as stored (gzip). */
  readonly bytes: number;
  /** Of the stored bytes, hex. */
  readonly sha256: string;
  /** Of the uncompressed lines, hex. */
  readonly contentSha256: string;
  readonly contentBytes: number;
  readonly lines: number;
  /** Smallest and largest event time in it. */
  readonly first: EpochMs;
  readonly last: EpochMs;
}

/** What a sink without objects was given in a window so far. */
export interface Delivered {
  readonly lines: number;
  readonly contentSha256: string;
  /** False where the transport cannot say whether it arrived. */
  readonly acknowledged: boolean;
}

export interface Manifest {
  readonly stream: string;
  readonly seq: number;
  readonly kind: ManifestKind;
  readonly window: Span;
  readonly events: number;
  readonly late: number;
  readonly objects: readonly StoredObject[];
  readonly delivered?: Delivered | undefined;
}
