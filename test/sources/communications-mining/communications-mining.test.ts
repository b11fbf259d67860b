import { describe, expect, test } from "vitest";
import { communicationsMining } from "../../../src/sources/communications-mining/communications-mining.ts";
import { CONTRACT_TOKEN } from "../source.contract.ts";
import { inTurn, page, serveQueries, sourceAt } from "../../support/communications-mining.ts";
import { AGENT, failure, idsOf, pagesOf, status } from "../../support/pachca.ts";
import { answerWith } from "../../support/serve.ts";

const timestamp = { minimum: "2026-11-20T09:59:59Z", maximum: "2026-11-20T10:05:01Z" };

describe("a pass over the pages", () => {
  test("extends the span by a second on both sides, and repeats the filter with every continuation", async () => {
    const { baseUrl, queries, requests } = await inTurn(page(["a"], { continuation: "c+/=1" }), page(["b"]));
    expect(await idsOf(sourceAt(baseUrl, { pageLimit: 20 }))).toEqual(["a", "b"]);
    expect(queries).toEqual([
      { limit: 20, filter: { timestamp } },
      { limit: 20, filter: { timestamp }, continuation: "c+/=1" },
    ]);
    expect(requests[0]!.method).toBe("POST");
    expect(requests[0]!.headers).toMatchObject({
      "user-agent": AGENT,
      authorization: `Bearer ${CONTRACT_TOKEN}`,
      "content-type": "application/json",
    });
  });

  test.each([
    ["", "/api/v1/audit_events/query"],
    ["/", "/api/v1/audit_events/query"],
    ["/org/tenant/reinfer_", "/org/tenant/reinfer_/api/v1/audit_events/query"],
    ["/org/tenant/reinfer_/", "/org/tenant/reinfer_/api/v1/audit_events/query"],
  ])("appends the API's path to the base URL's path %j", async (path, asked) => {
    const { baseUrl, requests } = await inTurn(page([]));
    await pagesOf(sourceAt(`${baseUrl}${path}`));
    expect(requests.map(({ url }) => url)).toEqual([asked]);
  });

  test("ends when there is no continuation, and not at an empty or short page", async () => {
    const { baseUrl, queries } = await inTurn(
      page([], { continuation: "1" }),
      page(["a"], { continuation: "2" }),
      page([], { continuation: "3" }),
      page(["b"]),
    );
    expect(await idsOf(sourceAt(baseUrl))).toEqual(["a", "b"]);
    expect(queries).toHaveLength(4);
  });

  test("finds the continuation in an answer of the maximum depth", async () => {
    const deep = JSON.parse("[".repeat(256) + "]".repeat(256)) as object;
    const { baseUrl } = await inTurn(page(["a"], { continuation: "1", deep }), page(["b"]));
    expect(await idsOf(sourceAt(baseUrl))).toEqual(["a", "b"]);
  });

  test("treats a continuation of null as none, as the vendor's own client does", async () => {
    const { baseUrl } = await inTurn(page(["a"], { continuation: null }));
    expect(await idsOf(sourceAt(baseUrl))).toEqual(["a"]);
  });

  test("restarts once when its continuation is refused", async () => {
    const expired = status(400, { status: "error", message: "continuation has expired" });
    const { baseUrl, queries } = await inTurn(page(["a"], { continuation: "1" }), expired, page(["a", "b"]));
    expect(await idsOf(sourceAt(baseUrl))).toEqual(["a", "a", "b"]);
    expect(queries.map(({ continuation }) => continuation)).toEqual([undefined, "1", undefined]);
  });
});

