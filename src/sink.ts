import type { AuditEvent, Finding } from "./source.ts";
import type { Span, EpochMs } from "./time.ts";

/** What one write takes: events of one window, in order, read to their end before the next batch is requested. */
export interface Batch {
  readonly plan: Plan;
  /** Number of the batch in its window, from 0. */
  readonly part: number;
  readonly chunks: AsyncIterable<readonly AuditEvent[]>;
}

/** What a write left behind: an object, or a count of what was handed to a sink that keeps none. */
export type Receipt = { readonly object: StoredObject } | { readonly delivered: Delivered };

/** An object that a broken attempt left; `whole` when it can be told what is in it, to the last byte. */
export interface Leftover {
  readonly key: string;
  readonly part: number;
  readonly whole: { readonly object: StoredObject; readonly events: readonly AuditEvent[] } | undefined;
}

/** Where events go to. */
export interface Sink {
  /** Where this is, for people. */
  readonly place: string;

  /** What a window without events leaves in a sink without objects. */
  readonly nothing?: Delivered | undefined;

  /** Why an event can not be written there whole, as its policy wants it; such an event goes to quarantine instead. */
  refuses?(event: AuditEvent): string | undefined;

  /**
   * Writes the whole batch. Resolves only when it is durable there (or, where the transport cannot say, when all is handed
   * over: `acknowledged: false`). Written again after a crash, the same batch leaves the same object.
   */
  write(batch: Batch, signal: AbortSignal): Promise<Receipt>;

  /** The objects that a broken attempt at this plan left, rising by part. Sinks without objects have none. */
  leftovers(plan: Plan, signal: AbortSignal): AsyncIterable<Leftover>;

  /** The preflight. Findings, not exceptions. */
  check(signal: AbortSignal): AsyncIterable<Finding>;
}

/** `gap`: a span that the source no longer keeps. `repair`: what `reconcile` found missing in a past span. */
export type ManifestKind = "window" | "gap" | "repair";

/** Written before a window's first request, so that a window tried again, by whomever, is the same window. */
export interface Plan extends Span {
  readonly seq: number;
  readonly kind: ManifestKind;
  /** The window asks from here: `from` less the look-back. */
  readonly since: EpochMs;
  /** Whose settings made it; see `fingerprintOf`. */
  readonly fingerprint: string;
  /**
   * The instant that names its objects' folder, where that is not `from`: for a repair, the start of the newest window before
   * it. Not stored, because the chain before it contains it.
   */
  readonly folder?: EpochMs | undefined;
}

/** A file of lines as its manifest names it. */
export interface StoredLines {
  /** Relative to the stream's folder or prefix. */
  readonly key: string;
  /** Size as stored (gzip). */
  readonly bytes: number;
  /** Of the stored bytes, hex. */
  readonly sha256: string;
  readonly lines: number;
}

/** A data object. */
export interface StoredObject extends StoredLines {
  /** Of the uncompressed lines, hex. */
  readonly contentSha256: string;
  readonly contentBytes: number;
  /** Smallest and largest event time in it. */
  readonly first: EpochMs;
  readonly last: EpochMs;
}

/** What a sink without objects was given of a window so far. */
export interface Delivered {
  readonly lines: number;
  /** Of these, the events that were shortened to fit the transport; left out where none was. */
  readonly truncated?: number | undefined;
  readonly contentSha256: string;
  /** False where the transport cannot say whether it arrived. */
  readonly acknowledged: boolean;
}
