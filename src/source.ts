import type { Vocabulary } from "./vocabulary.ts";
import { epochMs, type EpochMs, type InstantFormat, type Span } from "./time.ts";

/** An event, as the source's API returned it. */
export interface AuditEvent {
  /** The source's own id of the event. Events with the same id are the same event everywhere in this program. */
  readonly id: string;
  /** When it happened, by the source's clock. Truncated to milliseconds. */
  readonly time: EpochMs;
  /** The kind of event, as the source names it (`user_login`). Unknown kinds are exported like others. */
  readonly key: string;
  /** The JSON of the event as received, byte for byte except white space between tokens: one line, without a newline. */
  readonly record: Buffer;
}

/** An item that cannot be exported as an event, with the reason and its bytes as received. */
export interface Poison {
  readonly reason: string;
  readonly record: Buffer;
  /** If they can be read in spite of the reason. */
  readonly id?: string | undefined;
  readonly time?: EpochMs | undefined;
}

/** One page of the API. */
export interface Page {
  readonly events: readonly AuditEvent[];
  readonly poison: readonly Poison[];
}

/** One result of a preflight. `hint` says what to do if it is not ok. */
export interface Finding {
  readonly state: "ok" | "warning" | "failed";
  readonly what: string;
  readonly hint?: string | undefined;
  /** The error, if its class determines the exit code. */
  readonly error?: unknown;
}

/** Identifies a source in a ledger. Never contains the token. */
export interface SourceIdentity {
  readonly type: string;
  readonly baseUrl: string;
  readonly account: string;
}

/**
 * Where a record has its id, time and kind: in the first member of each list that is present and not null. Plain JSON: an
 * archive can include it, so that its lines can be read without the source's definition.
 *
 * A path is member names joined by dots, as in `actor.id`. A number is an index of an array, as in `target.0.id`. A dot inside a
 * name is written `\.`.
 */
export interface EventMembers {
  /** `integer`: a JSON integer. Its digits as sent are the id. */
  readonly id: readonly { readonly path: string; readonly format: "text" | "integer" }[];
  /** `content`: a record without these members has the SHA-256 of its bytes, in hex, as its id. Default: it is poison. */
  readonly idElse?: "content" | undefined;
  readonly time: readonly { readonly path: string; readonly format: InstantFormat }[];
  readonly kind: readonly string[];
}

/** Where events come from: one account of one vendor. These methods hide the differences between vendors. */
export interface Source {
  readonly identity: SourceIdentity;
  /** Which events of the log are exported (filter, own-reads policy), as JSON. Part of the fingerprint. */
  readonly selection: unknown;
  /** How long the vendor keeps events, in milliseconds; undefined if unknown. */
  readonly retentionMs: number | undefined;
  /** The members with a record's id, time and kind. */
  readonly members: EventMembers;
  /** The meaning of its events. */
  readonly vocabulary: Vocabulary;

  /**
   * All events of `span`, page by page. Each request is retried by the retry policy. May yield events outside the span
   * (requests extend it a little) and the same event twice (pages shift). The caller drops both. Ends normally only when the
   * source has confirmed that there are no more pages.
   *
   * @throws ProtocolError when an answer is not as documented, or the cursor repeats
   * @throws TransientError when all retries have failed
   * @throws RefusedError when the API refuses a request
   */
  pages(span: Span, signal: AbortSignal): AsyncIterable<Page>;

  /** Parses one record, as the API sends it or as it is in a line of the `raw` format. */
  read(record: Buffer): AuditEvent | Poison;

  /**
   * How far the source's clock is ahead of ours, in milliseconds (negative: behind), by its last `Date` header. Sends a
   * request if there is no recent one. Resolution: one second.
   */
  clockOffsetMs(signal: AbortSignal): Promise<number>;

  /** The preflight: connection, token and permission. Problems are findings, not exceptions. */
  check(signal: AbortSignal): AsyncIterable<Finding>;
}

export function isPoison(item: AuditEvent | Poison): item is Poison {
  return "reason" in item;
}

/** The earlier of two clocks: ours, which shows `clock`, and the source's. */
export async function earlierClock(source: Source, clock: EpochMs, signal: AbortSignal): Promise<EpochMs> {
  return epochMs(clock + Math.min(await source.clockOffsetMs(signal), 0));
}
