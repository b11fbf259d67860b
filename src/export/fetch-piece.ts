import type { AuditEvent, Poison, Source } from "../source.ts";
import type { Span } from "../time.ts";
import type { Seen, SpanLength } from "./span-length.ts";

const MIB = 1024 * 1024;

/** One instant cannot be cut. If it has more than this, it is read several times, and a part of it is kept each time. */
const INSTANT_BYTES_MAX = 32 * MIB;

/** What the source has for a span, in order of time; events of the same instant in order of their ids. */
export interface Fetched {
  readonly events: readonly AuditEvent[];
  readonly poison: readonly Poison[];
}

/** What to fetch. */
export interface Piece {
  readonly span: Span;
  /** Of one instant, only events after this one: those up to it were handed over before. */
  readonly after?: AuditEvent | undefined;
}

/** `last` is set if only a part of an instant was kept: it ends there. A piece that is "too long" is cut and fetched again. */
export type Outcome = (Fetched & { readonly last: AuditEvent | undefined }) | "too long";

/**
 * Fetches one piece, page by page, and sorts what it has.
 *
 * @param length learns from each page, and says when a piece is too long
 * @param onPage called after each page with the bytes of records held; the next page is requested when it resolves
 */
export async function fetchPiece(
  source: Source,
  { span, after }: Piece,
  length: SpanLength,
  onPage: (bytes: number) => Promise<void>,
  signal: AbortSignal,
): Promise<Outcome> {
  const isInstant = span.to - span.from === 1;
  const seen: Seen = { span, pages: 0, events: 0, bytes: 0, oldest: span.to };
  const poison: Poison[] = [];
  let events: AuditEvent[] = [];
  let last: AuditEvent | undefined;
  for await (const page of source.pages(span, signal)) {
    signal.throwIfAborted();
    const kept: AuditEvent[] = [];
    for (const event of page.events) {
      if (event.time < span.from || event.time >= span.to) continue;
      seen.oldest = Math.min(seen.oldest, event.time);
      if (after !== undefined && byTimeThenId(event, after) <= 0) continue;
      if (last !== undefined && byTimeThenId(event, last) > 0) continue;
      kept.push(event);
    }
    const isSparse = kept.length * 2 < page.events.length;
    for (const event of kept) events.push(isSparse ? copied(event) : event);
    // The first part of an instant comes with all of its poison.
    const pagePoison = after === undefined ? page.poison : [];
    for (const item of pagePoison) poison.push(item);
    seen.bytes += bytesOf(kept) + bytesOf(pagePoison);
    seen.pages++;
    seen.events = events.length;
    if (length.isTooLong(seen, page.events.length) && !isInstant) return "too long";
    if (isInstant && seen.bytes > INSTANT_BYTES_MAX) {
      events = events
        .sort(byTimeThenId)
        .slice(0, Math.ceil(events.length / 2))
        .map(copied);
      last = events.at(-1);
      seen.bytes = bytesOf(events) + bytesOf(poison);
    }
    await onPage(seen.bytes);
  }
  length.learn(seen);
  return { events: events.sort(byTimeThenId), poison, last };
}

/** A record is a view of its page's memory. A copy does not keep the rest of the page. */
function copied(event: AuditEvent): AuditEvent {
  return { ...event, record: Buffer.from(event.record) };
}

function bytesOf(items: readonly { readonly record: Buffer }[]): number {
  return items.reduce((sum, { record }) => sum + record.length, 0);
}

function byTimeThenId(one: AuditEvent, other: AuditEvent): number {
  return one.time - other.time || (one.id < other.id ? -1 : one.id > other.id ? 1 : 0);
}
