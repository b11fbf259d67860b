import { z } from "zod";
import { choice, group, list, text } from "../../config/values/values.ts";
import { ProtocolError, RefusedError } from "../../errors.ts";
import { isObject, parsedJson } from "../../json/parse.ts";
import type { Finding } from "../../source.ts";
import { DAY_MS } from "../../time.ts";
import { defineSource, type Ask } from "../define.ts";
import { meanings } from "./vocabulary.ts";

/** The event that Pachca logs for each request to the audit log. */
const OWN_READ = "audit_events_accessed";

/** The scope that is needed to read the log. */
const SCOPE = "audit_events:read";

const id = () => text('text, such as "133321"', /\S/);

/** An event must match all of them, and one of the event keys. */
const filter = group({
  eventKeys: list(text("a kind of event, such as user_2fa_fail", /^\S{1,100}$/), 1, 100)
    .optional()
    .describe("Only these kinds of event. The API accepts one kind per request, so each kind needs its own requests."),
  actorId: id().optional().describe("Only events of this user or bot."),
  actorType: text("text, such as User", /\S/).optional().describe("Only events of actors of this type."),
  entityId: id().optional().describe("Only events about this entity."),
  entityType: text("text, such as Chat", /\S/).optional().describe("Only events about entities of this type."),
});

/** The audit log of a Pachca workspace: `GET /audit_events`, newest first, by cursor. */
export const pachca = defineSource({
  type: "pachca",
  about: "The audit log of a Pachca workspace, on the Corporation plan.",
  baseUrl: {
    about: "The base URL of the API. Change it for Pachca on your own servers or for the simulator.",
    default: "https://api.pachca.com/api/shared/v1",
    example: "https://api.pachca.com/api/shared/v1",
    hint: "set baseUrl to https://api.pachca.com/api/shared/v1, or to the same path on your own host",
  },
  token: `The token of the workspace's owner, with the scope ${SCOPE}.`,
  requestsPerSecond: 50,
  settings: {
    filter: filter
      .prefault({})
      .describe("Exports only the events that match all of these conditions. By default, all events are exported."),
    ownReads: choice(["keep", "drop"])
      .default("keep")
      .describe(
        `Pachca logs each read of its audit log (${OWN_READ}). With drop, reads by this worker are not exported.`,
      ),
  },
  pageLimit: {
    about: "Events per page. Pachca returns at most 50; only the simulator returns more.",
    default: 50,
    max: 1000,
  },
  selection: ({ filter, ownReads }) => ({ filter: sorted(filter), ownReads }),
  onlyKeys: ({ filter, ownReads }, eventKeys) => ({ ownReads, filter: { ...filter, eventKeys } }),
  // From the guide to the audit log; the API reference does not mention it.
  retentionMs: 90 * DAY_MS,

  request: ({ from, to, limit, cursor, part }, { filter: { actorId, actorType, entityId, entityType } }) => ({
    path: "/audit_events",
    query: {
      // Always both bounds: without them the API returns the whole log. The upper bound used to be exclusive and is inclusive
      // now. Both cover the span, and the reader drops events outside it.
      start_time: new Date(from).toISOString(),
      end_time: new Date(to).toISOString(),
      limit,
      // The cursor does not include the filter, so each request repeats it.
      actor_id: actorId,
      actor_type: actorType,
      entity_id: entityId,
      entity_type: entityType,
      event_key: part,
      cursor,
    },
  }),
  // One pass per key. An event that several passes return is exported once, because its id is the same.
  async *pages(pass, { filter }) {
    for (const key of sorted(filter).eventKeys ?? [undefined]) yield* pass(key);
  },
  // On-premise versions before May 2026 do not send the flag.
  next: { cursor: "meta.paginate.next_page", more: "meta.paginate.has_next" },
  items: "data",
  members: {
    id: [{ path: "id", format: "text" }],
    time: [{ path: "created_at", format: "iso" }],
    kind: ["event_key"],
  },
  leaveOut({ ownReads }, userAgent) {
    if (ownReads === "keep") return undefined;
    return (kind, textAt) => kind === OWN_READ && textAt("user_agent") === userAgent;
  },
  meanings,

  refusals: {
    reason: reasonIn,
    hints: {
      401: "the token is wrong, was revoked or has expired: create a new one in Pachca and replace it",
      402: "the workspace is unpaid: the audit log needs the Corporation plan",
      403: scopeHint,
      404: "baseUrl must end in /api/shared/v1",
    },
  },
  // This request leaves no event in the log.
  clock: "/oauth/token/info",
  check: tokenFindings,
});

