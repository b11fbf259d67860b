import { describe, expect, test } from "vitest";
import type { Finding, Source } from "../../../src/source.ts";
import { inTurn, never, queryOf, sourceAt, status } from "../../support/pachca.ts";
import { answerWith } from "../../support/serve.ts";

describe("the API's clock", () => {
  test("is read once, by a request that leaves no event, even from a refusal", async () => {
    const { baseUrl, requests } = await inTurn(status(401, "", { date: new Date(Date.now() + 600_000).toUTCString() }));
    const source = sourceAt(baseUrl);
    const offsetMs = await source.clockOffsetMs(never);
    expect(offsetMs).toBeGreaterThan(590_000);
    expect(offsetMs).toBeLessThanOrEqual(600_000);
    expect(requests.map(({ url }) => url)).toEqual(["/oauth/token/info"]);
    expect(await source.clockOffsetMs(never)).toBe(offsetMs);
    expect(requests).toHaveLength(1);
  });

  test("is assumed to equal ours if the API sends no Date", async () => {
    const { baseUrl } = await inTurn((_, response) => {
      response.sendDate = false;
      answerWith(response, 200, "{}");
    });
    expect(await sourceAt(baseUrl).clockOffsetMs(never)).toBe(0);
  });

  test("is an error when the API is unavailable", async () => {
    const { baseUrl } = await inTurn((request) => request.socket.destroy());
    await expect(sourceAt(baseUrl).clockOffsetMs(never)).rejects.toMatchObject({ name: "TransientError" });
  });
});

describe("the preflight", () => {
  const info = {
    data: { id: 4827, token: "cH5kR9mN...x7Qp", name: "SIEM", user_id: 12, scopes: ["audit_events:read"] },
  };
  const last = { data: [], meta: { paginate: { next_page: "x", has_next: false } } };

  async function findings(source: Source): Promise<Finding[]> {
    const found: Finding[] = [];
    for await (const finding of source.check(never)) found.push(finding);
    return found;
  }

  test("reports the token and its owner, and proves the permission by a read of one past minute", async () => {
    const { baseUrl, requests } = await inTurn(info, last);
    const found = await findings(sourceAt(baseUrl));
    expect(found.map(({ state }) => state)).toEqual(["ok", "ok", "ok", "ok"]);
    expect(found[0]!.what).toBe('token: "SIEM", of user 12');
    const { start_time: from, end_time: to, limit } = queryOf(requests[1]);
    expect(limit).toBe("1");
    expect(Date.parse(to!) - Date.parse(from!)).toBe(60_000);
    expect(Date.parse(to!)).toBeLessThan(Date.now() - 60_000);
  });

  test("has a hint when the scope is missing, and reads the log all the same", async () => {
    const { baseUrl } = await inTurn({ data: { ...info.data, scopes: ["messages:read"] } }, status(403, {}));
    const failed = (await findings(sourceAt(baseUrl))).filter(({ state }) => state === "failed");
    expect(failed).toHaveLength(2);
    for (const { hint, error } of failed) {
      expect(hint).toMatch(/owner/);
      expect(error).toMatchObject({ code: "forbidden" });
    }
  });

  test("does not read the log with an invalid token", async () => {
    const { baseUrl, requests } = await inTurn(status(401, { error: "invalid_token" }));
    expect(await findings(sourceAt(baseUrl))).toMatchObject([
      {
        state: "failed",
        what: "token: GET /oauth/token/info: HTTP 401: invalid_token",
        error: { code: "unauthorized" },
      },
    ]);
    expect(requests).toHaveLength(1);
  });

  test("sends each request once: it does not wait for an unavailable API", async () => {
    const { baseUrl, requests } = await inTurn(status(503, ""));
    const source = sourceAt(baseUrl, { retry: { attempts: 5, baseMs: 60_000, capMs: 60_000 } });
    expect(await findings(source)).toMatchObject([{ state: "failed", error: { code: "unavailable" } }]);
    expect(requests).toHaveLength(1);
  });

  test("relies on reading the log if the API cannot describe tokens", async () => {
    const { baseUrl } = await inTurn(status(404, ""), last);
    expect((await findings(sourceAt(baseUrl))).map(({ state }) => state)).toEqual(["warning", "ok", "ok"]);
  });

  test.each([
    [0, "ok"],
    [30_000, "ok"],
    [60_000, "warning"],
    [-60_000, "warning"],
    [300_000, "failed"],
    [-300_000, "failed"],
  ])("with a clock %i ms off and a lag of two minutes: %s", async (offMs, state) => {
    const date = new Date(Date.now() + offMs).toUTCString();
    const { baseUrl } = await inTurn(status(200, info, { date }), last);
    const found = (await findings(sourceAt(baseUrl))).find(({ what }) => what.startsWith("clocks"));
    expect(found).toMatchObject({ state });
    if (state !== "ok") expect(found!.hint).toMatch(offMs > 0 ? /behind$/ : /ahead$/);
  });
});
