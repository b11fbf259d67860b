import { expect, test } from "vitest";
import { communicationsMining } from "../../../src/sources/communications-mining/communications-mining.ts";

const communicationsMiningVocabulary = communicationsMining.vocabulary;

const kind = (key: string) => communicationsMiningVocabulary.kind(key);
const meaningOf = (json: string) => communicationsMiningVocabulary.describe(Buffer.from(json));
const defined = (value: object) => JSON.parse(JSON.stringify(value)) as unknown;

test.each([
  ["get_datasets", "Get datasets", "access", 1],
  ["login", "Login", "authentication", 3],
  ["change_password", "Change password", "account management", 6],
  ["update_user_permissions", "Update user permissions", "account management", 6],
  ["create_user", "Create user", "account management", 5],
  ["get_user", "Get user", "access", 1],
  ["delete_dataset", "Delete dataset", "deletion", 5],
  ["create_source", "Create source", "creation", 3],
  ["update_dataset", "Update dataset", "modification", 3],
  ["something_new", "Something new", "other", 3],
  ["", "Unknown event", "other", 3],
])("the key %j is %j: %s, severity %d", (key, name, category, severity) => {
  expect(kind(key)).toEqual({ name, category, severity });
});

test("a key with a word for failure has the outcome failure", () => {
  expect(kind("login_failed")).toEqual({
    ...{ name: "Login failed", category: "authentication", severity: 5, outcome: "failure" },
  });
});

const EVENT =
  '"event_id":"2555880060c23eb5","event_type":"get_datasets","timestamp":"2021-06-10T16:32:53Z","actor_user_id":"e2148a625225ea5c"';

test("the actor has the name from the event's rows; details have the other ids", () => {
  const rest =
    '"dataset_ids":["274400867ab17af9"],"_resources":{"users":[{"id":"0","username":"other"},' +
    '{"id":"e2148a625225ea5c","tenant_id":"t","username":"user.name","email":"user.name@example.org"}]}';
  expect(defined(meaningOf(`{${EVENT},${rest}}`))).toEqual({
    actor: { id: "e2148a625225ea5c", name: "user.name" },
    details: `{${rest}}`,
  });
});

test.each([
  ['{"users":[{"id":"e2148a625225ea5c","username":"","email":"m@example.org"}]}', "m@example.org"],
  ['{"users":[{"id":"e2148a625225ea5c"}]}', undefined],
  ['{"users":[{"id":"another","username":"user"}]}', undefined],
  ['{"users":{"id":"e2148a625225ea5c"}}', undefined],
  ['{"users":[null,5,"e2148a625225ea5c"]}', undefined],
  ["[]", undefined],
  ["null", undefined],
])("with the resources %s the actor's name is %s", (resources, name) => {
  expect(meaningOf(`{${EVENT},"_resources":${resources}}`).actor).toEqual({ id: "e2148a625225ea5c", name });
});

test("an event without an actor has none, and details have the whole of a record that is not an event", () => {
  expect(defined(meaningOf('{"event_id":"1","actor_user_id":null}'))).toEqual({});
  expect(defined(meaningOf("[1.10"))).toEqual({ details: '{"record":"[1.10"}' });
});