/** Sorted, so that equal filters are equal as JSON, in whatever order they are written. */
function sorted({ eventKeys, actorId, actorType, entityId, entityType }: z.output<typeof filter>) {
  const keys = [...new Set(eventKeys)].sort();
  const given = Object.entries({ actorId, actorType, entityId, entityType }).filter(([, value]) => value !== undefined);
  return { ...(keys.length > 0 ? { eventKeys: keys } : {}), ...Object.fromEntries(given) };
}

/** The API names the missing scope only in its text: "… Required: audit_events:read". */
function scopeHint(reason: string | undefined): string {
  const scope = /Required:\s*([\w:]+)/.exec(reason ?? "")?.[1];
  if (scope !== undefined && scope !== SCOPE) return `the token needs the scope ${scope}`;
  return `the token needs the scope ${SCOPE} and its owner must be the workspace owner`;
}

/** The API's own reason, in either of its two shapes: `{error, error_description}` and `{errors: [{key, message, code}]}`. */
function reasonIn(answer: unknown): string | undefined {
  if (!isObject(answer)) return undefined;
  const { error, error_description: description, errors } = answer;
  if (Array.isArray(errors)) return errors.map(errorText).filter(Boolean).join("; ");
  return [error, description].filter((text) => typeof text === "string" && text !== "").join(": ");
}

/** Without the `value` of an error, which repeats the request. */
function errorText(error: unknown): string {
  if (!isObject(error)) return "";
  const [key, message, code] = [error["key"], error["message"], error["code"]].map((text) =>
    typeof text === "string" ? text : "",
  );
  return [key, message, code && `(${code})`].filter(Boolean).join(" ");
}

/** From `GET /oauth/token/info`: `{"data":{"id":…,"name":…,"user_id":…,"scopes":[…]}}`. */
async function* tokenFindings(ask: Ask): AsyncGenerator<Finding> {
  const { error, body } = await ask("/oauth/token/info");
  // An installation without this endpoint may still serve the log. If the base URL is wrong, the next request fails.
  if (error?.code === "not_found") {
    yield { state: "warning", what: `token: cannot be checked: ${error.message}`, hint: error.hint };
    return;
  }
  if (error !== undefined) throw error;
  const answer = parsedJson(body);
  const token = isObject(answer) && isObject(answer["data"]) ? answer["data"] : undefined;
  if (token === undefined) {
    const undescribed = new ProtocolError("GET /oauth/token/info: the answer does not describe a token");
    yield {
      state: "failed",
      what: undescribed.message,
      hint: "check baseUrl and any proxy in between",
      error: undescribed,
    };
    return;
  }
  const { id, name, user_id: owner, scopes } = token;
  const called = typeof name === "string" ? JSON.stringify(name) : `number ${String(id)}`;
  yield { state: "ok", what: `token: ${called}, of user ${String(owner)}` };
  if (Array.isArray(scopes) && scopes.includes(SCOPE)) {
    yield { state: "ok", what: `token: has the scope ${SCOPE}` };
    return;
  }
  const what = `token: lacks the scope ${SCOPE}`;
  const hint = "give the token this scope in Pachca; only the workspace owner can";
  yield { state: "failed", what, hint, error: new RefusedError("forbidden", what, { hint }) };
}
