import { STATUS_CODES } from "node:http";
import { DAY_MS, epochMs, parseInstant, type EpochMs, type Span } from "../time.ts";
import { bearerOf, json, jsonBytes, type Access, type Api, type ApiRequest, type Reply } from "./api.ts";
import { rowOf, type Group } from "./communications-mining-catalogue.ts";
import { lineOf, shownIn, type MiningEvent, type MiningHistory } from "./communications-mining-history.ts";
import { AFTER_ALL, BEFORE_ALL, formatCursor, parseCursor } from "./cursor.ts";
import type { FaultInjector } from "./faults.ts";
import { isVisible, type Lateness, type Position } from "./timeline.ts";

/** The vendor does not say how long it keeps events. */
const RETENTION_MS = 90 * DAY_MS;

export interface MiningOptions {
  readonly seed: number;
  /** The largest `limit`. */
  readonly pageLimit: number;
  readonly lateness: Lateness | undefined;
  /** The start of the history. Default: 90 days ago. */
  readonly since: EpochMs | undefined;
  /** The end of the history, exclusive. Default: none. */
  readonly until: EpochMs | undefined;
}

/** The audit API of UiPath Communications Mining over one history. */
export interface CommunicationsMiningApi extends Api {
  /** The lines that an export of `span` must contain, by shown time and then by id, with late and future events. */
  lines(span: Span, now: EpochMs): Iterable<Buffer>;
}

interface Page {
  readonly events: readonly MiningEvent[];
  /** The next page begins after this: the id of an event, with the start of its cell as the time. Undefined at the end. */
  readonly next: Position | undefined;
}

export function communicationsMiningApi(
  history: MiningHistory,
  { seed, pageLimit, lateness, since, until }: MiningOptions,
  access: Readonly<Access>,
  faults: FaultInjector,
): CommunicationsMiningApi {
  /** The part of `span` in which there is history at `now`. */
  function kept({ from, to }: Span, now: EpochMs): Span {
    const floor = since ?? now - RETENTION_MS;
    return { from: epochMs(Math.max(from, floor)), to: epochMs(Math.min(to, until ?? to)) };
  }

  function pageOf({ span, limit, after }: MiningQuery, now: EpochMs): Page {
    const { from, to } = kept({ from: span.from, to: epochMs(Math.min(span.to, now + 1)) }, now);
    const events: MiningEvent[] = [];
    let next: Position | undefined;
    for (const cell of history.cells({ from: epochMs(Math.max(from, after?.time ?? from)), to })) {
      const isAhead = ({ time, id }: Position): boolean =>
        time >= from && time < to && (cell.startMs !== after?.time || id > after.id);
      const candidates = cell.events.filter((event) => isAhead(event) && isVisible(event, lateness, now));
      // Ordered by their random ids, events have no order of time: the vendor promises none.
      for (const event of candidates.sort((a, b) => (a.id < b.id ? -1 : 1))) {
        if (events.length === limit) return { events, next };
        events.push(event);
        next = { time: epochMs(cell.startMs), id: event.id };
      }
    }
    return { events, next: undefined };
  }

  function afterOf(continuation: string, now: EpochMs): Position | undefined {
    const cursor = parseCursor(continuation, seed);
    const { cursorSeconds } = faults.options;
    const isExpired = cursorSeconds !== undefined && (cursor?.issued ?? 0) < now - cursorSeconds * 1000;
    return isExpired ? undefined : cursor;
  }

  // A query adds no event to the log: the vendor does not document whether it does.
  function query(body: Buffer, now: EpochMs): Reply {
    const asked = parseMiningQuery(body, { pageLimit, afterOf: (text) => afterOf(text, now) });
    if ("status" in asked) return asked;
    if (faults.strikes(faults.options.statusError)) return miningError(200, "the query could not be completed");
    const { events, next } = pageOf(asked, now);
    const end = faults.strikes(faults.options.cursorLoop) ? BEFORE_ALL : next;
    const issued = faults.options.cursorSeconds === undefined ? undefined : now;
    return jsonBytes(200, bodyOf(events, end && formatCursor({ ...end, direction: "next", issued }, seed)));
  }

  return {
    refuse: miningError,
    answer(request: ApiRequest, now) {
      if (bearerOf(request) !== access.token) return miningError(401);
      if (request.path !== "/audit_events/query") return miningError(404);
      if (request.method !== "POST") return miningError(405);
      // The scope represents the vendor's permission, so that one token can read both logs.
      if (!access.scopes.includes("audit_events:read")) {
        return miningError(403, "403 Forbidden: the permission 'Read audit logs' is missing");
      }
      return query(request.body, now);
    },
    *lines(span, now) {
      const trueSpan = kept({ from: BEFORE_ALL.time, to: AFTER_ALL.time }, now);
      for (const event of shownIn(history, span, trueSpan)) yield lineOf(event);
    },
  };
}

