import fc from "fast-check";
import { expect, test } from "vitest";
import { withSeverities } from "../../../src/vocabulary.ts";
import { KINDS } from "../../../src/simulator/pachca-catalogue.ts";
import { randomOf } from "../../../src/simulator/random.ts";
import { pachca } from "../../../src/sources/pachca/pachca.ts";

const pachcaVocabulary = pachca.vocabulary;

const describe = (json: string) => pachcaVocabulary.describe(Buffer.from(json));
const defined = (value: object) => JSON.parse(JSON.stringify(value)) as unknown;

/** The vendor's list of August 2026. */
const KEYS =
  `user_login user_logout user_2fa_fail user_2fa_success user_created user_deleted user_role_changed user_updated
  tag_created tag_deleted user_added_to_tag user_removed_from_tag chat_created chat_renamed chat_permission_changed
  user_chat_join user_chat_leave tag_added_to_chat tag_removed_from_chat message_created message_updated message_deleted
  reaction_created reaction_deleted thread_created access_token_created access_token_updated access_token_destroy
  kms_encrypt kms_decrypt audit_events_accessed dlp_violation_detected search_users_api search_chats_api
  search_messages_api bot_token_recreated bot_scopes_updated bot_webhook_settings_updated bot_deleted
  video_call_started video_call_finished video_call_recording_ready bot_oauth_client_updated
  oauth_authorization_granted oauth_authorization_revoked`.split(/\s+/);

test("each of the vendor's 45 keys has its own name, category and severity", () => {
  expect(KEYS).toHaveLength(45);
  const kinds = KEYS.map((key) => pachcaVocabulary.kind(key));
  expect(kinds.filter(({ category }) => category === "other")).toEqual([]);
  expect(new Set(kinds.map(({ name }) => name)).size).toBe(45);
  for (const { name, category, severity } of kinds) {
    expect(name).toMatch(/^[A-Z][A-Za-z -]+$/);
    expect(category).toMatch(/^[a-z ]+$/);
    expect(severity).toBeGreaterThanOrEqual(1);
    expect(severity).toBeLessThanOrEqual(7);
  }
});

test("dangerous events have the highest severities, and a failure has the outcome failure", () => {
  const severities = (keys: string[]) => keys.map((key) => pachcaVocabulary.kind(key).severity);
  expect(severities(["audit_events_accessed", "user_2fa_fail", "dlp_violation_detected"])).toEqual([1, 5, 7]);
  expect(
    severities(["access_token_created", "user_role_changed", "bot_scopes_updated", "chat_permission_changed"]),
  ).toEqual([6, 6, 6, 6]);
  const failing = KEYS.filter((key) => pachcaVocabulary.kind(key).outcome === "failure");
  expect(failing).toEqual(["user_2fa_fail"]);
});

test.each([
  ["get_datasets", "Get datasets"],
  ["sso.assertion-rejected", "Sso assertion rejected"],
  ["  ", "Unknown event"],
  ["", "Unknown event"],
  ["constructor", "Constructor"],
])("the key %j, which no list has, is %j", (key, name) => {
  expect(pachcaVocabulary.kind(key)).toEqual({ name, category: "other", severity: 3 });
});

test("a severity can be set by key, known or not", () => {
  const vocabulary = withSeverities(pachcaVocabulary, { user_login: 9, other_key: 0 });
  const severities = ["user_login", "other_key", "user_logout"].map((key) => vocabulary.kind(key).severity);
  expect(severities).toEqual([9, 0, 2]);
});

