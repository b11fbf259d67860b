import type { AuditEvent, Finding } from "./source.ts";
import type { Delivered, Plan, StoredObject } from "./manifest.ts";

/** What one write takes: events of one window, in order, read to their end before the next batch is asked for. */
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
