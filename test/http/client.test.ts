import { getEventListeners } from "node:events";
import type { RequestListener } from "node:http";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { requestBudget } from "../../src/http/budget.ts";
import { ProtocolError } from "../../src/errors.ts";
import type { HttpRequest } from "../../src/http/client.ts";
import { epochMs } from "../../src/time.ts";
import { failure, get, never, newClient, SECRET, thrice, type Heard } from "../support/client.ts";
import { answerWith, serve } from "../support/serve.ts";

const kinds = (facts: readonly Heard[]) => facts.map(({ kind }) => kind);

describe("a request", () => {
  test("has the token, the user agent and Accept: JSON, and returns the complete answer", async () => {
    const server = await serve((_, response) => answerWith(response, 200, '{"a":1}', { "x-request-id": "r-1" }));
    const { client, facts } = newClient();
    const answer = await client.request(get(`${server.baseUrl}/audit_events?limit=50`), never);
    expect(answer.body.toString()).toBe('{"a":1}');
    expect(answer).toMatchObject({ status: 200, what: "GET /audit_events", headers: { "x-request-id": "r-1" } });
    expect(server.requests[0]!.headers).toMatchObject({
      authorization: `Bearer ${SECRET}`,
      "user-agent": "siem-export-worker/0 (+test)",
      accept: "application/json",
    });
    expect(server.requests[0]!.url).toBe("/audit_events?limit=50");
    expect(facts).toMatchObject([{ kind: "request.done", status: 200, bytes: 7 }]);
  });

  test("sends its body unchanged", async () => {
    const server = await serve((request, response) => request.pipe(response));
    const { client } = newClient();
    const request = get(`${server.baseUrl}/query`, {
      method: "POST",
      body: '{"é":1}',
      headers: { "content-type": "application/json" },
    });
    const answer = await client.request(request, never);
    expect(answer.body.toString()).toBe('{"é":1}');
    expect(server.requests[0]!.headers["content-type"]).toBe("application/json");
  });

  test.each([
    ["gzip", gzipSync],
    ["br", brotliCompressSync],
  ])("reads an answer compressed with %s", async (encoding, compress) => {
    const server = await serve((_, response) =>
      answerWith(response, 200, compress("ten thousand events"), { "content-encoding": encoding }),
    );
    const answer = await newClient().client.request(get(server.baseUrl), never);
    expect(answer.body.toString()).toBe("ten thousand events");
  });

  test("reads a body of many megabytes, byte for byte", async () => {
    const body = Buffer.alloc(20 * 1024 * 1024, "0123456789abcdef\n");
    const server = await serve((_, response) => answerWith(response, 200, body));
    const answer = await newClient().client.request(get(server.baseUrl), never);
    expect(answer.body.equals(body)).toBe(true);
  });

  test("does not follow a redirect, and the token does not go there", async () => {
    const other = await serve((_, response) => answerWith(response, 200, "{}"));
    const server = await serve((_, response) =>
      answerWith(response, 302, "", { location: `${other.baseUrl}/login?ticket=abc` }),
    );
    const error = await failure(
      newClient().client.request(get(`${server.baseUrl}/a`, { classify: () => undefined }), never),
    );
    expect(error).toMatchObject({ name: "RefusedError", code: "bad_request" });
    expect(error.message).toBe(`GET /a: HTTP 302: redirected to ${other.baseUrl}`);
    expect(error.hint).toMatch(/baseUrl/);
    expect(other.requests).toEqual([]);
  });

  test("reuses the connection of the previous request", async () => {
    const ports: (number | undefined)[] = [];
    const server = await serve((request, response) => {
      ports.push(request.socket.remotePort);
      answerWith(response, 200, "{}");
    });
    const { client } = newClient();
    for (let index = 0; index < 3; index++) await client.request(get(server.baseUrl), never);
    expect(ports).toEqual([ports[0], ports[0], ports[0]]);
  });

  test("takes its place in the budget first, and reports when it was sent and when answered", async () => {
    const order: string[] = [];
    const server = await serve((_, response) => {
      order.push("arrived");
      answerWith(response, 200, "{}");
    });
    const budget = {
      take: async () => {
        order.push("place");
        return { sent: () => order.push("sent"), answered: () => order.push("answered") };
      },
      throttled: () => undefined,
    };
    await newClient({ budget }).client.request(get(server.baseUrl), never);
    expect(order[0]).toBe("place");
    expect(order.slice(1, 3).sort()).toEqual(["arrived", "sent"]);
    expect(order[3]).toBe("answered");
  });

  test("reads the secret each time", async () => {
    const secrets = ["first", "second"];
    const server = await serve((_, response) => answerWith(response, 200, "{}"));
    const { client } = newClient({ secret: () => secrets.shift()! });
    await client.request(get(server.baseUrl), never);
    await client.request(get(server.baseUrl), never);
    expect(server.requests.map(({ headers }) => headers.authorization)).toEqual(["Bearer first", "Bearer second"]);
  });

  test.each(["", "two words", "line\n", "tökén"])("is not sent with the token %j", async (token) => {
    const server = await serve((_, response) => answerWith(response, 200, "{}"));
    const error = await failure(newClient({ secret: () => token }).client.request(get(server.baseUrl), never));
    expect(error).toMatchObject({ name: "RefusedError", code: "unauthorized" });
    expect(server.requests).toEqual([]);
  });
});

