import { epochMs, parseInstant, type EpochMs } from "../time.ts";
import type { Query } from "./audit-log.ts";
import { AFTER_ALL, BEFORE_ALL, parseCursor, type Cursor } from "./cursor.ts";
import { apiError, type Reply } from "./replies.ts";

export interface QueryRules {
  readonly seed: number;
  readonly pageLimit: number;
  readonly endInclusive: boolean;
  /** Cursors handed out before this are refused. */
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

/** Reads the query of `GET /audit_events`, or says what is wrong with it. Parameters that nobody knows are passed over. */
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
  return parseInstant(text) ?? apiError(400, name, text, "invalid", `${name} is not a date and time`);
}

function parseLimit(text: string | null, most: number): number | Reply {
  if (text === null) return Math.min(DEFAULT_LIMIT, most);
  const limit = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= most) return limit;
  return apiError(422, "limit", text, "inclusion", `limit must be a whole number from 1 to ${most}`);
}

function parseCursorParameter(text: string | null, rules: QueryRules): Cursor | Reply | undefined {
  if (text === null) return undefined;
  const cursor = parseCursor(text, rules.seed);
  if (cursor === undefined) return apiError(422, "cursor", text, "invalid", "Cursor is invalid");
  // Without an hour of issue it is from before cursors began to expire.
  if (rules.cursorsSince !== undefined && (cursor.issued ?? 0) < rules.cursorsSince) {
    return apiError(422, "cursor", text, "invalid", "Cursor has expired");
  }
  return cursor;
}