describe("an answer that looks complete but is not is an error", () => {
  test("a continuation loop", async () => {
    const { baseUrl } = await inTurn(
      page(["a"], { continuation: "1" }),
      page(["b"], { continuation: "2" }),
      page(["c"], { continuation: "1" }),
    );
    const error = await failure(sourceAt(baseUrl));
    expect(error.name).toBe("ProtocolError");
    expect(error.message).toBe("page 3 of 2026-11-20T10:00:00Z/2026-11-20T10:05:00Z: the cursor repeats");
  });

  test("more pages than the maximum", async () => {
    let number = 0;
    const { baseUrl, queries } = await serveQueries((_, response) =>
      answerWith(response, 200, page([], { continuation: String(++number) })),
    );
    const error = await failure(sourceAt(baseUrl, { pagesMax: 20 }));
    expect(error.name).toBe("ProtocolError");
    expect(error.message).toMatch(/2026-11-20T10:00:00Z\/2026-11-20T10:05:00Z: no end after 20 pages/);
    expect(queries).toHaveLength(20);
  });

  test.each<[string, object | string, RegExp]>([
    ["an empty continuation", page(["a"], { continuation: "" }), /continuation is not a string/],
    ["a continuation that is not a string", page(["a"], { continuation: 7 }), /continuation is not a string/],
    ["no list of events", { status: "ok", tenants: [] }, /the answer has no "audit_events"$/],
    [
      "a list of events that is not a list",
      page([], { audit_events: {} }),
      /"audit_events" of the answer is not an array$/,
    ],
    ["no status", { audit_events: [] }, /status is undefined$/],
    [
      "the status error with HTTP 200",
      { status: "error", message: "the index\nis being built" },
      /^POST \/api\/v1\/audit_events\/query: page 1 of .*: HTTP 200, but the answer's status is error: the index is being built$/,
    ],
    ["the status error beside events", page(["a"], { status: "error" }), /status is error$/],
    ["an empty answer", "", /is empty/],
    ["a sign-in page", "<!doctype html><html>Sign in</html>", /is HTML/],
    ["a truncated answer", '{"status":"ok","audit_events":[{"event_id":"a"}', /is cut/],
    ["two answers", '{"status":"ok","audit_events":[]}{}', /has more data after its end/],
    ["two lists of events", '{"status":"ok","audit_events":[],"audit_events":[]}', /"audit_events" twice/],
  ])("%s", async (_name, body, message) => {
    const { baseUrl, queries } = await inTurn(body);
    const error = await failure(sourceAt(baseUrl, { retry: { attempts: 3, baseMs: 1, capMs: 1 } }));
    expect(error.name).toBe("ProtocolError");
    expect(error.message).toMatch(message);
    expect(queries).toHaveLength(1);
  });

  test("a body truncated by the network is a network error", async () => {
    const { baseUrl } = await inTurn((_, response) => {
      response.writeHead(200, { "content-length": "9999" }).write('{"status":"ok",', () => response.destroy());
    });
    expect(await failure(sourceAt(baseUrl))).toMatchObject({ name: "TransientError", code: "network" });
  });
});

describe("a refusal", () => {
  test.each([
    [400, "RefusedError", "bad_request", undefined],
    [401, "RefusedError", "unauthorized", /one API token/],
    [403, "RefusedError", "forbidden", /Read audit logs/],
    [404, "RefusedError", "not_found", /reinfer_, or to https:\/\/<domain>\.reinfer\.io/],
    [405, "ProtocolError", "protocol", /reinfer_/],
    [422, "RefusedError", "bad_request", undefined],
  ])(
    "with HTTP %i has its class, code and hint, whatever its body, and is not retried",
    async (code, name, kind, hint) => {
      const shapes: readonly [unknown, string][] = [
        [{ status: "error", message: "no\nway" }, ": no way"],
        [{ status: "error", message: { nested: true } }, ""],
        ["<html>502 Bad Gateway</html>", ""],
        ["null", ""],
        ["", ""],
      ];
      for (const [body, said] of shapes) {
        const { baseUrl, queries } = await inTurn(status(code, body));
        const error = await failure(sourceAt(baseUrl, { retry: { attempts: 3, baseMs: 1, capMs: 1 } }));
        expect(error).toMatchObject({ name, code: kind });
        expect(error.message).toBe(`POST /api/v1/audit_events/query: HTTP ${code}${said}`);
        if (hint === undefined) expect(error.hint).toBeUndefined();
        else expect(error.hint).toMatch(hint);
        expect(queries).toHaveLength(1);
      }
    },
  );

  test.each([
    [409, "unavailable"],
    [429, "rate_limited"],
    [500, "unavailable"],
    [502, "unavailable"],
    [503, "unavailable"],
    [504, "unavailable"],
  ])("with HTTP %i is temporary: it is retried, although it is a POST", async (code, kind) => {
    const outage = status(code, { status: "error", message: "try later" }, { "retry-after": "0" });
    const { baseUrl } = await inTurn(outage, outage, page(["a"]));
    const retry = { attempts: 3, baseMs: 1, capMs: 1 };
    expect(await idsOf(sourceAt(baseUrl, { retry }))).toEqual(["a"]);
    const again = await inTurn(outage, outage, outage);
    expect(await failure(sourceAt(again.baseUrl, { retry }))).toMatchObject({
      name: "TransientError",
      code: kind,
      message: `POST /api/v1/audit_events/query: HTTP ${code}: try later`,
    });
  });

  test("with 409 is retried after its Retry-After", async () => {
    const { baseUrl } = await inTurn(status(409, "", { "retry-after": "7" }));
    expect(await failure(sourceAt(baseUrl))).toMatchObject({ retryAfterMs: 7000 });
  });

  test("that repeats the token has a message without it", async () => {
    const { baseUrl } = await inTurn(status(401, { status: "error", message: `bad token ${CONTRACT_TOKEN}` }));
    expect((await failure(sourceAt(baseUrl))).message).toMatch(/: bad token \*\*\*$/);
  });
});

