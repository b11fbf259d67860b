import { describe, expect, test } from "vitest";
import type { Poison, Source } from "../../../src/source.ts";
import { AGENT, type Changes, event, eventsOf, idsOf, inTurn, pagesOf, sourceAt } from "../../support/pachca.ts";

async function poisonOf(source: Source): Promise<Poison[]> {
  return (await pagesOf(source)).flatMap(({ poison }) => poison);
}

describe("an event", () => {
  const answer = (...items: readonly (string | Buffer)[]) =>
    Buffer.concat([
      Buffer.from('{"data":['),
      ...items.flatMap((item, index) => [Buffer.from(index === 0 ? "" : ","), Buffer.from(item)]),
      Buffer.from('],"meta":{"paginate":{"next_page":"x","has_next":false}}}'),
    ]);

  test("keeps every byte of its JSON except white space between tokens", async () => {
    const pretty = `{
      "id" : "a", "created_at": "2026-11-20T10:01:02.345678Z",
      "event_key": "video_call_recording_ready", "event_key2": "\\u0041 \\/",
      "details": { "size": 9007199254740993, "ratio": 1.10, "huge": 1E400 }, "новое": [ ]
    }`;
    const { baseUrl } = await inTurn(answer(pretty));
    const [found] = await eventsOf(sourceAt(baseUrl));
    expect(found!.record.toString()).toBe(
      String.raw`{"id":"a","created_at":"2026-11-20T10:01:02.345678Z","event_key":"video_call_recording_ready",` +
        String.raw`"event_key2":"\u0041 \/","details":{"size":9007199254740993,"ratio":1.10,"huge":1E400},"новое":[]}`,
    );
    expect(found).toMatchObject({
      id: "a",
      key: "video_call_recording_ready",
      time: Date.UTC(2026, 10, 20, 10, 1, 2, 345),
    });
  });

  test("of an unknown kind, or without a kind, is exported", async () => {
    const items = [event("a", { event_key: "not_known_yet", extra: { deep: [1] } }), event("b", { event_key: 7 })];
    const { baseUrl } = await inTurn(answer(...items.map((item) => JSON.stringify(item))));
    expect((await eventsOf(sourceAt(baseUrl))).map(({ key }) => key)).toEqual(["not_known_yet", ""]);
  });

  test("in a page of ten megabytes is read", async () => {
    const items = Array.from({ length: 50 }, (_, index) =>
      event(String(index), { details: { text: "x".repeat(200_000) } }),
    );
    const { baseUrl } = await inTurn({ data: items, meta: { paginate: { has_next: false, next_page: "1" } } });
    expect(await idsOf(sourceAt(baseUrl))).toEqual(items.map(({ id }) => id));
  });

  test.each<[string, string | Buffer]>([
    ["not an object", "[]"],
    ["not an object", "null"],
    ["not JSON", '{"id":tru}'],
    ["not JSON", '{"id":"a","created_at":"2026-11-20T10:01:02Z","text":"a\nb"}'],
    ["no id", JSON.stringify(event("a", { id: 7 }))],
    ["no id", JSON.stringify(event(""))],
    ["created_at is not an instant", JSON.stringify(event("a", { created_at: "2026-02-30T00:00:00.000Z" }))],
    ["created_at is not an instant", JSON.stringify(event("a", { created_at: 1_763_632_800 }))],
    ["not UTF-8", Buffer.concat([Buffer.from('{"id":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}')])],
  ])("with the reason %s is poison with its bytes, and its neighbours are not", async (reason, item) => {
    const good = JSON.stringify(event("good"));
    const { baseUrl } = await inTurn(answer(good, item, good), answer(good, item, good));
    const source = sourceAt(baseUrl);
    expect(await poisonOf(source)).toMatchObject([{ reason, record: Buffer.from(item) }]);
    expect(await idsOf(source)).toEqual(["good", "good"]);
  });

  test("that is poison keeps its id and time if they can be read", async () => {
    const broken = Buffer.from(JSON.stringify(event("a", { user_agent: "?" })));
    broken[broken.indexOf("?")] = 0xff;
    const withoutId = JSON.stringify(event("", { created_at: "2026-11-20T10:01:02.000Z" }));
    const { baseUrl } = await inTurn(answer(broken, withoutId));
    const time = Date.parse("2026-11-20T10:01:02.000Z");
    expect(await poisonOf(sourceAt(baseUrl))).toEqual([
      { reason: "not UTF-8", record: broken, id: "a", time: time + 345 },
      { reason: "no id", record: Buffer.from(withoutId), id: undefined, time },
    ]);
  });

  test("for our own read is exported unless ownReads is drop; other reads always are", async () => {
    const read = { event_key: "audit_events_accessed" };
    const items = [
      event("ours", { ...read, user_agent: AGENT }),
      event("an owner's", { ...read, user_agent: "Mozilla/5.0" }),
      event("another version's", { ...read, user_agent: `${AGENT} ` }),
      event("ours, but no read", { user_agent: AGENT }),
    ];
    const body = { data: items, meta: { paginate: { has_next: false, next_page: "1" } } };
    const { baseUrl } = await inTurn(body, body);
    expect(await idsOf(sourceAt(baseUrl))).toHaveLength(4);
    expect(await idsOf(sourceAt(baseUrl, { ownReads: "drop" }))).toEqual([
      "an owner's",
      "another version's",
      "ours, but no read",
    ]);
  });
});

describe("the identity of a source in the ledger", () => {
  const identityOf = (options: Changes) => {
    const { identity, selection } = sourceAt("https://pachca.example/api/shared/v1", options);
    return JSON.stringify([identity, selection]);
  };

  test("is equal for equal settings in another notation", () => {
    expect(identityOf({ baseUrl: "https://PACHCA.example:443/api/shared/v1/" })).toBe(identityOf({}));
    expect(identityOf({ filter: { eventKeys: ["b", "a", "b"], actorId: undefined } })).toBe(
      identityOf({ filter: { eventKeys: ["a", "b"] } }),
    );
    expect(identityOf({ userAgent: "another/2", pageLimit: 7, lagMs: 1 })).toBe(identityOf({}));
  });

  test("differs for different settings", () => {
    const all = [
      identityOf({}),
      identityOf({ baseUrl: "https://other.example/api/shared/v1" }),
      identityOf({ account: "other" }),
      identityOf({ ownReads: "drop" }),
      identityOf({ filter: { eventKeys: ["a"] } }),
      identityOf({ filter: { actorId: "7" } }),
      identityOf({ filter: { entityId: "7" } }),
    ];
    expect(new Set(all).size).toBe(all.length);
  });

  test.each([
    "",
    "pachca.example",
    "ftp://pachca.example",
    "https://user:password@pachca.example",
    "https://a.example/?x=1",
  ])("cannot have the base URL %j", (baseUrl) => {
    expect(() => sourceAt(baseUrl)).toThrow(expect.objectContaining({ name: "ConfigError" }) as Error);
  });
});
