import { afterAll, beforeAll, expect, test } from "vitest";
import { simulator, type Simulator } from "../../src/simulator/simulator.ts";
import { ask, bounds, linesOf, pastSpan, type Event } from "./walk.ts";

/** The answers of the vendor's published contract, as hand-written shapes. */

let one: Simulator;
beforeAll(async () => {
  one = await simulator({ requestsPerSecond: Infinity, eventsPerDay: 200_000 });
});
afterAll(async () => one.close());

type Shape = "int" | "int?" | "string" | "string?" | "bool" | "strings" | "object";

const CALL: Record<string, Shape> = { chat_id: "int", started_message_id: "int?" };
const BOT: Record<string, Shape> = { bot_id: "int", actor_id: "int?" };
const KMS: Record<string, Shape> = { chat_id: "int", message_id: "int", reason: "string" };
const INITIATOR: Record<string, Shape> = { initiator_id: "int" };
const SCOPES: Record<string, Shape> = { scopes: "strings" };
const SEARCH: Record<string, Shape> = {
  search_type: "string",
  query_present: "bool",
  cursor_present: "bool",
  limit: "int",
  filters: "object",
};

/** The required members of `details`, by the key of the event. */
const DETAILS: Record<string, Record<string, Shape>> = {
  user_login: {},
  user_logout: {},
  user_2fa_fail: {},
  user_2fa_success: {},
  user_created: {},
  user_deleted: {},
  user_role_changed: { new_company_role: "string", previous_company_role: "string", initiator_id: "int" },
  user_updated: { changed_attrs: "strings" },
  tag_created: { name: "string" },
  tag_deleted: { name: "string" },
  user_added_to_tag: INITIATOR,
  user_removed_from_tag: INITIATOR,
  chat_created: {},
  chat_renamed: { old_name: "string", new_name: "string" },
  chat_permission_changed: { public_access: "bool" },
  user_chat_join: { inviter_id: "int" },
  user_chat_leave: INITIATOR,
  tag_added_to_chat: { chat_id: "int", tag_name: "string" },
  tag_removed_from_chat: { chat_id: "int" },
  message_created: {},
  message_updated: {},
  message_deleted: {},
  reaction_created: {},
  reaction_deleted: {},
  thread_created: {},
  access_token_created: SCOPES,
  access_token_updated: SCOPES,
  access_token_destroy: SCOPES,
  kms_encrypt: KMS,
  kms_decrypt: KMS,
  audit_events_accessed: {},
  dlp_violation_detected: {
    dlp_rule_id: "int",
    dlp_rule_name: "string",
    message_id: "int",
    chat_id: "int",
    user_id: "int",
    action_message: "string?",
    conditions_matched: "bool",
  },
  search_users_api: SEARCH,
  search_chats_api: SEARCH,
  search_messages_api: SEARCH,
  bot_scopes_updated: { added_scopes: "strings", removed_scopes: "strings" },
  bot_webhook_settings_updated: { changes: "object" },
  bot_token_recreated: BOT,
  bot_deleted: BOT,
  bot_oauth_client_updated: { client_id: "string", changes: "object" },
  oauth_authorization_granted: { client_id: "string", ...SCOPES },
  oauth_authorization_revoked: { client_id: "string", revoked_tokens_count: "int" },
  video_call_started: CALL,
  video_call_finished: { ...CALL, duration: "int", max_members_count: "int" },
  video_call_recording_ready: { ...CALL, recording_id: "int", file_id: "int", duration: "int", size: "int" },
};

const OPTIONAL: Record<string, readonly string[]> = { user_updated: ["context"] };

function isOf(shape: Shape, value: unknown): boolean {
  switch (shape) {
    case "int":
      return Number.isInteger(value);
    case "int?":
      return value === null || Number.isInteger(value);
    case "string":
      return typeof value === "string";
    case "string?":
      return value === null || typeof value === "string";
    case "bool":
      return typeof value === "boolean";
    case "strings":
      return Array.isArray(value) && value.every((item) => typeof item === "string");
    case "object":
      return typeof value === "object" && value !== null && !Array.isArray(value);
  }
}

