import { describe, expect, test } from "vitest";
import { CONTRACT_TOKEN } from "../source.contract.ts";
import { AGENT, failure, idsOf, inTurn, page, pagesOf, queryOf, sourceAt, status } from "../../support/pachca.ts";
import { answerWith, serve } from "../../support/serve.ts";

describe("a pass over the pages", () => {
  test("requests both bounds in milliseconds, the limit and the filter, and repeats them with every cursor", async () => {
    const { baseUrl, requests } = await inTurn(
      page(["a"], { next_page: "c+/=1", has_next: true }),
      page([], { next_page: "c2", has_next: false }),
    );
    const filter = { eventKeys: ["user_login"], actorId: "7", actorType: "User", entityId: "8", entityType: "Chat" };
    await pagesOf(sourceAt(`${baseUrl}/api/shared/v1/`, { filter, pageLimit: 20 }));
    const first = {
      start_time: "2026-11-20T10:00:00.000Z",
      end_time: "2026-11-20T10:05:00.000Z",
      limit: "20",
      event_key: "user_login",
      actor_id: "7",
      actor_type: "User",
      entity_id: "8",
      entity_type: "Chat",
    };
    expect(queryOf(requests[0])).toEqual(first);
    expect(queryOf(requests[1])).toEqual({ ...first, cursor: "c+/=1" });
    expect(requests[0]!.url).toMatch(/^\/api\/shared\/v1\/audit_events\?/);
    expect(requests[0]!.headers).toMatchObject({ "user-agent": AGENT, authorization: `Bearer ${CONTRACT_TOKEN}` });
  });

  test("ends when has_next is false, whatever the cursor", async () => {
    const { baseUrl, requests } = await inTurn(
      page(["a", "b"], { next_page: "1", has_next: true }),
      page(["c"], { next_page: "2", has_next: false }),
    );
    expect(await idsOf(sourceAt(baseUrl))).toEqual(["a", "b", "c"]);
    expect(requests).toHaveLength(2);
  });

  test("continues after an empty page if has_next is true", async () => {
    const { baseUrl } = await inTurn(
      page([], { next_page: "1", has_next: true }),
      page([], { next_page: "2", has_next: true }),
      page(["a"], { next_page: "3", has_next: false }),
    );
    expect(await idsOf(sourceAt(baseUrl))).toEqual(["a"]);
  });

  test("ends at an empty page without has_next", async () => {
    const { baseUrl, requests } = await inTurn(page(["a"], { next_page: "1" }), page([], { next_page: "2" }));
    expect(await idsOf(sourceAt(baseUrl))).toEqual(["a"]);
    expect(requests).toHaveLength(2);
  });

  test("ends at a repeated cursor without has_next", async () => {
    const { baseUrl, requests } = await inTurn(page(["a"], { next_page: "1" }), page(["b"], { next_page: "1" }));
    expect(await idsOf(sourceAt(baseUrl))).toEqual(["a", "b"]);
    expect(requests).toHaveLength(2);
  });

  test("is made once for each event key", async () => {
    const { baseUrl, requests } = await inTurn(
      page(["a"], { next_page: "1", has_next: false }),
      page(["b"], { next_page: "1", has_next: false }),
    );
    const filter = { eventKeys: ["user_logout", "user_login", "user_login"] };
    expect(await idsOf(sourceAt(baseUrl, { filter }))).toEqual(["a", "b"]);
    expect(requests.map((request) => queryOf(request)["event_key"])).toEqual(["user_login", "user_logout"]);
  });

  test.each([400, 422])("restarts once when its cursor is refused with HTTP %i", async (code) => {
    const expired = status(code, { errors: [{ key: "cursor", message: "is invalid", code: "invalid" }] });
    const { baseUrl, requests } = await inTurn(
      page(["a"], { next_page: "1", has_next: true }),
      expired,
      page(["a"], { next_page: "1", has_next: true }),
      page(["b"], { next_page: "2", has_next: false }),
    );
    expect(await idsOf(sourceAt(baseUrl))).toEqual(["a", "a", "b"]);
    expect(requests.map((request) => queryOf(request)["cursor"])).toEqual([undefined, "1", undefined, "1"]);

    const again = await inTurn(
      page(["a"], { next_page: "1", has_next: true }),
      expired,
      page(["a"], { next_page: "1", has_next: true }),
      expired,
    );
    const error = await failure(sourceAt(again.baseUrl));
    expect(error).toMatchObject({ name: "RefusedError", code: "bad_request" });
    expect(error.message).toMatch(/cursor is invalid \(invalid\)/);
  });
});