test("an answer may take four minutes", async () => {
  expect(communicationsMining.timeouts).toMatchObject({ headMs: 240_000, idleMs: 240_000 });
  expect(communicationsMining.timeouts.wholeMs).toBeGreaterThan(240_000);
  // A hundredth of these timeouts. The answer takes three quarters of it: more than the whole timeout of other APIs.
  const { headMs, idleMs, wholeMs } = communicationsMining.timeouts;
  const timeouts = { connectMs: 2000, headMs: headMs / 100, idleMs: idleMs / 100, wholeMs: wholeMs / 100 };
  const { baseUrl } = await inTurn((_, response) => {
    setTimeout(() => answerWith(response, 200, page(["a"])), 1800);
  });
  expect(await idsOf(sourceAt(baseUrl, { timeouts }))).toEqual(["a"]);
});

test("an abort in the middle of a page throws its reason", async () => {
  const stop = new AbortController();
  const reason = new Error("stopping");
  const { baseUrl } = await inTurn((_, response) => {
    response.writeHead(200).write("{");
    setImmediate(() => stop.abort(reason));
  });
  await expect(pagesOf(sourceAt(baseUrl), stop.signal)).rejects.toBe(reason);
});

describe("the identity of a source in the ledger", () => {
  const identityOf = (baseUrl: string, account = "acme") => {
    const { identity, selection, retentionMs } = sourceAt(baseUrl, { account });
    return { identity, selection, retentionMs };
  };

  test("has its type, base URL and account", () => {
    expect(identityOf("https://CLOUD.uipath.com:443/acme/prod/reinfer_/")).toEqual({
      identity: {
        type: "communications-mining",
        baseUrl: "https://cloud.uipath.com/acme/prod/reinfer_",
        account: "acme",
      },
      selection: {},
      retentionMs: undefined,
    });
    expect(identityOf("https://acme.reinfer.io", "other").identity).toMatchObject({
      baseUrl: "https://acme.reinfer.io",
      account: "other",
    });
  });

  test.each([
    "",
    "acme.reinfer.io",
    "https://user:password@acme.reinfer.io",
    "https://acme.reinfer.io/?x=1",
    "https://acme.reinfer.io/api",
    "https://acme.reinfer.io/api/",
    "https://acme.reinfer.io/api/v1",
    "https://cloud.uipath.com/acme/prod/reinfer_/api/v1/audit_events/query",
  ])("cannot have the base URL %j", (baseUrl) => {
    expect(() => identityOf(baseUrl)).toThrow(
      expect.objectContaining({ name: "ConfigError", hint: expect.stringMatching(/reinfer_/) as string }) as Error,
    );
  });
});
