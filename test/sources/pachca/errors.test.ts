import { describe, expect, test } from "vitest";
import { failure, idsOf, inTurn, page, sourceAt, status } from "../../support/pachca.ts";
import { answerWith, serve } from "../../support/serve.ts";

describe("a refusal", () => {
  const oauth = { error: "insufficient_scope", error_description: "The token is not enough" };
  const api = { errors: [{ key: "start_time", value: "7", message: "is invalid", code: "invalid", payload: null }] };

  test.each([
    [400, "RefusedError", "bad_request", undefined],
    [401, "RefusedError", "unauthorized", /revoked or has expired/],
    [402, "RefusedError", "forbidden", /unpaid/],
    [403, "RefusedError", "forbidden", /audit_events:read and its owner must be the workspace owner/],
    [404, "RefusedError", "not_found", /\/api\/shared\/v1/],
    [409, "ProtocolError", "protocol", undefined],
    [422, "RefusedError", "bad_request", undefined],
    [429, "TransientError", "rate_limited", undefined],
    [500, "TransientError", "unavailable", undefined],
    [502, "TransientError", "unavailable", undefined],
  ])(
    "with HTTP %i has its class, code and hint for both error formats and other bodies",
    async (code, name, kind, hint) => {
      const shapes: readonly [unknown, string][] = [
        [oauth, ": insufficient_scope: The token is not enough"],
        [api, ": start_time is invalid (invalid)"],
        [{ errors: [{ message: "is invalid" }, null, 7, {}] }, ": is invalid"],
        ["<html>502 Bad Gateway</html>", ""],
        [{ error: { nested: true } }, ""],
        ["null", ""],
        ["", ""],
      ];
      for (const [body, said] of shapes) {
        const { baseUrl } = await inTurn(status(code, body, { "x-request-id": "req-9" }));
        const error = await failure(sourceAt(baseUrl));
        expect(error).toMatchObject({ name, code: kind });
        expect(error.message).toBe(`GET /audit_events: HTTP ${code}${said} (x-request-id req-9)`);
        if (hint === undefined) expect(error.hint).toBeUndefined();
        else expect(error.hint).toMatch(hint);
      }
    },
  );

  test("that names a scope has a hint with that scope", async () => {
    const body = { error: "insufficient_scope", error_description: "Scope is missing. Required: profile:read" };
    const { baseUrl } = await inTurn(status(403, body));
    expect((await failure(sourceAt(baseUrl))).hint).toBe("the token needs the scope profile:read");
  });

  test("has a short message on one line", async () => {
    const { baseUrl } = await inTurn(status(422, { errors: [{ message: "no\n".repeat(5000) }] }));
    const { message } = await failure(sourceAt(baseUrl));
    expect(message).not.toContain("\n");
    expect(message.length).toBeLessThan(400);
  });

  test("with 429 is retried after its Retry-After", async () => {
    const times: number[] = [];
    const { baseUrl } = await serve((_, response) => {
      times.push(performance.now());
      if (times.length === 1) answerWith(response, 429, "", { "retry-after": "1" });
      else answerWith(response, 200, page(["a"], { has_next: false, next_page: "1" }));
    });
    const source = sourceAt(baseUrl, { retry: { attempts: 2, baseMs: 1, capMs: 1 } });
    expect(await idsOf(source)).toEqual(["a"]);
    expect(times[1]! - times[0]!).toBeGreaterThanOrEqual(990);
  });

  test("of a token that is replaced during a pass does not end the pass", async () => {
    const secrets = ["old", "old", "new"];
    const { baseUrl, requests } = await inTurn(
      page(["a"], { next_page: "1", has_next: true }),
      status(401, { error: "invalid_token" }),
      page(["b"], { next_page: "2", has_next: false }),
    );
    expect(await idsOf(sourceAt(baseUrl, { secret: () => secrets.shift()! }))).toEqual(["a", "b"]);
    expect(requests.map(({ headers }) => headers.authorization)).toEqual(["Bearer old", "Bearer old", "Bearer new"]);
  });
});