/** The body of an answer. Its members are in alphabetical order, as in the vendor's example. */
function bodyOf(events: readonly MiningEvent[], continuation: string | undefined): Buffer {
  const parts: Buffer[] = [Buffer.from('{"audit_events":[')];
  for (const { record } of events) parts.push(record, COMMA);
  if (events.length > 0) parts.pop();
  let rest = "]";
  if (continuation !== undefined) rest += `,"continuation":${JSON.stringify(continuation)}`;
  for (const group of ["datasets", "projects", "sources"] as const) rest += listOf(group, events);
  rest += ',"status":"ok"';
  for (const group of ["tenants", "triggers", "users"] as const) rest += listOf(group, events);
  return Buffer.concat([...parts, Buffer.from(`${rest}}`)]);
}

const COMMA = Buffer.from(",");

/** The member with the resources of the page's events. Empty lists are left out, except for tenants. */
function listOf(group: Group, events: readonly MiningEvent[]): string {
  const ids = new Set(events.flatMap(({ references }) => references[group]));
  const rows = [...ids].flatMap((id) => rowOf(group, id) ?? []);
  return rows.length === 0 && group !== "tenants" ? "" : `,"${group}":[${rows.join(",")}]`;
}

/** `ErrorResponse` of the contract. The default message is the text of the status. */
function miningError(status: number, message = `${status} ${STATUS_CODES[status] ?? "Error"}`): Reply {
  return json(status, { status: "error", message });
}

/** A request for a page. */
interface MiningQuery {
  /** True times: from inclusive, to exclusive. */
  readonly span: Span;
  readonly limit: number;
  /** The end of the page before; undefined for the first page. */
  readonly after: Position | undefined;
}

interface MiningQueryRules {
  readonly pageLimit: number;
  /** The position of a continuation; undefined when it is invalid or expired. */
  readonly afterOf: (continuation: string) => Position | undefined;
}

type Members = Readonly<Record<string, unknown>>;

const DEFAULT_LIMIT = 128;

/** Parses the body of a query; returns an error reply when it is invalid. Unknown members are ignored. */
function parseMiningQuery(body: Buffer, { pageLimit, afterOf }: MiningQueryRules): MiningQuery | Reply {
  let asked: unknown;
  try {
    asked = JSON.parse(body.toString());
  } catch {
    return bad("the body is not JSON");
  }
  if (!isMembers(asked)) return bad("the body is not an object");
  const { limit = DEFAULT_LIMIT, continuation, filter = {} } = asked;
  if (!Number.isInteger(limit) || Number(limit) < 1 || Number(limit) > pageLimit) {
    return bad(`limit is not a whole number from 1 to ${pageLimit}`);
  }
  const timestamp = isMembers(filter) ? (filter["timestamp"] ?? {}) : undefined;
  if (!isMembers(timestamp)) return bad("filter.timestamp is not an object");
  const from = instant(timestamp, "minimum") ?? BEFORE_ALL.time;
  if (typeof from !== "number") return from;
  const to = instant(timestamp, "maximum") ?? AFTER_ALL.time;
  if (typeof to !== "number") return to;
  const after = typeof continuation === "string" ? afterOf(continuation) : undefined;
  if (continuation !== undefined && after === undefined) return bad("continuation is invalid or has expired");
  return { span: { from, to: epochMs(to) }, limit: Number(limit), after };
}

function instant(timestamp: Members, name: string): EpochMs | Reply | undefined {
  const text = timestamp[name];
  if (text === undefined) return undefined;
  const parsed = typeof text === "string" ? parseInstant(text) : undefined;
  return parsed ?? bad(`filter.timestamp.${name} is not a date and time`);
}

const isMembers = (value: unknown): value is Members =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const bad = (what: string): Reply => miningError(400, `400 Bad Request: ${what}`);
