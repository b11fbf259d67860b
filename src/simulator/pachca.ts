import { epochMs, type EpochMs, type Span } from "../time.ts";
import { bearerOf, html, json, jsonBytes, type Access, type Api, type ApiRequest, type Reply } from "./api.ts";
import { AFTER_ALL, formatCursor, type Cursor } from "./cursor.ts";
import { itemOf, type FaultInjector, type Item } from "./faults.ts";
import { auditLog, parseQuery, type Page } from "./pachca-audit-log.ts";
import { OWNER_ID } from "./pachca-catalogue.ts";
import { oauthError, validationError } from "./pachca-errors.ts";
import type { PachcaHistory } from "./pachca-history.ts";
import type { Random } from "./random.ts";
import type { Lateness, Position } from "./timeline.ts";

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

/** When a filter finds nothing, a short page is answered after about half a second, so that the client does not wait longer. */
const SCAN_MAX = 50_000;

/** The API of Pachca over one history. */
export interface PachcaApi extends Api {
  /** The items of `span` as the log sends them, oldest first. */
  items(span: Span, now: EpochMs): Iterable<Item>;
  /** The accepted bodies of `POST /messages` so far. */
  readonly messages: readonly unknown[];
}

export function pachcaApi(
  history: PachcaHistory,
  options: PachcaOptions,
  access: Readonly<Access>,
  faults: FaultInjector,
  random: Random,
): PachcaApi {
  // Before there was `has_next`, an answer without data was the end: a page must not be empty before the end.
  const scanMax = options.contract === "old" ? Infinity : SCAN_MAX;
  const log = auditLog(history, { ...options, scanMax }, random);
  const messages: unknown[] = [];
  let lastUsed: EpochMs | undefined;

  function auditEvents(request: ApiRequest, now: EpochMs): Reply {
    const refusal = missingScope(access, "audit_events:read");
    if (refusal !== undefined) return refusal;
    const { cursorSeconds } = faults.options;
    const cursorsSince = cursorSeconds === undefined ? undefined : epochMs(now - cursorSeconds * 1000);
    const query = parseQuery(request.search, { ...options, cursorsSince });
    if ("status" in query) return query;
    const body = bodyOf(log.page(query, now), options, faults, now);
    if (options.recordReads) log.recordRead(now, request.address, request.userAgent);
    return jsonBytes(200, body);
  }

  function route(request: ApiRequest, now: EpochMs): Reply {
    switch (`${request.method} ${request.path}`) {
      case "GET /audit_events":
        return auditEvents(request, now);
      case "GET /oauth/token/info":
        return tokenInfo(access, lastUsed);
      case "POST /messages":
        return missingScope(access, "messages:create") ?? createMessage(request.body, messages, now);
      default:
        return validationError(404, "base", null, "not_found", "Not found");
    }
  }

  return {
    messages,
    refuse,
    answer(request, now) {
      const refusal = unauthorized(request, access.token);
      if (refusal !== undefined) return refusal;
      const reply = route(request, now);
      lastUsed = now;
      return reply;
    },
    *items(span, now) {
      for (const event of log.events(span, now)) yield itemOf(event, faults.options);
    },
  };
}

const START = Buffer.from('{"data":[');
const COMMA = Buffer.from(",");

/** The answer with a page of the log. */
function bodyOf(page: Page, { seed, contract }: PachcaOptions, faults: FaultInjector, now: EpochMs): Buffer {
  const issued = faults.options.cursorSeconds === undefined ? undefined : now;
  const cursor = ({ time, id }: Position, direction: Cursor["direction"]): string =>
    formatCursor({ time, id, direction, issued }, seed);
  const loops = faults.strikes(faults.options.cursorLoop);
  const next = cursor(loops ? AFTER_ALL : page.next, "next");
  const paginate =
    contract === "old"
      ? { next_page: next }
      : {
          next_page: next,
          prev_page: cursor(page.prev, "prev"),
          has_next: loops || page.hasNext,
          has_prev: page.hasPrev,
        };
  const events =
    faults.options.outOfOrder === true ? page.events.toSorted((a, b) => (a.id < b.id ? -1 : 1)) : page.events;
  const parts: Buffer[] = [START];
  for (const event of events) parts.push(itemOf(event, faults.options).record, COMMA);
  if (events.length > 0) parts.pop();
  return Buffer.concat([...parts, Buffer.from(`],"meta":${JSON.stringify({ paginate })}}`)]);
}

function tokenInfo({ token, scopes }: Readonly<Access>, lastUsed: EpochMs | undefined): Reply {
  return json(200, {
    data: {
      id: 4827,
      token: `${token.slice(0, 8)}...${token.slice(-4)}`,
      name: "SIEM export",
      user_id: OWNER_ID,
      scopes,
      created_at: "2026-01-15T10:30:00.000Z",
      revoked_at: null,
      expires_in: null,
      last_used_at: lastUsed === undefined ? null : new Date(lastUsed).toISOString(),
    },
  });
}

function refuse(status: number): Reply {
  switch (status) {
    case 402:
      return validationError(402, "base", null, "payment_required", "Payment required");
    case 413:
      return validationError(413, "base", null, "too_long", "The body is too long");
    case 429:
      return validationError(429, "base", null, "rate_limit", "Rate limit reached");
    default:
      return html(status);
  }
}

function unauthorized(request: ApiRequest, token: string): Reply | undefined {
  const given = bearerOf(request);
  if (given === undefined) return oauthError(401, "invalid_token", "Access token is missing");
  return given === token ? undefined : oauthError(401, "invalid_token", "Access token is invalid or has been revoked");
}

function missingScope({ scopes }: Readonly<Access>, scope: string): Reply | undefined {
  if (scopes.includes(scope)) return undefined;
  return oauthError(403, "insufficient_scope", `The access token has insufficient scope. Required: ${scope}`);
}

const ENTITY_TYPES = ["discussion", "thread", "user"];

/** `POST /messages`: 201 with the message. Its body is added to `messages`. */
function createMessage(body: Buffer, messages: unknown[], now: EpochMs): Reply {
  let asked: unknown;
  try {
    asked = JSON.parse(body.toString());
  } catch {
    return validationError(400, "base", null, "wrong_params", "The body is not JSON");
  }
  const message: unknown = (asked as { message?: unknown } | null)?.message;
  if (typeof message !== "object" || message === null) return blank("message");
  const { entity_type = "discussion", entity_id, content } = message as Partial<Record<string, unknown>>;
  if (typeof entity_type !== "string" || !ENTITY_TYPES.includes(entity_type.toLowerCase())) {
    return validationError(400, "entity_type", String(entity_type), "invalid", "entity_type is not in the list");
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

const blank = (key: string): Reply => validationError(422, key, null, "blank", `${key} cannot be blank`);