const EVENT: Record<string, Shape> = {
  id: "string",
  created_at: "string",
  event_key: "string",
  entity_id: "string",
  entity_type: "string",
  actor_id: "string",
  actor_type: "string",
  details: "object",
  ip_address: "string?",
  user_agent: "string?",
};

test("every event of some hours has the members of the contract, and all 45 keys occur", () => {
  const events = linesOf(one.history(pastSpan(240))).map((line) => JSON.parse(line) as Event & Record<string, unknown>);
  const keys = new Set<string>();
  // Compared together: one expectation for each event takes a hundred times as long.
  const wrong: string[] = [];
  for (const event of events) {
    const { id, created_at: createdAt, event_key: key, user_agent: agent, details } = event;
    for (const [name, shape] of Object.entries(EVENT)) if (!isOf(shape, event[name])) wrong.push(`${id} ${name}`);
    if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(createdAt)) wrong.push(`${id} ${createdAt}`);
    if ((agent?.length ?? 0) > 255) wrong.push(`${id} user_agent`);
    const members = DETAILS[key];
    if (members === undefined) continue;
    keys.add(key);
    for (const [name, shape] of Object.entries(members)) {
      if (!isOf(shape, details[name])) wrong.push(`${id} ${key} ${name}`);
    }
    const known = [...Object.keys(members), ...(OPTIONAL[key] ?? [])];
    for (const name of Object.keys(details)) if (!known.includes(name)) wrong.push(`${id} ${key} ${name}`);
  }
  expect(wrong).toEqual([]);
  expect(keys.size).toBe(45);
});

interface Refusal {
  readonly why: string;
  readonly path: string;
  readonly options?: RequestInit;
  readonly status: number;
  readonly body: unknown;
}

const apiError = (key: string, code: string): unknown => ({
  errors: [{ key, value: expect.anything() as unknown, message: expect.any(String) as unknown, code, payload: null }],
});

test.each<Refusal>([
  { why: "a date", path: "/audit_events?start_time=yesterday", status: 400, body: apiError("start_time", "invalid") },
  {
    why: "a naive date",
    path: "/audit_events?end_time=2026-01-01T00:00:00",
    status: 400,
    body: apiError("end_time", "invalid"),
  },
  { why: "a limit above the most", path: "/audit_events?limit=51", status: 422, body: apiError("limit", "inclusion") },
  { why: "a limit of none", path: "/audit_events?limit=0", status: 422, body: apiError("limit", "inclusion") },
  { why: "a limit in words", path: "/audit_events?limit=all", status: 422, body: apiError("limit", "inclusion") },
  { why: "a cursor", path: "/audit_events?cursor=bm9uc2Vuc2U", status: 422, body: apiError("cursor", "invalid") },
  { why: "no JSON", path: "/messages", options: { method: "POST", body: "{" }, status: 400, body: expect.anything() },
  {
    why: "no content",
    path: "/messages",
    options: { method: "POST", body: '{"message":{"entity_id":1}}' },
    status: 422,
    body: {
      errors: [{ key: "content", value: null, message: expect.any(String) as unknown, code: "blank", payload: null }],
    },
  },
])("$why that cannot be is refused as the contract says", async ({ path, options, status, body }) => {
  const response = await ask(one, path, options);
  expect(response.status).toBe(status);
  expect(await response.json()).toEqual(body);
});

test("a cursor of another workspace, or a changed one, is refused", async () => {
  const other = await simulator({ seed: 2 });
  try {
    const { meta } = (await (await ask(other, "/audit_events")).json()) as {
      meta: { paginate: { next_page: string } };
    };
    const own = meta.paginate.next_page;
    const fields = JSON.parse(Buffer.from(own, "base64url").toString()) as { t: number };
    const touched = Buffer.from(JSON.stringify({ ...fields, t: fields.t - 1 })).toString("base64url");
    expect((await ask(other, `/audit_events?cursor=${own}`)).status).toBe(200);
    expect((await ask(other, `/audit_events?cursor=${touched}`)).status).toBe(422);
    expect((await ask(one, `/audit_events?cursor=${own}`)).status).toBe(422);
  } finally {
    await other.close();
  }
});

