import { createHash } from "node:crypto";
import type { RequestListener } from "node:http";
import { describe, expect, test } from "vitest";
import { requestBudget, type RequestBudget } from "../../../src/http/budget.ts";
import { eventsOf, failure, inTurn, pagesOf, queryOf, status } from "../../support/pachca.ts";
import { answerWith, serve } from "../../support/serve.ts";
import { CONTRACT_TOKEN } from "../source.contract.ts";
import { oddAt, oddCursor, oddUrl, oddVendor } from "./odd-vendor.ts";

const AT = "2026-11-20T10:01:02.345Z";
const record = (id: number | string, more = "") => `{"id":${id},"published":"${AT}"${more}}`;

/** Answers with a list of records, and with these `Link` headers. */
const linked =
  (records: readonly string[], ...link: string[]): RequestListener =>
  (_, response) => {
    response.setHeader("link", link);
    answerWith(response, 200, `[${records.join(",")}]`);
  };

/** A budget that records how long it has to wait. */
function notingBudget(): { budget: RequestBudget; waits: number[] } {
  const waits: number[] = [];
  const real = requestBudget(1000);
  return {
    waits,
    budget: { take: (signal, user) => real.take(signal, user), throttled: (waitMs) => void waits.push(waitMs) },
  };
}

test("the token is sent in the vendor's own header only", async () => {
  const { baseUrl, requests } = await inTurn("[]");
  await pagesOf(oddAt(baseUrl));
  expect(requests[0]!.headers).toMatchObject({ "x-api-key": CONTRACT_TOKEN, "x-api-version": "7" });
  expect(requests[0]!.headers.authorization).toBeUndefined();
  expect(requests[0]!.url).toBe("/acme/log?since=1795168800&until=1795169100&limit=50");
});

test("the message of a refusal that repeats the key does not contain the key", async () => {
  const { baseUrl } = await inTurn(status(401, { message: `bad key ${CONTRACT_TOKEN}` }));
  expect((await failure(oddAt(baseUrl))).code).toBe("unauthorized");
});

describe("an event", () => {
  test("keeps every digit of an integer id", async () => {
    const ids = ["7", "9007199254740993", "1152922976252290801", "-1"];
    const { baseUrl } = await inTurn(`[${ids.map((id) => record(id)).join(" , ")}]`);
    expect((await eventsOf(oddAt(baseUrl))).map(({ id }) => id)).toEqual(ids);
  });

  test("without an id has the SHA-256 of its content as id", async () => {
    const lines = [`{"published":"${AT}","n":1}`, `{"id":null,"published":"${AT}","n":1.0}`];
    const { baseUrl } = await inTurn(`[ ${lines[0]!.replaceAll(",", " , ")}, ${lines[1]} ]`);
    const source = oddAt(baseUrl);
    const events = await eventsOf(source);
    expect(events.map(({ record: line }) => line.toString())).toEqual(lines);
    expect(events.map(({ id }) => id)).toEqual(lines.map((line) => createHash("sha256").update(line).digest("hex")));
    for (const event of events) expect(source.read(event.record)).toEqual(event);
  });

  test("whose id is not an integer is poison", async () => {
    const { baseUrl } = await inTurn(`[${['"a"', "1.5", "true"].map((id) => record(id)).join(",")}]`);
    const [page] = await pagesOf(oddAt(baseUrl));
    expect(page!.events).toEqual([]);
    expect(page!.poison.map(({ reason }) => reason)).toEqual(["no id", "no id", "no id"]);
  });

  test.each([
    ['"when":{"epoch":1795168862}', "2026-11-20T10:01:02.000Z"],
    ['"when":{"epoch":1795168862.3459}', AT],
    ['"when":{"epoch":1795168862},"published":"2026-01-01T00:00:00Z"', "2026-11-20T10:01:02.000Z"],
    ['"published":"2026-11-20T13:01:02.345+03:00"', AT],
    ['"when":null,"published":"2026-11-20T04:31:02.345-05:30"', AT],
    ['"when":{"epoch":null},"published":"2026-11-20T10:01:02Z"', "2026-11-20T10:01:02.000Z"],
  ])("with %s has the time %s", async (members, time) => {
    const { baseUrl } = await inTurn(`[{"id":1,${members}}]`);
    expect((await eventsOf(oddAt(baseUrl))).map((event) => new Date(event.time).toISOString())).toEqual([time]);
  });

  test("has the first kind that is present", async () => {
    const kinds = [',"action":{"type":"a"},"event":"b"', ',"event":"b"', ""];
    const { baseUrl } = await inTurn(`[${kinds.map((kind) => record(1, kind)).join(",")}]`);
    expect((await eventsOf(oddAt(baseUrl))).map(({ key }) => key)).toEqual(["a", "b", ""]);
  });

  test("has an outcome, a severity, an actor and a target from its members", () => {
    const text = record(
      5,
      ',"actor_id":9007199254740993,"actor":{"name":"Ada"},"targets":[{"id":12,"type":"App"}],' +
        '"client":{"ip":"203.0.113.7","agent":{"raw":"curl/8"}},"outcome":{"result":"DENY"},"severity":"WARN"',
    );
    const { vocabulary } = oddVendor;
    expect(vocabulary.kind("log_in", Buffer.from(text))).toEqual({
      ...{ name: "Log in", category: "other", severity: 6 },
      outcome: "failure",
    });
    const other = Buffer.from('{"outcome":{"result":"ALLOW"},"severity":"ODD"}');
    expect(vocabulary.kind("log_in", other)).toMatchObject({ outcome: "success", severity: 3 });
    expect(vocabulary.kind("log_in", Buffer.from("{}"))).not.toHaveProperty("outcome");
    expect(vocabulary.describe(Buffer.from(text))).toMatchObject({
      actor: { id: "9007199254740993", name: "Ada" },
      target: { id: "12", type: "App" },
      address: "203.0.113.7",
      userAgent: "curl/8",
    });
    // Nested members stay whole in the details; nothing is lost.
    expect(JSON.parse(vocabulary.describe(Buffer.from(text)).details!)).toMatchObject({
      actor: { name: "Ada" },
      outcome: { result: "DENY" },
      severity: "WARN",
      published: AT,
    });
  });
});

