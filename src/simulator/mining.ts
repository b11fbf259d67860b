import { epochMs, type EpochMs, type Span } from "../time.ts";
import { bearerOf, type Access, type Api, type Ask } from "./api.ts";
import { RETENTION_MS } from "./audit-log.ts";
import { AFTER_ALL, BEFORE_ALL, formatCursor, parseCursor } from "./cursor.ts";
import type { Dice, FaultOptions } from "./faults.ts";
import { isVisible, type Lateness } from "./lateness.ts";
import { rowOf, type Group } from "./mining-catalogue.ts";
import { lineOf, shownIn, type MiningEvent, type MiningHistory } from "./mining-history.ts";
import { parseMiningQuery, type MiningQuery } from "./mining-query.ts";
import { jsonBytes, miningError, type Reply } from "./replies.ts";
import type { Position } from "./timeline.ts";

export interface MiningOptions {
  readonly seed: number;
  /** The largest `limit`. */
  readonly pageLimit: number;
  readonly lateness: Lateness | undefined;
  /** The history begins here. Undefined: 90 days ago; the vendor does not say how long it keeps events. */
  readonly since: EpochMs | undefined;
  readonly until: EpochMs | undefined;
}

/** The audit log of UiPath Communications Mining over one history. */
export interface Mining extends Api {
  /** What an export must hold of the events that show a time in `span`, by that time and then by id; late and future ones too. */
  lines(span: Span, now: EpochMs): Iterable<Buffer>;
}

interface Page {
  readonly events: readonly MiningEvent[];
  /** What the next page goes on after: an event's id, and for a time the start of its cell. Undefined at the end. */
  readonly next: Position | undefined;
}

export function mining(
  history: MiningHistory,
  { seed, pageLimit, lateness, since, until }: MiningOptions,
  access: Readonly<Access>,
  faults: FaultOptions,
  dice: Dice,
): Mining {
  /** The part of `span` in which there is history, at an instant. */
  function kept({ from, to }: Span, now: EpochMs): Span {
    const floor = since ?? now - RETENTION_MS;
    return { from: epochMs(Math.max(from, floor)), to: epochMs(Math.min(to, until ?? to)) };
  }

  function pageOf({ span, limit, after }: MiningQuery, now: EpochMs): Page {
    const { from, to } = kept({ from: span.from, to: epochMs(Math.min(span.to, now + 1)) }, now);
    const events: MiningEvent[] = [];
    let next: Position | undefined;
    for (const cell of history.cells({ from: epochMs(Math.max(from, after?.time ?? from)), to })) {
      const isToCome = ({ time, id }: Position): boolean =>
        time >= from && time < to && (cell.startMs !== after?.time || id > after.id);
      const candidates = cell.events.filter((event) => isToCome(event) && isVisible(event, lateness, now));
      // By their ids, which are random, events come in no order of time: the vendor promises none.
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
    const { cursorSeconds } = faults;
    const isExpired = cursorSeconds !== undefined && (cursor?.issued ?? 0) < now - cursorSeconds * 1000;
    return isExpired ? undefined : cursor;
  }

  // The query itself is not recorded: whether the vendor does so is not documented.
  function query(body: Buffer, now: EpochMs): Reply {
    const asked = parseMiningQuery(body, { pageLimit, afterOf: (text) => afterOf(text, now) });
    if ("status" in asked) return asked;
    if (dice.strikes(faults.statusError)) return miningError(200, "the query could not be completed");
    const { events, next } = pageOf(asked, now);
    const end = dice.strikes(faults.cursorLoop) ? BEFORE_ALL : next;
    const issued = faults.cursorSeconds === undefined ? undefined : now;
    return jsonBytes(200, bodyOf(events, end && formatCursor({ ...end, direction: "next", issued }, seed)));
  }

  return {
    refuse: miningError,
    answer(ask: Ask, now) {
      if (bearerOf(ask) !== access.token) return miningError(401);
      if (ask.path !== "/audit_events/query") return miningError(404);
      if (ask.method !== "POST") return miningError(405);
      // The scope stands for the vendor's permission, so that one token opens both logs.
      if (!access.scopes.includes("audit_events:read")) {
        return miningError(403, "403 Forbidden: the permission 'Read audit logs' is missing");
      }
      return query(ask.body, now);
    },
    *lines(span, now) {
      const within = kept({ from: BEFORE_ALL.time, to: AFTER_ALL.time }, now);
      for (const event of shownIn(history, span, within)) yield lineOf(event);
    },
  };
}

/** The answer; its members stand in the order of the alphabet, as in the vendor's example. */
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

/** The rows that the page's events refer to. Only the list of tenants is there without any. */
function listOf(group: Group, events: readonly MiningEvent[]): string {
  const ids = new Set(events.flatMap(({ references }) => references[group]));
  const rows = [...ids].flatMap((id) => rowOf(group, id) ?? []);
  return rows.length === 0 && group !== "tenants" ? "" : `,"${group}":[${rows.join(",")}]`;
}
