import { DAY_MS, epochMs, parseInstant, type EpochMs, type Span } from "../time.ts";
import type { Reply } from "./api.ts";
import { AFTER_ALL, BEFORE_ALL, parseCursor, type Cursor } from "./cursor.ts";
import { OWNER_ID } from "./pachca-catalogue.ts";
import { validationError } from "./pachca-errors.ts";
import { recordOf, type PachcaEvent, type PachcaHistory } from "./pachca-history.ts";
import type { Random } from "./random.ts";
import { comparePositions, isVisible, type Lateness, type Position } from "./timeline.ts";

export interface AuditLogOptions {
  readonly lateness: Lateness | undefined;
  /** The start of the history. Default: 90 days ago, Pachca's retention. */
  readonly since: EpochMs | undefined;
  /** The end of the history, exclusive. Default: none. */
  readonly until: EpochMs | undefined;
  /** After this many events that do not match, a page ends early and has a next one. */
  readonly scanMax: number;
}

/** A request for a page. */
export interface Query {
  readonly span: Span;
  /** Members that an event must have with exactly these values. */
  readonly filter: Partial<Record<"key" | "actorId" | "actorType" | "entityId" | "entityType", string>>;
  readonly limit: number;
  readonly cursor: Cursor | undefined;
}

/** A page: events, newest first, and the positions from which the pages before and after it continue. */
export interface Page {
  readonly events: readonly PachcaEvent[];
  readonly next: Position;
  readonly prev: Position;
  readonly hasNext: boolean;
  readonly hasPrev: boolean;
}

export interface AuditLog {
  /** The page as it is at `now`. */
  page(query: Query, now: EpochMs): Page;
  /** All events of `span`, oldest first, with late and future ones, and with the reads that are recorded so far. */
  events(span: Span, now: EpochMs): Iterable<PachcaEvent>;
  /** Adds the event for a read of the log. */
  recordRead(now: EpochMs, address: string, userAgent: string | undefined): void;
}

export const RETENTION_MS = 90 * DAY_MS;

/** When there are more recorded reads, the oldest are dropped. */
const READS_MAX = 1_000_000;

/** The log keeps this many characters of a user agent. */
const USER_AGENT_MAX = 255;

/** The audit log of one workspace: its history, and the reads of the log. */
export function auditLog(history: PachcaHistory, options: AuditLogOptions, random: Random): AuditLog {
  const { since, until } = options;
  const reads = recordedReads(random);

  /** The part of `span` in which there is history at `now`. */
  function kept({ from, to }: Span, now: EpochMs): Span {
    const floor = since ?? now - RETENTION_MS;
    return { from: epochMs(Math.max(from, floor)), to: epochMs(Math.min(to, until ?? to)) };
  }

  function oldestFirst(span: Span, now: EpochMs): Iterable<PachcaEvent> {
    return merged(history.events(kept(span, now)), reads.in(span), comparePositions);
  }

  function newestFirst(span: Span, now: EpochMs): Iterable<PachcaEvent> {
    const later = (a: Position, b: Position): number => comparePositions(b, a);
    return merged(history.eventsBackwards(kept(span, now)), reads.in(span).reverse(), later);
  }

  function page(query: Query, now: EpochMs): Page {
    const { cursor } = query;
    const span: Span = { from: query.span.from, to: epochMs(Math.min(query.span.to, now + 1)) };
    const isShown = (event: PachcaEvent): boolean =>
      isVisible(event, options.lateness, now) && matches(event, query.filter);
    const limits = { limit: query.limit, scanMax: options.scanMax };
    if (cursor?.direction === "prev") {
      const newer = oldestFirst({ from: epochMs(Math.max(span.from, cursor.time)), to: span.to }, now);
      const { found, more, reached } = scan(newer, (e) => comparePositions(e, cursor) > 0 && isShown(e), limits);
      return {
        events: found.reverse(),
        next: found.at(-1) ?? cursor,
        prev: reached ?? cursor,
        hasNext: cursor.id !== BEFORE_ALL.id,
        hasPrev: more,
      };
    }
    const anchor = cursor ?? AFTER_ALL;
    const older = newestFirst({ from: span.from, to: epochMs(Math.min(span.to, anchor.time + 1)) }, now);
    const { found, more, reached } = scan(older, (e) => comparePositions(e, anchor) < 0 && isShown(e), limits);
    const empty = cursor ?? BEFORE_ALL;
    return {
      events: found,
      next: reached ?? empty,
      prev: found[0] ?? empty,
      hasNext: more,
      hasPrev: cursor !== undefined,
    };
  }

  return { page, events: oldestFirst, recordRead: (now, address, userAgent) => reads.add(now, address, userAgent) };
}

interface Scanned {
  readonly found: PachcaEvent[];
  readonly more: boolean;
  /** The last event that the page covers; undefined when it covers none. */
  readonly reached: PachcaEvent | undefined;
}

