import type { Vocabulary } from "./vocabulary.ts";
import { epochMs, type EpochMs, type InstantFormat, type Span } from "./time.ts";

/** What happened, as the source's API showed it. */
export interface AuditEvent {
  /** The source's own id of the event: what "the same event" means everywhere in this program. */
  readonly id: string;
  /** When it happened, by the source's clock; finer fractions than a millisecond are cut. */
  readonly time: EpochMs;
  /** The kind of event, in the source's words (`user_login`). Kinds not known to us pass through. */
  readonly key: string;
  /** The JSON of the event as received, byte for byte but for white space between tokens: one line, no newline. */
  readonly record: Buffer;
}

/** An item that cannot be exported as an event, with the reason and its bytes as received. */
export interface Poison {
  readonly reason: string;
  readonly record: Buffer;
  /** Where they can be read in spite of the reason. */
  readonly id?: string | undefined;
  readonly time?: EpochMs | undefined;
}

/** One answer of the API. */
export interface Page {
  readonly events: readonly AuditEvent[];
  readonly poison: readonly Poison[];
}

/** One line of a preflight. `hint` says what to do when it is not well. */
export interface Finding {
  readonly state: "ok" | "warning" | "failed";
  readonly what: string;
  readonly hint?: string | undefined;
  /** What failed, where the exit code is to say its class. */
  readonly error?: unknown;
}

/** What tells one source from another in a ledger. Never holds the token. */
export interface SourceIdentity {
  readonly type: string;
  readonly baseUrl: string;
  readonly account: string;
}

/**
 * Where a record has what makes it an event: of each list, the first member that is there and not null. Plain JSON: an archive
 * can hold it, so that its lines can be read without knowing the source.
 *
 * A path is member names joined by dots, `actor.id`, where a number counts elements of an array, `target.0.id`, and a dot
 * inside a name is written `\.`.
 */
export interface EventMembers {
  /** `integer`: a JSON integer, whose digits as sent are the id. */
  readonly id: readonly { readonly path: string; readonly format: "text" | "integer" }[];
  /** The id of a record that has none of these members: the SHA-256 of its bytes in hex. Without it such a record is poison. */
  readonly idElse?: "content" | undefined;
  readonly time: readonly { readonly path: string; readonly format: InstantFormat }[];
  readonly kind: readonly string[];
}

/** Where events come from. One account of one vendor; its habits stay behind these methods. */
export interface Source {
  readonly identity: SourceIdentity;
  /** What was asked for within the log (filter, own-reads policy), as JSON. Part of the fingerprint. */
  readonly selection: unknown;
  /** How long the vendor keeps events, in milliseconds; undefined where nobody says. */
  readonly retentionMs: number | undefined;
  /** Where its records have their id, time and kind. */
  readonly members: EventMembers;
  /** What its events mean. */
  readonly vocabulary: Vocabulary;

  /**
   * All events of `span`, page by page, each request retried as the policy says. May yield events outside the span (the
   * bounds are asked with slack) and the same event twice (pages shift); whoever reads keeps what is in the span, once.
   * Ends normally only when the source has said that there is no more.
   *
   * @throws ProtocolError when an answer is not what the contract says, or the cursor does not advance
   * @throws TransientError when retries are used up
   * @throws RefusedError when the API says no
   */
  pages(span: Span, signal: AbortSignal): AsyncIterable<Page>;

  /** Reads one record as the API sends it, or as a line of the `raw` format holds it. */
  read(record: Buffer): AuditEvent | Poison;

  /**
   * How far the source's clock is ahead of ours, in milliseconds (negative: behind), by its last `Date` header; asks
   * the source when it has not answered anything yet. Resolution one second.
   */
  clockOffsetMs(signal: AbortSignal): Promise<number>;

  /** The preflight: token, scope, owner, reach. Findings, not exceptions. */
  check(signal: AbortSignal): AsyncIterable<Finding>;
}

export function isPoison(item: AuditEvent | Poison): item is Poison {
  return "reason" in item;
}

/** The earlier of our clock, which shows `clock`, and the source's: what is past by both is past. */
export async function earlierClock(source: Source, clock: EpochMs, signal: AbortSignal): Promise<EpochMs> {
  return epochMs(clock + Math.min(await source.clockOffsetMs(signal), 0));
}