describe("a 401", () => {
  const only =
    (good: string): RequestListener =>
    (request, response) => {
      const isGood = request.headers.authorization === `Bearer ${good}`;
      answerWith(response, isGood ? 200 : 401, {});
    };

  test("is retried once when the secret was replaced in the meantime", async () => {
    const server = await serve(only("new"));
    let reads = 0;
    const { client, facts } = newClient({ secret: () => (reads++ === 0 ? "old" : "new") });
    expect((await client.request(get(server.baseUrl), never)).status).toBe(200);
    expect(kinds(facts)).toEqual(["request.done", "request.done"]);
  });

  test("is not retried with the same secret", async () => {
    const server = await serve(only("new"));
    const { client } = newClient({ secret: () => "old", retry: thrice });
    expect(await failure(client.request(get(server.baseUrl), never))).toMatchObject({ code: "unauthorized" });
    expect(server.requests).toHaveLength(1);
  });

  test("for the new secret too is final", async () => {
    const server = await serve(only("none"));
    let reads = 0;
    const { client } = newClient({ secret: () => `secret-${reads++}`, retry: thrice });
    expect(await failure(client.request(get(server.baseUrl), never))).toMatchObject({ code: "unauthorized" });
    expect(server.requests).toHaveLength(2);
  });
});

describe("a refusal", () => {
  test.each([
    [400, "RefusedError", "bad_request"],
    [401, "RefusedError", "unauthorized"],
    [402, "RefusedError", "forbidden"],
    [403, "RefusedError", "forbidden"],
    [404, "RefusedError", "not_found"],
    [408, "TransientError", "timeout"],
    [409, "ProtocolError", "protocol"],
    [422, "RefusedError", "bad_request"],
    [429, "TransientError", "rate_limited"],
    [500, "TransientError", "unavailable"],
    [503, "TransientError", "unavailable"],
    [504, "TransientError", "unavailable"],
  ])("with HTTP %i is a %s (%s)", async (status, name, code) => {
    const server = await serve((_, response) => answerWith(response, status, "{}", { "x-request-id": "7f-3" }));
    const request = newClient().client.request(get(`${server.baseUrl}/audit_events?actor_id=7`), never);
    const error = await failure(request);
    expect(error).toMatchObject({ name, code });
    expect(error.message).toBe(`GET /audit_events: HTTP ${status} (x-request-id 7f-3)`);
  });

  test("is classified by the source, and the source never sees the token", async () => {
    const server = await serve((request, response) => answerWith(response, 418, request.headers.authorization));
    const classify: HttpRequest["classify"] = ({ body }) => new ProtocolError(`teapot: ${body.toString()}`);
    const error = await failure(newClient().client.request(get(server.baseUrl, { classify }), never));
    expect(error.message).toBe("teapot: Bearer ***");
  });

  test("has no word of the token's headers in it, but what is the same with any token stays", async () => {
    const authorize = (token: string) => ({
      authorization: `Basic ${Buffer.from(token).toString("base64")}`,
      "x-api-version": "7",
    });
    const server = await serve((request, response) =>
      answerWith(response, 418, `key ${request.headers.authorization!.slice("Basic ".length)}, code 1007, Basic`),
    );
    const classify: HttpRequest["classify"] = ({ body }) => new ProtocolError(body.toString());
    const error = await failure(newClient({ authorize }).client.request(get(server.baseUrl, { classify }), never));
    expect(error.message).toBe("key ***, code 1007, Basic");
  });

  test("that may pass is retried, reported as a fact, and ends with the answer", async () => {
    let asked = 0;
    const server = await serve((_, response) => answerWith(response, ++asked < 3 ? 503 : 200, "{}"));
    const { client, facts } = newClient({ retry: thrice });
    await client.request(get(server.baseUrl), never);
    const cycle = ["request.done", "retrying"];
    expect(kinds(facts)).toEqual([...cycle, ...cycle, "request.done"]);
    expect(facts[1]).toMatchObject({ stage: "fetch", attempt: 1, error: { code: "unavailable" } });
  });

  test("of a request that must not be repeated is not retried", async () => {
    const server = await serve((_, response) => answerWith(response, 503, "{}"));
    const { client } = newClient({ retry: thrice });
    await failure(client.request(get(server.baseUrl, { retrySafe: false }), never));
    expect(server.requests).toHaveLength(1);
  });

  test.each([
    ["seconds", "2", 2000],
    ["an HTTP date", "Fri, 20 Nov 2026 10:00:30 GMT", 30_000],
    ["an absurd time", "99999999999", 3_600_000],
    ["nothing", undefined, 0],
  ])("429 with Retry-After as %s says how long to wait, by the server's clock", async (_name, header, retryAfterMs) => {
    const server = await serve((_, response) => {
      answerWith(response, 429, "", {
        date: "Fri, 20 Nov 2026 10:00:00 GMT",
        ...(header === undefined ? {} : { "retry-after": header }),
      });
    });
    const waits: number[] = [];
    const budget = {
      take: async () => ({ sent: () => undefined, answered: () => undefined }),
      throttled: (ms: number) => waits.push(ms),
    };
    const error = await failure(newClient({ budget }).client.request(get(server.baseUrl), never));
    expect(error).toMatchObject({ code: "rate_limited", retryAfterMs });
    expect(waits).toEqual([retryAfterMs]);
  });
});