describe("an answer that looks complete but is not is an error", () => {
  test("a cursor loop", async () => {
    const { baseUrl } = await inTurn(
      page(["a"], { next_page: "1", has_next: true }),
      page(["b"], { next_page: "2", has_next: true }),
      page([], { next_page: "1", has_next: true }),
    );
    const error = await failure(sourceAt(baseUrl));
    expect(error.name).toBe("ProtocolError");
    expect(error.message).toBe("page 3 of 2026-11-20T10:00:00Z/2026-11-20T10:05:00Z: the cursor repeats");
  });

  test("a repeated cursor although has_next is true", async () => {
    const stuck = page(["a"], { next_page: "1", has_next: true });
    const { baseUrl } = await inTurn(stuck, stuck, stuck);
    expect((await failure(sourceAt(baseUrl))).message).toMatch(/page 2 of .*: the cursor repeats/);
  });

  test("a cursor loop without has_next", async () => {
    const { baseUrl } = await inTurn(
      page(["a"], { next_page: "1" }),
      page(["b"], { next_page: "2" }),
      page(["c"], { next_page: "1" }),
    );
    expect((await failure(sourceAt(baseUrl))).name).toBe("ProtocolError");
  });

  test("more pages than the maximum", async () => {
    let number = 0;
    const { baseUrl, requests } = await serve((_, response) =>
      answerWith(response, 200, page([], { next_page: String(++number), has_next: true })),
    );
    const error = await failure(sourceAt(baseUrl, { pagesMax: 20 }));
    expect(error.name).toBe("ProtocolError");
    expect(error.message).toMatch(/2026-11-20T10:00:00Z\/2026-11-20T10:05:00Z: no end after 20 pages/);
    expect(requests).toHaveLength(20);
  });

  test.each<[string, object]>([
    ["no next_page although has_next is true", page(["a"], { has_next: true })],
    ["an empty next_page", page(["a"], { has_next: true, next_page: "" })],
    ["a next_page that is not a string", page(["a"], { has_next: true, next_page: 7 })],
    ["events, no has_next and no next_page", page(["a"], {})],
    ["a has_next that is not a boolean", page(["a"], { has_next: "false", next_page: "1" })],
    ["no meta", { data: [] }],
    ["no meta.paginate", { data: [], meta: {} }],
    ["no data", { meta: { paginate: { has_next: false } } }],
    ["data that is not an array", { data: { a: 1 }, meta: { paginate: { has_next: false } } }],
  ])("%s", async (_name, body) => {
    const { baseUrl } = await inTurn(body);
    const error = await failure(sourceAt(baseUrl));
    expect(error.name).toBe("ProtocolError");
    expect(error.message).toMatch(/page 1 of 2026-11-20T10:00:00Z/);
  });

  test.each<[string, string | Buffer, RegExp]>([
    ["empty", "", /is empty/],
    ["a sign-in page", "<!doctype html><html>Sign in</html>", /is HTML/],
    ["truncated", '{"data":[{"id":"a"}', /is cut/],
    ["followed by another one", '{"data":[],"meta":{"paginate":{"has_next":false}}}{}', /has more data after its end/],
    ["preceded by a byte order mark", '\uFEFF{"data":[]}', /byte order mark/],
  ])("an answer that is %s", async (_name, body, message) => {
    const { baseUrl } = await inTurn(body);
    const error = await failure(sourceAt(baseUrl));
    expect(error.name).toBe("ProtocolError");
    expect(error.message).toMatch(message);
  });

  test("a body truncated by the network is a network error", async () => {
    const { baseUrl } = await inTurn((_, response) => {
      response.writeHead(200, { "content-length": "9999" }).write('{"data":[', () => response.destroy());
    });
    expect(await failure(sourceAt(baseUrl))).toMatchObject({ name: "TransientError", code: "network" });
  });

  test("a server that stops sending is a timeout", async () => {
    const { baseUrl } = await inTurn((_, response) => response.writeHead(200).write('{"data":['));
    const timeouts = { connectMs: 1000, headMs: 1000, idleMs: 50, wholeMs: 5000 };
    expect(await failure(sourceAt(baseUrl, { timeouts }))).toMatchObject({ name: "TransientError", code: "timeout" });
  });
});

describe("an abort", () => {
  test("in the middle of a page throws its reason", async () => {
    const stop = new AbortController();
    const reason = new Error("stopping");
    const { baseUrl } = await inTurn((_, response) => {
      response.writeHead(200).write("{");
      setImmediate(() => stop.abort(reason));
    });
    await expect(pagesOf(sourceAt(baseUrl), stop.signal)).rejects.toBe(reason);
  });
});
