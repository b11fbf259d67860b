import { epochMs, type EpochMs, type Span } from "../time.ts";
import { bearerOf, type Access, type Api, type Ask } from "./api.ts";
import { auditLog, type Query } from "./audit-log.ts";
import { AFTER_ALL, formatCursor, type Cursor } from "./cursor.ts";
import { itemOf, type Dice, type FaultOptions, type Item } from "./faults.ts";
import type { History } from "./history.ts";
import type { Lateness } from "./lateness.ts";
import { OWNER_ID } from "./organisation.ts";
import { parseQuery } from "./query.ts";
import type { Random } from "./random.ts";
import { apiError, html, json, jsonBytes, oauthError, type Reply } from "./replies.ts";
import type { Position } from "./timeline.ts";

export interface PachcaOptions {
  readonly seed: number;
  readonly pageLimit: number;
  readonly recordReads: boolean;
  readonly contract: "current" | "old";
  readonly endInclusive: boolean;
  readonly lateness: Lateness | undefined;
  readonly since: EpochMs | undefined;
  readonly until: EpochMs | undefined;
}

/** A filter that finds nothing must not keep the server silent: after about half a second a short page is answered. */
const SCAN_MAX = 50_000;

/** Pachca's API over one history. */
export interface Pachca extends Api {
  /** What the log holds of `span` as it is sent, oldest first. */
  items(span: Span, now: EpochMs): Iterable<Item>;
  /** The bodies of `POST /messages` so far. */
  readonly messages: readonly unknown[];
}

export function pachca(
  history: History,
  options: PachcaOptions,
  access: Readonly<Access>,
  faults: FaultOptions,
  dice: Dice,
  random: Random,
): Pachca {
  // Before it had `has_next`, an answer without data was the end: it must not come early.
  const scanMax = options.contract === "old" ? Infinity : SCAN_MAX;
  const log = auditLog(history, { ...options, scanMax }, random);
  const messages: unknown[] = [];
  const tokenCreated = "2026-01-15T10:30:00.000Z";
  let lastUsed: EpochMs | undefined;

  function auditEvents(ask: Ask, now: EpochMs): Reply {
    const refusal = needs(access, "audit_events:read");
    if (refusal !== undefined) return refusal;
    const { cursorSeconds } = faults;
    const cursorsSince = cursorSeconds === undefined ? undefined : epochMs(now - cursorSeconds * 1000);
    const query = parseQuery(ask.search, { ...options, cursorsSince });
    if ("status" in query) return query;
    const page = pageOf(query, now);
    if (options.recordReads) log.recordRead(now, ask.address, ask.userAgent);
    return jsonBytes(200, page);
  }

  function pageOf(query: Query, now: EpochMs): Buffer {
    const answer = log.page(query, now);
    const issued = faults.cursorSeconds === undefined ? undefined : now;
    const cursor = ({ time, id }: Position, direction: Cursor["direction"]): string =>
      formatCursor({ time, id, direction, issued }, options.seed);
    const loops = dice.strikes(faults.cursorLoop);
    const next = cursor(loops ? AFTER_ALL : answer.next, "next");
    const paginate =
      options.contract === "old"
        ? { next_page: next }
        : {
            next_page: next,
            prev_page: cursor(answer.prev, "prev"),
            has_next: loops || answer.hasNext,
            has_prev: answer.hasPrev,
          };
    const parts: Buffer[] = [];
    const events =
      faults.outOfOrder === true ? answer.events.toSorted((a, b) => (a.id < b.id ? -1 : 1)) : answer.events;
    for (const event of events) parts.push(parts.length === 0 ? START : COMMA, itemOf(event, faults).record);
    if (parts.length === 0) parts.push(START);
    return Buffer.concat([...parts, Buffer.from(`],"meta":${JSON.stringify({ paginate })}}`)]);
  }

  function tokenInfo(): Reply {
    return json(200, {
      data: {
        id: 4827,
        token: `${access.token.slice(0, 8)}...${access.token.slice(-4)}`,
        name: "SIEM export",
        user_id: OWNER_ID,
        scopes: access.scopes,
        created_at: tokenCreated,
        revoked_at: null,
        expires_in: null,
        last_used_at: lastUsed === undefined ? null : new Date(lastUsed).toISOString(),
      },
    });
  }

  function route(ask: Ask, now: EpochMs): Reply {
    switch (`${ask.method} ${ask.path}`) {
      case "GET /audit_events":
        return auditEvents(ask, now);
      case "GET /oauth/token/info":
        return tokenInfo();
      case "POST /messages": {
        const refusal = needs(access, "messages:create");
        return refusal ?? createMessage(ask.body, messages, now);
      }
      default:
        return apiError(404, "base", null, "not_found", "Not found");
    }
  }

  return {
    messages,
    refuse,
    answer(ask, now) {
      const stranger = unauthorized(ask, access.token);
      if (stranger !== undefined) return stranger;
      const reply = route(ask, now);
      lastUsed = now;
      return reply;
    },
    *items(span, now) {
      for (const event of log.events(span, now)) yield itemOf(event, faults);
    },
  };
}

