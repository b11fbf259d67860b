import type { ExporterError, TransientError } from "./errors.ts";
import type { EpochMs, Span } from "./time.ts";
import type { ManifestKind } from "./sink.ts";
import type { Committed } from "./totals.ts";

/**
 * Something that happened. Code says it once; the log, the metrics and the status fold over it, so that they cannot
 * disagree. Every fact of a stream carries the stream's name.
 */
export type Fact =
  | {
      readonly kind: "worker.started";
      readonly version: string;
      /** Where the configuration was read. */
      readonly config: string;
      readonly streams: readonly string[];
    }
  | { readonly kind: "worker.stopping"; readonly reason: string }
  | { readonly kind: "worker.stopped"; readonly exitCode: number }
  | { readonly kind: "notification.sent"; readonly notifier: Notifier; readonly what: string }
  | {
      readonly kind: "notification.failed";
      readonly notifier: Notifier;
      readonly what: string;
      readonly error: ExporterError;
    }
  | { readonly kind: "notification.dropped"; readonly notifier: Notifier; readonly what: string }
  | StreamFact;

export type Notifier = "webhook" | "pachca" | "heartbeat";
export type StreamFact = { readonly stream: string } & (
  | { readonly kind: "stream.started"; readonly schedule: string; readonly source: string; readonly sink: string }
  | { readonly kind: "stream.stopped"; readonly error: ExporterError }
  | {
      readonly kind: "head.found";
      readonly sequence: number;
      readonly sha256: string | null;
      readonly exportedUntil: EpochMs | undefined;
    }
  | { readonly kind: "checkpoint.rebuilt"; readonly reason: string; readonly sequence: number }
  | { readonly kind: "checkpoint.failed"; readonly error: unknown }
  | { readonly kind: "ids.rebuilt"; readonly sequence: number; readonly key: string; readonly reason: string }
  | { readonly kind: "settings.changed"; readonly before: string; readonly after: string }
  | { readonly kind: "plan.adopted"; readonly sequence: number; readonly window: Span }
  | { readonly kind: "object.taken"; readonly sequence: number; readonly key: string; readonly lines: number }
  | { readonly kind: "object.left"; readonly sequence: number; readonly key: string; readonly reason: string }
  | { readonly kind: "item.left"; readonly reason: string }
  | { readonly kind: "request.done"; readonly status: number; readonly durationMs: number; readonly bytes: number }
  | {
      readonly kind: "retrying";
      readonly stage: "fetch" | "store" | "write";
      readonly error: TransientError;
      readonly attempt: number;
      readonly delayMs: number;
    }
  | {
      readonly kind: "object.written";
      readonly sequence: number;
      readonly key: string;
      readonly bytes: number;
      readonly lines: number;
    }
  | {
      readonly kind: "window.started";
      readonly type: ManifestKind;
      readonly sequence: number;
      readonly window: Span;
    }
  | ({ readonly kind: "window.committed"; readonly sha256: string } & Committed)
  | {
      /** What was committed before this worker, or beside it, as the ledger tells it. */
      readonly kind: "past.read";
      readonly committed: readonly Committed[];
    }
  | { readonly kind: "past.failed"; readonly error: ExporterError }
  | {
      /** The source does not keep this span any more: it was stepped over, or is the older part of a window. */
      readonly kind: "gap.found";
      readonly sequence: number;
      readonly window: Span;
    }
  | {
      /** More than half of the source's retention has gone by since the stream's place. */
      readonly kind: "retention.near";
      readonly exportedUntil: EpochMs;
      readonly leftMs: number;
    }
  | {
      /** Events of a committed window were shortened to fit the sink's transport. */
      readonly kind: "events.truncated";
      readonly sequence: number;
      readonly events: number;
    }
  | {
      readonly kind: "items.quarantined";
      readonly sequence: number;
      readonly key: string;
      readonly lines: number;
      readonly reasons: readonly string[];
    }
  | {
      /** A past span of the source was compared with the ledger. */
      readonly kind: "reconciled";
      readonly span: Span;
      readonly source: number;
      readonly same: number;
      readonly missing: number;
      readonly missingIds: readonly string[];
      readonly extra: number;
    }
  | { readonly kind: "reconcile.failed"; readonly error: ExporterError }
  | { readonly kind: "window.lost"; readonly sequence: number; readonly window: Span }
  | {
      readonly kind: "tick.done";
      readonly windows: number;
      readonly events: number;
      readonly late: number;
      readonly quarantined: number;
      readonly gaps: number;
      readonly bytes: number;
      readonly durationMs: number;
      readonly exportedUntil: EpochMs | undefined;
      /** How far the source's clock is ahead of ours; undefined when it was not asked. */
      readonly clockOffsetMs?: number | undefined;
      /** The ledger's head, `sequence sha256`: an anchor outside of the archive. */
      readonly head: string;
    }
  | { readonly kind: "tick.failed"; readonly error: ExporterError; readonly durationMs: number }
);

export type Observe = (fact: Fact) => void;
/** Told of one stream's facts; the stream's name is added by whoever made it. */
export type ObserveStream = (fact: DistributiveOmit<StreamFact, "stream">) => void;

type DistributiveOmit<Type, Key extends PropertyKey> = Type extends unknown ? Omit<Type, Key> : never;
