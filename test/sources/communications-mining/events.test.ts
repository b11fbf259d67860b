import { describe, expect, test } from "vitest";
import type { Poison, Source } from "../../../src/source.ts";
import { event, inTurn, page, sourceAt } from "../../support/communications-mining.ts";
import { eventsOf, pagesOf } from "../../support/pachca.ts";

/** An answer with these events, and these lists beside them. Each item is JSON, or should be. */
function answer(items: readonly (string | Buffer)[], lists: Record<string, readonly (string | Buffer)[]> = {}): Buffer {
  const array = (name: string, elements: readonly (string | Buffer)[]) => [
    Buffer.from(`"${name}":[`),
    ...elements.flatMap((element, index) => [Buffer.from(index === 0 ? "" : ","), Buffer.from(element)]),
    Buffer.from("],"),
  ];
  const arrays = Object.entries({ audit_events: items, ...lists }).flatMap(([name, of]) => array(name, of));
  return Buffer.concat([Buffer.from("{"), ...arrays, Buffer.from('"status":"ok"}')]);
}

async function linesOf(body: object | Buffer): Promise<string[]> {
  const { baseUrl } = await inTurn(body);
  return (await eventsOf(sourceAt(baseUrl))).map(({ record }) => record.toString());
}

async function poisonOf(source: Source): Promise<Poison[]> {
  return (await pagesOf(source)).flatMap(({ poison }) => poison);
}

/**
 * Like the example in the vendor's documentation: an event without actor_tenant_id, a project that is in no list (its id is a
 * dataset's), empty lists, and the last event's id as continuation.
 */
const EXAMPLE = `{
  "audit_events": [
    {
      "actor_user_id": "e2148a6625225593",
      "dataset_ids": ["274400867ab17af9"],
      "event_id": "2555880060c23eb5",
      "event_type": "get_datasets",
      "project_ids": ["ce3c61ee210a3b23", "274400867ab17af9"],
      "tenant_ids": ["1a96be8f8cdd5bd6"],
      "timestamp": "2021-06-10T16:32:53Z",
      "user_ids": ["e2148a6625225593"]
    }
  ],
  "continuation": "2555880060c23eb5",
  "datasets": [
    {"id": "274400867ab17af9", "name": "Customer-Feedback", "project_id": "ce3c61ee210a3b23", "title": "Feedback"}
  ],
  "projects": [{"id": "ce3c61ee210a3b23", "name": "Collateral", "tenant_id": "1a96be8f8cdd5bd6"}],
  "sources": [],
  "status": "ok",
  "tenants": [{"id": "1a96be8f8cdd5bd6", "name": "acme"}],
  "triggers": [],
  "users": [
    {
      "display_name": "Alice", "email": "alice@acme.example", "id": "e2148a6625225593",
      "tenant_id": "1a96be8f8cdd5bd6", "username": "alice"
    }
  ]
}`;

const EXAMPLE_EVENT =
  '"actor_user_id":"e2148a6625225593","dataset_ids":["274400867ab17af9"],"event_id":"2555880060c23eb5",' +
  '"event_type":"get_datasets","project_ids":["ce3c61ee210a3b23","274400867ab17af9"],' +
  '"tenant_ids":["1a96be8f8cdd5bd6"],"timestamp":"2021-06-10T16:32:53Z","user_ids":["e2148a6625225593"]';

test("the documented example is exported unchanged, with the rows that its event refers to", async () => {
  const { baseUrl, queries } = await inTurn(EXAMPLE, '{"status":"ok","audit_events":[],"tenants":[]}');
  const [found, ...others] = await eventsOf(sourceAt(baseUrl));
  expect(others).toEqual([]);
  expect(queries.map(({ continuation }) => continuation)).toEqual([undefined, "2555880060c23eb5"]);
  expect(found).toMatchObject({ id: "2555880060c23eb5", key: "get_datasets", time: Date.UTC(2021, 5, 10, 16, 32, 53) });
  expect(found!.record.toString()).toBe(
    `{${EXAMPLE_EVENT},"_resources":{` +
      '"users":[{"display_name":"Alice","email":"alice@acme.example","id":"e2148a6625225593",' +
      '"tenant_id":"1a96be8f8cdd5bd6","username":"alice"}],' +
      '"tenants":[{"id":"1a96be8f8cdd5bd6","name":"acme"}],' +
      '"projects":[{"id":"ce3c61ee210a3b23","name":"Collateral","tenant_id":"1a96be8f8cdd5bd6"}],' +
      '"datasets":[{"id":"274400867ab17af9","name":"Customer-Feedback","project_id":"ce3c61ee210a3b23",' +
      '"title":"Feedback"}]}}',
  );
});

test("an event with its rows reads the same as the event as sent", async () => {
  const { baseUrl } = await inTurn(EXAMPLE);
  const source = sourceAt(baseUrl);
  const sent = Buffer.from(`{${EXAMPLE_EVENT}}`);
  const line = Buffer.from(`{${EXAMPLE_EVENT},"_resources":{"users":[{"id":"e2148a6625225593"}]}}`);
  const same = { id: "2555880060c23eb5", key: "get_datasets", time: Date.UTC(2021, 5, 10, 16, 32, 53) };
  expect(source.read(sent)).toEqual({ ...same, record: sent });
  expect(source.read(line)).toEqual({ ...same, record: line });
});

test("an event is read again, and described, with rows as deep as a row may be", async () => {
  const row = `{"id":"u1","deep":${"[".repeat(255)}${"]".repeat(255)}}`;
  const { baseUrl } = await inTurn(answer([JSON.stringify(event("a", { actor_user_id: "u1" }))], { users: [row] }));
  const source = sourceAt(baseUrl);
  const [found] = await eventsOf(source);
  expect(found!.record.toString()).toContain(row);
  expect(source.read(found!.record)).toEqual(found);
  expect(source.vocabulary.describe(found!.record).actor).toEqual({ id: "u1" });
});