describe("an abort", () => {
  const reason = new Error("stopping");

  test("in the middle of a request ends it with the reason, and leaves no listener behind", async () => {
    const stop = new AbortController();
    const server = await serve((_, response) => {
      response.writeHead(200).write("{");
      setImmediate(() => stop.abort(reason));
    });
    const { client } = newClient({ retry: thrice });
    await expect(client.request(get(server.baseUrl), stop.signal)).rejects.toBe(reason);
    expect(server.requests).toHaveLength(1);
    expect(getEventListeners(stop.signal, "abort")).toEqual([]);
  });

  test("during the wait for a retry ends it", async () => {
    const stop = new AbortController();
    const server = await serve((_, response) => answerWith(response, 429, "", { "retry-after": "3000" }));
    const { client } = newClient({
      retry: thrice,
      observe: ({ kind }) => {
        if (kind === "retrying") setImmediate(() => stop.abort(reason));
      },
    });
    await expect(client.request(get(server.baseUrl), stop.signal)).rejects.toThrow("stopping");
    expect(server.requests).toHaveLength(1);
  });

  test("during the wait for a place in the budget ends it, unsent", async () => {
    const stop = new AbortController();
    const server = await serve((_, response) => answerWith(response, 200, "{}"));
    const budget = requestBudget(1);
    budget.throttled(60_000);
    const request = newClient({ budget }).client.request(get(server.baseUrl), stop.signal);
    setImmediate(() => stop.abort(reason));
    await expect(request).rejects.toBe(reason);
    expect(server.requests).toEqual([]);
  });

  test("that never happens leaves no listener behind either", async () => {
    const { signal } = new AbortController();
    const server = await serve((_, response) => answerWith(response, 200, "{}"));
    const { client } = newClient();
    await Promise.all(Array.from({ length: 20 }, () => client.request(get(server.baseUrl), signal)));
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });
});

describe("the server's clock", () => {
  const noon = Date.UTC(2026, 10, 20, 12);

  test("is read from Date, also of a refusal, and is unknown before", async () => {
    const dates = ["Fri, 20 Nov 2026 12:00:07 GMT", "Fri, 20 Nov 2026 11:59:50 GMT"];
    const server = await serve((_, response) => answerWith(response, 403, "", { date: dates.shift()! }));
    const { client } = newClient({ now: () => epochMs(noon + 250) });
    expect(client.clockOffsetMs()).toBeUndefined();
    await failure(client.request(get(server.baseUrl), never));
    expect(client.clockOffsetMs()).toBe(6750);
    await failure(client.request(get(server.baseUrl), never));
    expect(client.clockOffsetMs()).toBe(-10_250);
  });

  test("is taken when the head arrives, however long the body takes", async () => {
    const server = await serve((_, response) => {
      response.writeHead(200, { date: "Fri, 20 Nov 2026 12:00:00 GMT" }).write("{");
      setTimeout(() => response.end("}"), 50);
    });
    let calls = 0;
    const { client } = newClient({ now: () => epochMs(noon + 1000 * calls++) });
    const answer = await client.request(get(server.baseUrl), never);
    expect(answer.date).toBe(noon);
    expect(client.clockOffsetMs()).toBe(-1000);
  });

  test("stays unknown without a Date", async () => {
    const server = await serve((_, response) => {
      response.sendDate = false;
      answerWith(response, 200, "{}");
    });
    const { client } = newClient();
    const answer = await client.request(get(server.baseUrl), never);
    expect(answer.date).toBeUndefined();
    expect(client.clockOffsetMs()).toBeUndefined();
  });
});

test("the server sees no more than the limit in any second", { timeout: 20_000 }, async () => {
  const arrivals: number[] = [];
  const server = await serve((_, response) => {
    arrivals.push(performance.now());
    answerWith(response, 200, "{}");
  });
  const { client } = newClient({ budget: requestBudget(40) });
  // First the module is loaded and a connection is opened.
  await client.request(get(server.baseUrl), never);
  await Promise.all(Array.from({ length: 90 }, () => client.request(get(server.baseUrl), never)));
  const spans = arrivals.slice(41).map((at, index) => at - arrivals[index + 1]!);
  // Both sides share one busy machine, so a hundredth of a second is allowed for.
  expect(Math.min(...spans)).toBeGreaterThan(990);
});