/** The first `limit` events that are shown, and whether there are more. It stops after `scanMax` events that are not shown. */
function scan(
  events: Iterable<PachcaEvent>,
  isShown: (event: PachcaEvent) => boolean,
  { limit, scanMax }: { readonly limit: number; readonly scanMax: number },
): Scanned {
  const found: PachcaEvent[] = [];
  let skipped = 0;
  for (const event of events) {
    if (!isShown(event)) {
      if (++skipped >= scanMax) return { found, more: true, reached: event };
      continue;
    }
    if (found.length === limit) return { found, more: true, reached: found.at(-1) };
    found.push(event);
  }
  return { found, more: false, reached: found.at(-1) };
}

/** The events that reading the log has added to it, oldest first. */
function recordedReads(random: Random) {
  const reads: PachcaEvent[] = [];
  return {
    in({ from, to }: Span): PachcaEvent[] {
      const start = firstNotBefore(reads, from);
      return start === reads.length ? [] : reads.slice(start, firstNotBefore(reads, to));
    },
    add(now: EpochMs, address: string, userAgent: string | undefined): void {
      reads.push(readEvent(random.uuid(), now, address, userAgent));
      // The clock may have been set back, and two reads may have the same millisecond.
      for (let place = reads.length - 1; place > 0; place--) {
        const [before, after] = [reads[place - 1], reads[place]] as [PachcaEvent, PachcaEvent];
        if (comparePositions(before, after) < 0) break;
        [reads[place - 1], reads[place]] = [after, before];
      }
      if (reads.length > READS_MAX) reads.splice(0, READS_MAX / 10);
    },
  };
}

function readEvent(id: string, time: EpochMs, address: string, userAgent: string | undefined): PachcaEvent {
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
    // Generated on demand: there are many reads, and most are never exported.
    get record() {
      return Buffer.from(
        recordOf(fields, `"details":{},"ip_address":${JSON.stringify(address)},"user_agent":${agent}`),
      );
    },
  };
}

function matches(event: PachcaEvent, filter: Query["filter"]): boolean {
  for (const name in filter) {
    const member = name as keyof Query["filter"];
    if (event[member] !== filter[member]) return false;
  }
  return true;
}

/** The index of the first event at or after `time`; `events` are in order of time. */
function firstNotBefore(events: readonly PachcaEvent[], time: EpochMs): number {
  let [low, high] = [0, events.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((events[middle] as PachcaEvent).time < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Merges two sorted sequences. */
function* merged(
  many: Iterable<PachcaEvent>,
  few: readonly PachcaEvent[],
  compare: (a: Position, b: Position) => number,
): Generator<PachcaEvent> {
  let place = 0;
  for (const event of many) {
    for (let other = few[place]; other !== undefined && compare(other, event) < 0; other = few[++place]) yield other;
    yield event;
  }
  yield* few.slice(place);
}

export interface QueryRules {
  readonly seed: number;
  readonly pageLimit: number;
  readonly endInclusive: boolean;
  /** Cursors that were issued before this are refused. */
  readonly cursorsSince: EpochMs | undefined;
}

const DEFAULT_LIMIT = 50;

const FILTERS = {
  event_key: "key",
  actor_id: "actorId",
  actor_type: "actorType",
  entity_id: "entityId",
  entity_type: "entityType",
} as const;

/** Parses the query of `GET /audit_events`; returns an error reply when it is invalid. Unknown parameters are ignored. */
export function parseQuery(search: URLSearchParams, rules: QueryRules): Query | Reply {
  const from = instant(search, "start_time") ?? BEFORE_ALL.time;
  if (typeof from !== "number") return from;
  const end = instant(search, "end_time") ?? AFTER_ALL.time;
  if (typeof end !== "number") return end;
  const limit = parseLimit(search.get("limit"), rules.pageLimit);
  if (typeof limit !== "number") return limit;
  const cursor = parseCursorParameter(search.get("cursor"), rules);
  if (cursor !== undefined && "status" in cursor) return cursor;

  const filter: Record<string, string> = {};
  for (const [parameter, member] of Object.entries(FILTERS)) {
    const value = search.get(parameter);
    if (value !== null) filter[member] = value;
  }
  return { span: { from, to: rules.endInclusive ? epochMs(end + 1) : end }, filter, limit, cursor };
}

function instant(search: URLSearchParams, name: string): EpochMs | Reply | undefined {
  const text = search.get(name);
  if (text === null) return undefined;
  return parseInstant(text) ?? validationError(400, name, text, "invalid", `${name} is not a date and time`);
}

function parseLimit(text: string | null, most: number): number | Reply {
  if (text === null) return Math.min(DEFAULT_LIMIT, most);
  const limit = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= most) return limit;
  return validationError(422, "limit", text, "inclusion", `limit must be a whole number from 1 to ${most}`);
}

function parseCursorParameter(text: string | null, rules: QueryRules): Cursor | Reply | undefined {
  if (text === null) return undefined;
  const cursor = parseCursor(text, rules.seed);
  if (cursor === undefined) return validationError(422, "cursor", text, "invalid", "Cursor is invalid");
  // A cursor without a time of issue is from before cursors began to expire.
  if (rules.cursorsSince !== undefined && (cursor.issued ?? 0) < rules.cursorsSince) {
    return validationError(422, "cursor", text, "invalid", "Cursor has expired");
  }
  return cursor;
}