describe("an event", () => {
  test("keeps every byte of its JSON except white space between tokens, and so do its rows", async () => {
    const pretty = String.raw`{
      "event_id" : "a", "timestamp": "2026-11-20T10:01:02Z", "event_type": "not_known_yet", "event_type2": "\u0041 \/",
      "user_ids": [ "\u0075" ], "новое": { "size": 9007199254740993, "ratio": 1.10, "huge": 1E400 }
    }`;
    const row = String.raw`{ "id" : "u", "seen": 9007199254740993, "name": "\u0410\/ 😀", "x": 1.0 }`;
    expect(await linesOf(answer([pretty], { users: [row] }))).toEqual([
      String.raw`{"event_id":"a","timestamp":"2026-11-20T10:01:02Z","event_type":"not_known_yet",` +
        String.raw`"event_type2":"\u0041 \/","user_ids":["\u0075"],` +
        String.raw`"новое":{"size":9007199254740993,"ratio":1.10,"huge":1E400},` +
        String.raw`"_resources":{"users":[{"id":"u","seen":9007199254740993,"name":"\u0410\/ 😀","x":1.0}]}}`,
    ]);
  });

  test("gets the rows of all six lists, in the order of its references, each once", async () => {
    const one = event("a", {
      ...{ actor_user_id: "2", user_ids: ["3", "1", "2", "3"], actor_tenant_id: "1", tenant_ids: ["2", "1"] },
      ...{ project_ids: ["1"], dataset_ids: ["2", "1"], source_ids: ["3"], trigger_ids: ["1", "2"] },
    });
    const rows = ["1", "2", "3"].map((id) => ({ id }));
    const names = ["triggers", "sources", "datasets", "projects", "tenants", "users"];
    const [line] = await linesOf({
      ...page([], { audit_events: [one] }),
      ...Object.fromEntries(names.map((name) => [name, rows])),
    });
    expect(line).toBe(
      `${JSON.stringify(one).slice(0, -1)},"_resources":{"users":[{"id":"2"},{"id":"3"},{"id":"1"}],` +
        '"tenants":[{"id":"1"},{"id":"2"}],"projects":[{"id":"1"}],"datasets":[{"id":"2"},{"id":"1"}],' +
        '"sources":[{"id":"3"}],"triggers":[{"id":"1"},{"id":"2"}]}}',
    );
  });

  test("without references to rows stays as sent", async () => {
    const sent = JSON.stringify(event("a", { actor_user_id: null, user_ids: "u9", tenant_ids: [7, {}, "t9"] }));
    expect(await linesOf(answer([sent]))).toEqual([sent]);
    expect(await linesOf(answer([sent], { users: [], tenants: ['{"id":7}'], projects: ['{"id":"u9"}'] }))).toEqual([
      sent,
    ]);
  });

  test("does not fail because of invalid lists or rows", async () => {
    const sent = JSON.stringify(event("a", { user_ids: ["u1", "u2"] }));
    const broken = [
      ...["null", "7", "[]", "{}", '{"id":null}', "tru", '{"id":"u2"'.concat(',"x":tru}')],
      Buffer.concat([Buffer.from('{"id":"u2","name":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}')]),
    ];
    const [line] = await linesOf(answer([sent], { users: [...broken, '{"id":"u1"}'] }));
    expect(line).toBe(`${sent.slice(0, -1)},"_resources":{"users":[{"id":"u1"}]}}`);
    const none = Buffer.from(`{"audit_events":[${sent}],"users":null,"tenants":{"id":"t1"},"status":"ok"}`);
    expect(await linesOf(none)).toEqual([sent]);
  });

  test("that has a member _resources keeps it, and gets no other", async () => {
    const sent = JSON.stringify(event("a", { _resources: "its own" }));
    expect(await linesOf(answer([sent], { users: ['{"id":"u1"}'] }))).toEqual([sent]);
  });

  test.each<[string, string | Buffer]>([
    ["not an object", "[]"],
    ["not an object", "null"],
    ["not JSON", '{"event_id":tru}'],
    ["no event_id", JSON.stringify({ ...event("a"), event_id: 7 })],
    ["no event_id", JSON.stringify(event(""))],
    ["timestamp is not an instant", JSON.stringify(event("a", { timestamp: "2026-02-30T00:00:00Z" }))],
    ["timestamp is not an instant", JSON.stringify(event("a", { timestamp: 1_763_632_800 }))],
    ["not UTF-8", Buffer.concat([Buffer.from('{"event_id":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}')])],
  ])("with the reason %s is poison with its bytes as sent, and its neighbours are not", async (reason, item) => {
    const good = JSON.stringify(event("good"));
    const body = answer([good, item, good], { users: ['{"id":"u1"}'] });
    const { baseUrl } = await inTurn(body, body);
    const source = sourceAt(baseUrl);
    expect(await poisonOf(source)).toMatchObject([{ reason, record: Buffer.from(item) }]);
    expect((await eventsOf(source)).map(({ id }) => id)).toEqual(["good", "good"]);
  });

  test("that is poison keeps its id and time if they can be read", async () => {
    const broken = Buffer.from(JSON.stringify(event("a", { note: "?" })));
    broken[broken.indexOf("?")] = 0xff;
    const { baseUrl } = await inTurn(answer([broken]));
    const time = Date.parse("2026-11-20T10:01:02Z");
    expect(await poisonOf(sourceAt(baseUrl))).toEqual([{ reason: "not UTF-8", record: broken, id: "a", time }]);
  });
});
