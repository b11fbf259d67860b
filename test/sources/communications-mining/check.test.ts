import { describe, expect, test } from "vitest";
import type { Finding, Source } from "../../../src/source.ts";
import { inTurn, page, sourceAt } from "../../support/communications-mining.ts";
import { never, status } from "../../support/pachca.ts";
import { answerWith } from "../../support/serve.ts";

describe("the API's clock", () => {
  test("is read once, by the smallest query, even from a refusal", async () => {
    const { baseUrl, queries } = await inTurn(status(401, "", { date: new Date(Date.now() + 600_000).toUTCString() }));
    const source = sourceAt(baseUrl);
    const offsetMs = await source.clockOffsetMs(never);
    expect(offsetMs).toBeGreaterThan(590_000);
    expect(offsetMs).toBeLessThanOrEqual(600_000);
    const { limit, filter } = queries[0]!;
    expect(limit).toBe(1);
    expect(Date.parse(filter.timestamp.maximum) - Date.parse(filter.timestamp.minimum)).toBe(1000);
    expect(await source.clockOffsetMs(never)).toBe(offsetMs);
    expect(queries).toHaveLength(1);
  });

  test("is assumed to equal ours if the API sends no Date", async () => {
    const { baseUrl } = await inTurn((_, response) => {
      response.sendDate = false;
      answerWith(response, 200, page([]));
    });
    expect(await sourceAt(baseUrl).clockOffsetMs(never)).toBe(0);
  });

  test("is an error when the API is unavailable", async () => {
    const { baseUrl } = await inTurn((request) => request.socket.destroy());
    await expect(sourceAt(baseUrl).clockOffsetMs(never)).rejects.toMatchObject({ name: "TransientError" });
  });
});

describe("the preflight", () => {
  async function findings(source: Source): Promise<Finding[]> {
    const found: Finding[] = [];
    for await (const finding of source.check(never)) found.push(finding);
    return found;
  }

  test("proves the token and its permission by one read of one past minute, and reports whether it has events", async () => {
    const { baseUrl, queries } = await inTurn(page(["a"], { continuation: "a" }));
    const found = await findings(sourceAt(baseUrl));
    expect(found.map(({ state }) => state)).toEqual(["ok", "ok"]);
    const { minimum, maximum } = queries[0]!.filter.timestamp;
    expect(found[0]!.what).toBe(`audit log: readable, has events in ${minimum}/${maximum}`);
    expect(queries).toHaveLength(1);
    expect(queries[0]!.limit).toBe(1);
    expect(Date.parse(maximum) - Date.parse(minimum)).toBe(60_000);
    expect(Date.parse(maximum)).toBeLessThan(Date.now() - 60_000);
  });

  test("passes when the minute has no events", async () => {
    const { baseUrl } = await inTurn(page([]));
    expect((await findings(sourceAt(baseUrl)))[0]!.what).toMatch(/readable, has no events in/);
  });

  test.each<[number, unknown, string, RegExp]>([
    [401, { status: "error", message: "401 Unauthorized" }, "unauthorized", /one API token/],
    [403, { status: "error", message: "403 Forbidden" }, "forbidden", /Read audit logs/],
    [404, "<html>Not found</html>", "not_found", /set baseUrl to/],
    [302, "", "bad_request", /set baseUrl to the final address/],
    [200, "<!doctype html><html>Sign in</html>", "protocol", /check baseUrl/],
  ])("has a hint for HTTP %i", async (code, body, kind, hint) => {
    const { baseUrl } = await inTurn(status(code, body));
    const found = await findings(sourceAt(baseUrl));
    expect(found).toMatchObject([{ state: "failed", error: { code: kind } }]);
    expect(found[0]!.what).toMatch(/^audit log: POST \/api\/v1\/audit_events\/query: /);
    expect(found[0]!.hint).toMatch(hint);
  });

  test("sends each request once: it does not wait for an unavailable API", async () => {
    const { baseUrl, queries } = await inTurn(status(503, ""));
    const source = sourceAt(baseUrl, { retry: { attempts: 5, baseMs: 60_000, capMs: 60_000 } });
    expect(await findings(source)).toMatchObject([{ state: "failed", error: { code: "unavailable" } }]);
    expect(queries).toHaveLength(1);
  });

  test.each([
    [0, "ok"],
    [60_000, "warning"],
    [-300_000, "failed"],
  ])("with a clock %i ms off and a lag of two minutes: %s", async (offMs, state) => {
    const date = new Date(Date.now() + offMs).toUTCString();
    const { baseUrl } = await inTurn(status(200, page([]), { date }));
    const found = (await findings(sourceAt(baseUrl))).find(({ what }) => what.startsWith("clocks"));
    expect(found).toMatchObject({ state });
  });
});