test("an event has an actor, a target, an address and a user agent; details have the rest as sent", () => {
  const json =
    '{"id":"1","created_at":"2026-07-30T09:12:44.000Z","event_key":"video_call_recording_ready","entity_id":"45678",' +
    '"entity_type":"VideoRoom","actor_id":"133321","actor_type":"User","details":{"size":9007199254740993,"rate":1.10},' +
    '"ip_address":"192.168.1.100","user_agent":"Pachca/3.60.0 \\"beta\\"","new":[1E+2]}';
  expect(describe(json)).toEqual({
    actor: { id: "133321", type: "User" },
    target: { id: "45678", type: "VideoRoom" },
    address: "192.168.1.100",
    userAgent: 'Pachca/3.60.0 "beta"',
    details: '{"details":{"size":9007199254740993,"rate":1.10},"new":[1E+2]}',
  });
});

test("missing, null and empty members are undefined", () => {
  expect(defined(describe('{"id":"1","actor_id":"2","details":{},"ip_address":null,"user_agent":null}'))).toEqual({
    actor: { id: "2" },
  });
});

test("unexpected members are in details", () => {
  const parts = ['"id":5', '"actor_id":133321', '"entity_type":["Chat"]', '"ip_address":false'];
  expect(defined(describe(`{${parts.join(",")}}`))).toEqual({ details: `{${parts.join(",")}}` });
  const fine = '"created_at":"2026-07-30T09:12:44.123456Z"';
  expect(defined(describe(`{"id":"1",${fine}}`))).toEqual({ details: `{${fine}}` });
  expect(defined(describe('{"actor_id":"1","actor_id":"2"}'))).toEqual({
    actor: { id: "2" },
    details: '{"actor_id":"1"}',
  });
});

test("every member of any record is in its meaning, once", () => {
  const names = ["actor_id", "actor_type", "entity_id", "entity_type", "ip_address", "user_agent", "details", "a\\,b"];
  const value = fc.oneof(fc.string(), fc.string({ unit: "grapheme" }), fc.jsonValue({ noUnicodeString: false }));
  fc.assert(
    fc.property(fc.dictionary(fc.oneof(fc.constantFrom(...names), fc.string()), value), (record) => {
      const { actor, target, address, userAgent, details } = describe(JSON.stringify(record));
      const taken = {
        ...{ actor_id: actor?.id, actor_type: actor?.type, entity_id: target?.id, entity_type: target?.type },
        ...{ ip_address: address, user_agent: userAgent },
      };
      const found = new Map(Object.entries(JSON.parse(details ?? "{}") as object));
      for (const [name, text] of Object.entries(taken)) {
        if (text === undefined) continue;
        expect(found.has(name)).toBe(false);
        found.set(name, text);
      }
      const ofTheEvent = ["id", "created_at", "event_key"];
      const isNothing = (name: string, said: unknown) =>
        (said === null && Object.hasOwn(taken, name)) || (name === "details" && JSON.stringify(said) === "{}");
      const isTold = (name: string, said: unknown) =>
        ofTheEvent.includes(name) && (said === null || typeof said === "string");
      const expected = Object.entries(record).filter(([name, said]) => !isNothing(name, said) && !isTold(name, said));
      expect(byName(found)).toBe(byName(expected));
    }),
  );
});

/** As text, so that different notations are not equal. The values cannot be sorted: they may have a `toString`. */
function byName(members: Iterable<readonly [string, unknown]>): string {
  return JSON.stringify([...members].sort(([one], [other]) => (one < other ? -1 : 1)));
}

test("details of all kinds of the simulator keep every digit", () => {
  for (const kind of KINDS) {
    const { key } = kind;
    const json = kind.details(randomOf(1, 2));
    const expected = json === "{}" ? undefined : `{"details":${json}}`;
    expect(describe(`{"id":"1","event_key":"${key}","details":${json}}`).details).toBe(expected);
  }
});

test("it does not throw, whatever the bytes", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array(),
        fc.string().map((text) => Buffer.from(`{"actor_id":${text}}`)),
      ),
      (bytes) => {
        expect(() => pachcaVocabulary.describe(Buffer.from(bytes))).not.toThrow();
      },
    ),
  );
  expect(describe("<html>")).toMatchObject({ details: '{"record":"<html>"}' });
});