test("401 without the token, 403 without the scope, 404 for unknown paths", async () => {
  const missing = await fetch(`${one.url}/audit_events`);
  expect([missing.status, await missing.json()]).toEqual([
    401,
    { error: "invalid_token", error_description: "Access token is missing" },
  ]);
  const wrong = await fetch(`${one.url}/audit_events`, { headers: { authorization: "Bearer somebody" } });
  expect([wrong.status, await wrong.json()]).toMatchObject([401, { error: "invalid_token" }]);

  const scopes = one.access.scopes;
  one.access.scopes = ["chats:read"];
  try {
    const refused = await ask(one, "/audit_events");
    expect(refused.status).toBe(403);
    const { error, error_description: description } = (await refused.json()) as Record<string, string>;
    expect(error).toBe("insufficient_scope");
    expect(/Required:\s*([\w:]+)/.exec(description!)?.[1]).toBe("audit_events:read");
    expect((await ask(one, "/messages", { method: "POST", body: "{}" })).status).toBe(403);
    expect((await ask(one, "/oauth/token/info")).status).toBe(200);
  } finally {
    one.access.scopes = scopes;
  }
  const nowhere = await ask(one, "/audit-events");
  expect([nowhere.status, await nowhere.json()]).toMatchObject([404, { errors: [{ code: "not_found" }] }]);
});

test("the token info has the scopes, and hides the token", async () => {
  const response = await ask(one, "/oauth/token/info");
  const { data } = (await response.json()) as { data: Record<string, unknown> };
  expect(data).toMatchObject({ scopes: ["audit_events:read", "messages:create"], revoked_at: null, expires_in: null });
  expect(data["token"]).toBe(`${one.access.token.slice(0, 8)}...${one.access.token.slice(-4)}`);
  for (const name of ["id", "name", "user_id", "created_at", "last_used_at"]) expect(data).toHaveProperty(name);
});

test("a message is accepted, numbered and kept", async () => {
  const body = { message: { entity_type: "Thread", entity_id: 334, content: "Экспорт отстаёт на 2 часа" } };
  const response = await ask(one, "/messages", { method: "POST", body: JSON.stringify(body) });
  expect(response.status).toBe(201);
  const { data } = (await response.json()) as { data: Record<string, unknown> };
  expect(data).toMatchObject({ entity_type: "thread", entity_id: 334, content: body.message.content });
  expect(Object.keys(data)).toHaveLength(17);
  expect(one.messages.at(-1)).toEqual(body);
});

test("each answer has its own id and the date of the simulated clock", async () => {
  const ahead = await simulator({ clockOffsetMs: 3_600_000, eventsPerDay: 0 });
  try {
    const answers = [await ask(ahead, "/audit_events"), await ask(ahead, "/nowhere")];
    expect(new Set(answers.map(({ headers }) => headers.get("x-request-id"))).size).toBe(2);
    for (const { headers } of answers) {
      expect(Math.abs(Date.parse(headers.get("date")!) - Date.now() - 3_600_000)).toBeLessThan(60_000);
    }
  } finally {
    await ahead.close();
  }
});

test("bounds in another time zone, with or without a fraction, are the same instants", async () => {
  const { start_time: start, end_time: end } = bounds(pastSpan(1));
  const texts = [start, start.replace(".000Z", "Z"), start.replace("T10:00:00.000Z", "T13:00:00+03:00")].map(
    async (text) => {
      const response = await ask(
        one,
        `/audit_events?${new URLSearchParams({ start_time: text, end_time: end }).toString()}`,
      );
      return response.text();
    },
  );
  const [first, ...others] = await Promise.all(texts);
  expect(first).toContain('{"data":[{"id"');
  for (const other of others) expect(other).toBe(first);
});