const START = Buffer.from('{"data":[');
const COMMA = Buffer.from(",");

function refuse(status: number): Reply {
  switch (status) {
    case 402:
      return apiError(402, "base", null, "payment_required", "Payment required");
    case 413:
      return apiError(413, "base", null, "too_long", "The body is too long");
    case 429:
      return apiError(429, "base", null, "rate_limit", "Rate limit reached");
    default:
      return html(status);
  }
}

function unauthorized(ask: Ask, token: string): Reply | undefined {
  const given = bearerOf(ask);
  if (given === undefined) return oauthError(401, "invalid_token", "Access token is missing");
  return given === token ? undefined : oauthError(401, "invalid_token", "Access token is invalid or has been revoked");
}

function needs({ scopes }: Readonly<Access>, scope: string): Reply | undefined {
  if (scopes.includes(scope)) return undefined;
  return oauthError(403, "insufficient_scope", `The access token has insufficient scope. Required: ${scope}`);
}

const ENTITY_TYPES = ["discussion", "thread", "user"];

/** `POST /messages`: 201 with the message, which is added to `messages` as it came. */
function createMessage(body: Buffer, messages: unknown[], now: EpochMs): Reply {
  let asked: unknown;
  try {
    asked = JSON.parse(body.toString());
  } catch {
    return apiError(400, "base", null, "wrong_params", "The body is not JSON");
  }
  const message: unknown = (asked as { message?: unknown } | null)?.message;
  if (typeof message !== "object" || message === null) return blank("message");
  const { entity_type = "discussion", entity_id, content } = message as Partial<Record<string, unknown>>;
  if (typeof entity_type !== "string" || !ENTITY_TYPES.includes(entity_type.toLowerCase())) {
    return apiError(400, "entity_type", String(entity_type), "invalid", "entity_type is not in the list");
  }
  if (!Number.isInteger(entity_id)) return blank("entity_id");
  if (typeof content !== "string" || content === "") return blank("content");
  messages.push(asked);
  const id = 194_274 + messages.length;
  const createdAt = new Date(now).toISOString();
  return json(201, {
    data: {
      id,
      entity_type: entity_type.toLowerCase(),
      entity_id,
      chat_id: entity_id,
      root_chat_id: entity_id,
      content,
      user_id: OWNER_ID,
      created_at: createdAt,
      url: `https://app.pachca.com/chats/${String(entity_id)}?message=${id}`,
      files: [],
      voice_content: null,
      buttons: null,
      thread: null,
      forwarding: null,
      parent_message_id: null,
      changed_at: createdAt,
      deleted_at: null,
    },
  });
}

const blank = (key: string): Reply => apiError(422, key, null, "blank", `${key} cannot be blank`);