describe("the next page", () => {
  test("is the link with rel=next among several headers, with commas in its URL", async () => {
    const { baseUrl, requests } = await serve((request, response) => {
      const isFirst = request.url!.includes("since");
      const next = `<${baseUrl}/acme/log?after=a,b%2C;c&x="1">; title="one, two"; rel="next"`;
      const links = isFirst ? [`<${baseUrl}/acme/log?self>; rel="self"`, next] : ['</other>; rel="prev"'];
      linked([record(isFirst ? 1 : 2)], ...links)(request, response);
    });
    expect((await eventsOf(oddAt(baseUrl))).map(({ id }) => id)).toEqual(["1", "2"]);
    // The next URL is requested unchanged.
    expect(requests.map(({ url }) => url).slice(1)).toEqual(["/acme/log?after=a,b%2C;c&x=%221%22"]);
  });

  test("that repeats is an error", async () => {
    const { baseUrl } = await serve(linked([record(1)], '</acme/log?after=1>; rel="next"'));
    expect(await failure(oddAt(baseUrl))).toMatchObject({
      name: "ProtocolError",
      message: expect.stringMatching(/page 2 of .*: the cursor repeats$/) as string,
    });
  });

  test.each(["https://elsewhere.example/log", "//elsewhere.example/log", "http://127.0.0.1:1/log", "http://[/"])(
    "at %s is an error, and the key is not sent there",
    async (url) => {
      const { baseUrl, requests } = await inTurn(linked([record(1)], `<${url}>; rel="next"`));
      const error = await failure(oddAt(baseUrl));
      expect(error.name).toBe("ProtocolError");
      expect(error.message).toMatch(
        /page 1 of .*: the next page(?: is at another origin, http|'s address is not a URL)/,
      );
      const body = `{"entries":[],"paging":{"next":${JSON.stringify(url)}}}`;
      const again = await inTurn(body);
      expect((await failure(oddAt(again.baseUrl, oddUrl))).message).toMatch(/the next page/);
      expect([...requests, ...again.requests]).toHaveLength(2);
    },
  );

  test("is a whole URL in the answer, or null at the end", async () => {
    const { baseUrl, requests } = await serve((request, response) => {
      const isFirst = request.url!.includes("since");
      const next = isFirst ? `"${baseUrl}/acme/log/2"` : "null";
      answerWith(response, 200, `{"paging":{"next":${next}},"entries":[${record(isFirst ? 1 : 2)}]}`);
    });
    expect((await eventsOf(oddAt(baseUrl, oddUrl))).map(({ id }) => id)).toEqual(["1", "2"]);
    expect(requests.map(({ url }) => url)[1]).toBe("/acme/log/2");
  });

  test("has a cursor of any number of digits; an empty page is the end", async () => {
    const answer = (records: string, cursor: string) =>
      `{ "result" : { "entries": [${records}], "more": [1] }, "next_stream_position" : ${cursor} }`;
    const { baseUrl, requests } = await inTurn(
      answer(record(1), "1152922976252290801"),
      answer(record(2), '"1152922976252290803"'),
      answer("", "1152922976252290803"),
    );
    expect((await eventsOf(oddAt(baseUrl, oddCursor))).map(({ id }) => id)).toEqual(["1", "2"]);
    const cursors = requests.map((request) => queryOf(request)["cursor"]);
    expect(cursors).toEqual([undefined, "1152922976252290801", "1152922976252290803"]);
  });
});

describe("a request to slow down", () => {
  const retry = { attempts: 2, baseMs: 1, capMs: 1 };
  const inSeconds = (seconds: number) => String(Math.floor(Date.now() / 1000) + seconds);

  test("is a 403 with no requests left, and the vendor's own header has the wait", async () => {
    const { budget, waits } = notingBudget();
    const headers = { "x-ratelimit-remaining": "0", "x-ratelimit-reset": inSeconds(2) };
    const { baseUrl, requests } = await inTurn(status(403, "slow down", headers), `[${record(1)}]`);
    const startedMs = performance.now();
    expect(await eventsOf(oddAt(baseUrl, oddVendor, { budget, retry }))).toHaveLength(1);
    expect(requests).toHaveLength(2);
    // Whole seconds, and up to one has already passed.
    expect(waits).toHaveLength(1);
    expect(waits[0]).toBeGreaterThan(0);
    expect(waits[0]).toBeLessThanOrEqual(2000);
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(waits[0]!);
  });

  test("is also a 429, and the wait is an hour at most", async () => {
    const { budget, waits } = notingBudget();
    const { baseUrl } = await inTurn(
      status(429, "", { "x-ratelimit-reset": inSeconds(86_400), "retry-after": "5" }),
      status(429, "", { "x-ratelimit-reset": "soon", "retry-after": "5" }),
    );
    const source = oddAt(baseUrl, oddVendor, { budget });
    expect(await failure(source)).toMatchObject({ code: "rate_limited", retryAfterMs: 3_600_000 });
    expect(await failure(source)).toMatchObject({ code: "rate_limited", retryAfterMs: 5000 });
    expect(waits).toEqual([3_600_000, 5000]);
  });

  test("is not any other 403", async () => {
    const { budget, waits } = notingBudget();
    const { baseUrl } = await inTurn(status(403, "", { "x-ratelimit-remaining": "9" }));
    expect(await failure(oddAt(baseUrl, oddVendor, { budget }))).toMatchObject({ code: "forbidden" });
    expect(waits).toEqual([]);
  });
});

test("the configuration has the vendor's settings and its default look-back", () => {
  const token = () => CONTRACT_TOKEN;
  const { schema, lookbackMs } = oddVendor;
  expect(schema.parse({ type: "odd-vendor", baseUrl: "https://odd.example/", token })).toEqual({
    ...{ type: "odd-vendor", baseUrl: "https://odd.example", account: "", token },
    ...{ requestsPerSecond: 20, pageLimit: 50, tenant: "acme" },
  });
  expect(schema.safeParse({ type: "odd-vendor", token }).success).toBe(false);
  expect(lookbackMs).toBe(86_400_000);
  expect(oddAt("https://odd.example")).toMatchObject({
    identity: { type: "odd-vendor", baseUrl: "https://odd.example", account: "acme" },
    selection: { tenant: "acme" },
  });
});
