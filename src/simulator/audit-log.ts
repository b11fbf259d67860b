import { DAY_MS, epochMs, type EpochMs, type Span } from "../time.ts";
import { AFTER_ALL, BEFORE_ALL, type Cursor } from "./cursor.ts";
import { recordOf, type History, type HistoryEvent } from "./history.ts";
import { isVisible, type Lateness } from "./lateness.ts";
import { OWNER_ID } from "./organisation.ts";
import type { Random } from "./random.ts";
import { comparePositions, type Position } from "./timeline.ts";

export interface AuditLogOptions {
  readonly lateness: Lateness | undefined;
  /** The history begins here. Undefined: where the retention of 90 days ends. */
  readonly since: EpochMs | undefined;
  readonly until: EpochMs | undefined;
  /** Events looked at for one page at most; when a filter leaves none of so many, the page is short and has a next one. */
  readonly scanMax: number;
}

/** What a request asks for. */
export interface Query {
  readonly span: Span;
  /** Members of an event that must be equal. */
  readonly filter: Partial<Record<"key" | "actorId" | "actorType" | "entityId" | "entityType", string>>;
  readonly limit: number;
  readonly cursor: Cursor | undefined;
}

/** What it gets: events newest first, and where the pages beside it begin. */
export interface Answer {
  readonly events: readonly HistoryEvent[];
  readonly next: Position;
  readonly prev: Position;
  readonly hasNext: boolean;
  readonly hasPrev: boolean;
}

export interface AuditLog {
  /** One page, as an API whose clock shows `now` sees it. */
  page(query: Query, now: EpochMs): Answer;
  /** All of `span`, oldest first, late and future ones too; reads as far as recorded. */
  events(span: Span, now: EpochMs): Iterable<HistoryEvent>;
  /** Reading the log is an event of the log. */
  recordRead(now: EpochMs, address: string, userAgent: string | undefined): void;
}

export const RETENTION_MS = 90 * DAY_MS;

/** Recorded reads; beyond, the oldest go. */
const READS_MAX = 1_000_000;

/** How many characters of a user agent the log keeps. */
const USER_AGENT_MAX = 255;

/** The log of one workspace: its history, and who read it. */
export function auditLog(
  history: History,
  { lateness, since, until, scanMax }: AuditLogOptions,
  random: Random,
): AuditLog {
  const reads: HistoryEvent[] = [];

  /** The part of `span` in which there is history, at an instant. */
  function kept({ from, to }: Span, now: EpochMs): Span {
    const floor = since ?? now - RETENTION_MS;
    return { from: epochMs(Math.max(from, floor)), to: epochMs(Math.min(to, until ?? to)) };
  }

  function oldestFirst(span: Span, now: EpochMs): Iterable<HistoryEvent> {
    return merged(history.events(kept(span, now)), readsOf(span), comparePositions);
  }

  function newestFirst(span: Span, now: EpochMs): Iterable<HistoryEvent> {
    const later = (a: Position, b: Position): number => comparePositions(b, a);
    return merged(history.eventsBackwards(kept(span, now)), readsOf(span).reverse(), later);
  }

  function readsOf({ from, to }: Span): HistoryEvent[] {
    const start = firstNotBefore(reads, from);
    return start === reads.length ? [] : reads.slice(start, firstNotBefore(reads, to));
  }

  /** The matching events on one side of `anchor`, nearest first: at most `limit`, whether there are more, how far we saw. */
  function scan(candidates: Iterable<HistoryEvent>, query: Query, now: EpochMs, isPast: (event: Position) => boolean) {
    const found: HistoryEvent[] = [];
    let seen = 0;
    for (const event of candidates) {
      if (!isPast(event) || !isVisible(event, lateness, now) || !matches(event, query.filter)) {
        if (++seen >= scanMax) return { found, more: true, reached: event };
        continue;
      }
      if (found.length === query.limit) return { found, more: true, reached: found.at(-1) };
      found.push(event);
    }
    return { found, more: false, reached: found.at(-1) };
  }

  function page(query: Query, now: EpochMs): Answer {
    const { cursor } = query;
    const span: Span = { from: query.span.from, to: epochMs(Math.min(query.span.to, now + 1)) };
    if (cursor?.direction === "prev") {
      const newer = { from: epochMs(Math.max(span.from, cursor.time)), to: span.to };
      const { found, more, reached } = scan(
        oldestFirst(newer, now),
        query,
        now,
        (e) => comparePositions(e, cursor) > 0,
      );
      return {
        events: found.reverse(),
        next: found.at(-1) ?? cursor,
        prev: reached ?? cursor,
        hasNext: cursor.id !== BEFORE_ALL.id,
        hasPrev: more,
      };
    }
    const anchor = cursor ?? AFTER_ALL;
    const older = { from: span.from, to: epochMs(Math.min(span.to, anchor.time + 1)) };
    const { found, more, reached } = scan(newestFirst(older, now), query, now, (e) => comparePositions(e, anchor) < 0);
    const empty = cursor ?? BEFORE_ALL;
    return {
      events: found,
      next: reached ?? empty,
      prev: found[0] ?? empty,
      hasNext: more,
      hasPrev: cursor !== undefined,
    };
  }

  return {
    page,
    events: oldestFirst,
    recordRead(now, address, userAgent) {
      reads.push(readEvent(random.uuid(), now, address, userAgent));
      // The clock may have been set back, and two reads may share a millisecond.
      for (let place = reads.length - 1; place > 0; place--) {
        const [before, after] = [reads[place - 1], reads[place]] as [HistoryEvent, HistoryEvent];
        if (comparePositions(before, after) < 0) break;
        [reads[place - 1], reads[place]] = [after, before];
      }
      if (reads.length > READS_MAX) reads.splice(0, READS_MAX / 10);
    },
  };
}

function readEvent(id: string, time: EpochMs, address: string, userAgent: string | undefined): HistoryEvent {
  const owner = String(OWNER_ID);
  const fields = {
    time,
    id,
    key: "audit_events_accessed",
    actorId: owner,
    actorType: "User",
    entityId: owner,
    entityType: "User",
  };
  const agent = userAgent === undefined ? "null" : JSON.stringify(userAgent.slice(0, USER_AGENT_MAX));
  return {
    ...fields,
    // Made when it is asked for: most reads never are, and there are many.
    get record() {
      return Buffer.from(
        recordOf(fields, `"details":{},"ip_address":${JSON.stringify(address)},"user_agent":${agent}`),
      );
    },
  };
}

function matches(event: HistoryEvent, filter: Query["filter"]): boolean {
  for (const name in filter) {
    const member = name as keyof Query["filter"];
    if (event[member] !== filter[member]) return false;
  }
  return true;
}

/** The place of the first event of `events`, which rise in time, at or after `time`. */
function firstNotBefore(events: readonly HistoryEvent[], time: EpochMs): number {
  let [low, high] = [0, events.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((events[middle] as HistoryEvent).time < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Two sequences in order, as one. */
function* merged(
  many: Iterable<HistoryEvent>,
  few: readonly HistoryEvent[],
  compare: (a: Position, b: Position) => number,
): Generator<HistoryEvent> {
  let place = 0;
  for (const event of many) {
    for (let other = few[place]; other !== undefined && compare(other, event) < 0; other = few[++place]) yield other;
    yield event;
  }
  yield* few.slice(place);
}
