import { getEventListeners } from "node:events";
import { Agent as HttpAgent, type RequestListener } from "node:http";
import { Agent as HttpsAgent, createServer as createSecureServer } from "node:https";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer as createTcpServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { describe, expect, onTestFinished, test } from "vitest";
import { createAgents } from "../src/agents.ts";
import { requestBudget } from "../src/budget.ts";
import { ExporterError, ProtocolError } from "../src/errors.ts";
import type { StreamFact } from "../src/fact.ts";
import { httpClient, type HttpClient, type HttpClientOptions, type HttpRequest } from "../src/http.ts";
import { epochMs } from "../src/time.ts";
import { makeAuthority } from "./support/authority.ts";
import { answerWith, serve } from "./support/serve.ts";

const SECRET = "canary-token-0123456789";
const never = new AbortController().signal;
const once = { attempts: 1, baseMs: 1, capMs: 1 };
const thrice = { attempts: 3, baseMs: 1, capMs: 2 };

type Heard = Omit<StreamFact, "stream">;

/** A client of its own for one test, and the facts it told. */
function newClient(options: Partial<HttpClientOptions> = {}): { client: HttpClient; facts: Heard[] } {
  const facts: Heard[] = [];
  const agents = { http: new HttpAgent({ keepAlive: true }), https: new HttpsAgent() };
  onTestFinished(() => agents.http.destroy());
  const client = httpClient({
    agents,
    userAgent: "siem-export-worker/0 (+test)",
    budget: requestBudget(1000),
    secret: () => SECRET,
    observe: (fact) => facts.push(fact),
    retry: once,
    ...options,
  });
  return { client, facts };
}

function get(url: string, more: Partial<HttpRequest> = {}): HttpRequest {
  return { method: "GET", url: new URL(url), retrySafe: true, ...more };
}

/** The error that a request ends with; no part of it, however deep, may hold the token or the query. */
async function failure(request: Promise<unknown>): Promise<ExporterError> {
  const error = await request.then(
    () => new Error("succeeded"),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ExporterError);
  const all = inspect(error, { depth: Infinity, showHidden: true });
  expect(all).not.toContain(SECRET);
  expect(all).not.toContain("actor_id");
  return error as ExporterError;
}

const kinds = (facts: readonly Heard[]) => facts.map(({ kind }) => kind);

describe("a request", () => {
  test("carries the token, the user agent and the wish for JSON, and gives the whole answer", async () => {
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

  test("with a body sends it as it is", async () => {
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
  ])("takes an answer compressed with %s", async (encoding, compress) => {
    const server = await serve((_, response) =>
      answerWith(response, 200, compress("ten thousand events"), { "content-encoding": encoding }),
    );
    const answer = await newClient().client.request(get(server.baseUrl), never);
    expect(answer.body.toString()).toBe("ten thousand events");
  });

  test("takes a body of many megabytes, byte for byte", async () => {
    const body = Buffer.alloc(20 * 1024 * 1024, "0123456789abcdef\n");
    const server = await serve((_, response) => answerWith(response, 200, body));
    const answer = await newClient().client.request(get(server.baseUrl), never);
    expect(answer.body.equals(body)).toBe(true);
  });

  test("is not followed to where a redirect points, and the token does not go there", async () => {
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

  test("goes over the connection of the one before", async () => {
    const ports: (number | undefined)[] = [];
    const server = await serve((request, response) => {
      ports.push(request.socket.remotePort);
      answerWith(response, 200, "{}");
    });
    const { client } = newClient();
    for (let index = 0; index < 3; index++) await client.request(get(server.baseUrl), never);
    expect(ports).toEqual([ports[0], ports[0], ports[0]]);
  });

  test("asks for the secret each time", async () => {
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

  test("is tried once more when the secret has been replaced meanwhile", async () => {
    const server = await serve(only("new"));
    let reads = 0;
    const { client, facts } = newClient({ secret: () => (reads++ === 0 ? "old" : "new") });
    expect((await client.request(get(server.baseUrl), never)).status).toBe(200);
    expect(kinds(facts)).toEqual(["request.done", "request.done"]);
  });

  test("is not tried again with the same secret", async () => {
    const server = await serve(only("new"));
    const { client } = newClient({ secret: () => "old", retry: thrice });
    expect(await failure(client.request(get(server.baseUrl), never))).toMatchObject({ code: "unauthorized" });
    expect(server.requests).toHaveLength(1);
  });

  test("with the new secret as well is the end", async () => {
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

  test("is what the source makes of it, and the source never sees the token", async () => {
    const server = await serve((request, response) => answerWith(response, 418, request.headers.authorization));
    const classify: HttpRequest["classify"] = ({ body }) => new ProtocolError(`teapot: ${body.toString()}`);
    const error = await failure(newClient().client.request(get(server.baseUrl, { classify }), never));
    expect(error.message).toBe("teapot: Bearer ***");
  });

  test("that may pass is tried again, told as a fact, and ends with the answer", async () => {
    let asked = 0;
    const server = await serve((_, response) => answerWith(response, ++asked < 3 ? 503 : 200, "{}"));
    const { client, facts } = newClient({ retry: thrice });
    await client.request(get(server.baseUrl), never);
    const cycle = ["request.done", "retrying"];
    expect(kinds(facts)).toEqual([...cycle, ...cycle, "request.done"]);
    expect(facts[1]).toMatchObject({ stage: "fetch", attempt: 1, error: { code: "unavailable" } });
  });

  test("of a request that must not be made twice is not tried again", async () => {
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
    const budget = { take: async () => undefined, throttled: (ms: number) => waits.push(ms) };
    const error = await failure(newClient({ budget }).client.request(get(server.baseUrl), never));
    expect(error).toMatchObject({ code: "rate_limited", retryAfterMs });
    expect(waits).toEqual([retryAfterMs]);
  });
});

describe("an outage", () => {
  const half: RequestListener = (_, response) => {
    response.writeHead(200, { "content-length": "999" }).write('{"data":[', () => response.destroy());
  };

  test.each<[string, RequestListener]>([
    ["a body cut half-way", half],
    ["a chunked body cut half-way", (_, response) => response.write('{"data":[', () => response.destroy())],
    [
      "a compressed body cut half-way",
      (_, response) => {
        response.writeHead(200, { "content-encoding": "gzip" });
        response.end(gzipSync("x".repeat(10_000)).subarray(0, 20));
      },
    ],
    ["a connection closed without an answer", (request) => request.socket.destroy()],
    ["something that is not HTTP", (request) => request.socket.end("SSH-2.0-OpenSSH_9.2\r\n\r\n")],
  ])("%s is one of the network", async (_name, answer) => {
    const server = await serve(answer);
    const error = await failure(newClient().client.request(get(`${server.baseUrl}/a?actor_id=7`), never));
    expect(error).toMatchObject({ name: "TransientError", code: "network" });
    expect(error.message).toMatch(/^GET \/a: \S/);
    expect(error.cause).toBeInstanceOf(Error);
  });

  test("a body cut half-way is asked for again and never taken for an answer", async () => {
    let asked = 0;
    const server = await serve((request, response) => {
      if (++asked === 1) half(request, response);
      else answerWith(response, 200, "whole");
    });
    const { client } = newClient({ retry: thrice });
    expect((await client.request(get(server.baseUrl), never)).body.toString()).toBe("whole");
  });

  test("a port where nobody listens is one of the network", async () => {
    const { baseUrl } = await closedPort();
    const error = await failure(newClient().client.request(get(`${baseUrl}/a`), never));
    expect(error).toMatchObject({ code: "network" });
    expect(error.message).toMatch(/ECONNREFUSED/);
  });

  test("a host without an address says where to look", async () => {
    const error = await failure(newClient().client.request(get("http://nobody.invalid/a"), never));
    expect(error).toMatchObject({ name: "TransientError" });
    if (error.message.includes("ENOTFOUND")) expect(error.hint).toMatch(/DNS/);
  });

  test("a certificate that nobody trusts says so, and is taken once its authority is named", async () => {
    const directory = mkdtempSync(join(tmpdir(), "http-test-"));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const { caFile, key, cert } = makeAuthority(directory);
    const server = createSecureServer({ key, cert }, (_, response) => answerWith(response, 200, "{}"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => {
      server.close().closeAllConnections();
    });
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/a`;

    const error = await failure(newClient({ agents: createAgents({ env: {} }) }).client.request(get(url), never));
    expect(error).toMatchObject({ name: "TransientError", code: "network" });
    expect(error.hint).toMatch(/caFile/);

    const agents = createAgents({ caFile, env: {} });
    onTestFinished(() => agents.https.destroy());
    expect((await newClient({ agents }).client.request(get(url), never)).status).toBe(200);
  });

  test("TLS where there is none says so", async () => {
    const server = await serve((_, response) => answerWith(response, 200, "{}"));
    const url = server.baseUrl.replace("http:", "https:");
    const error = await failure(newClient().client.request(get(url), never));
    expect(error).toMatchObject({ code: "network" });
    expect(error.hint).toMatch(/https:\/\/ and the port/);
  });
});

describe("a stall ends", () => {
  const short = { connectMs: 1000, headMs: 1000, idleMs: 1000, wholeMs: 5000 };

  test("when no head of an answer comes", async () => {
    const server = await serve(() => undefined);
    const { client } = newClient({ timeouts: { ...short, headMs: 50 } });
    const error = await failure(client.request(get(`${server.baseUrl}/a`), never));
    expect(error).toMatchObject({ name: "TransientError", code: "timeout" });
    expect(error.message).toBe("GET /a: timed out waiting for the head of the answer");
  });

  test("when the body stops", async () => {
    const server = await serve((_, response) => response.writeHead(200).write("{"));
    const { client } = newClient({ timeouts: { ...short, idleMs: 50 } });
    expect(await failure(client.request(get(server.baseUrl), never))).toMatchObject({ code: "timeout" });
  });

  test("when the body comes for ever, a byte at a time", async () => {
    const server = await serve((_, response) => {
      const drip = setInterval(() => response.write(" "), 20);
      response.on("close", () => clearInterval(drip));
    });
    const { client } = newClient({ timeouts: { ...short, wholeMs: 300 } });
    expect(await failure(client.request(get(server.baseUrl), never))).toMatchObject({ code: "timeout" });
  });

  test("when the TLS handshake does", async () => {
    const server = createTcpServer(() => undefined);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/a`;
    const { client } = newClient({ timeouts: { ...short, connectMs: 100 } });
    const error = await failure(client.request(get(url), never));
    expect(error.message).toBe("GET /a: timed out waiting for the TLS handshake");
  });

  test("when an answer has no end: it is refused at its limit, also when it is small on the wire", async () => {
    const megabyte = gzipSync(Buffer.alloc(1024 * 1024));
    const server = await serve((_, response) => {
      response.writeHead(200, { "content-encoding": "gzip" });
      const pour = () => {
        while (response.write(megabyte));
      };
      response.on("drain", pour);
      pour();
    });
    const error = await failure(newClient().client.request(get(server.baseUrl), never));
    expect(error).toMatchObject({ name: "ProtocolError" });
    expect(error.message).toMatch(/larger than 268435456 bytes/);
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

  test("in the wait for another try ends it", async () => {
    const stop = new AbortController();
    const server = await serve((_, response) => answerWith(response, 429, "", { "retry-after": "3000" }));
    const { client } = newClient({
      retry: thrice,
      observe: ({ kind }) => {
        if (kind === "retrying") setImmediate(() => stop.abort(reason));
      },
    });
    await expect(client.request(get(server.baseUrl), stop.signal)).rejects.toMatchObject({ name: "AbortError" });
    expect(server.requests).toHaveLength(1);
  });

  test("in the wait for a place in the budget ends it, unsent", async () => {
    const stop = new AbortController();
    const server = await serve((_, response) => answerWith(response, 200, "{}"));
    const budget = requestBudget(1);
    budget.throttled(60_000);
    const request = newClient({ budget }).client.request(get(server.baseUrl), stop.signal);
    setImmediate(() => stop.abort(reason));
    await expect(request).rejects.toBe(reason);
    expect(server.requests).toEqual([]);
  });

  test("that nobody asks for leaves no listener behind either", async () => {
    const { signal } = new AbortController();
    const server = await serve((_, response) => answerWith(response, 200, "{}"));
    const { client } = newClient();
    await Promise.all(Array.from({ length: 20 }, () => client.request(get(server.baseUrl), signal)));
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });
});

describe("the server's clock", () => {
  const noon = Date.UTC(2026, 10, 20, 12);

  test("is read from its Date, of a refusal too, and is not known before", async () => {
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

  test("stays unknown when no answer says it", async () => {
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
  // Its module is loaded and its connections are open before the clock counts.
  await client.request(get(server.baseUrl), never);
  await Promise.all(Array.from({ length: 90 }, () => client.request(get(server.baseUrl), never)));
  const spans = arrivals.slice(41).map((at, index) => at - arrivals[index + 1]!);
  // Both ends share one busy machine, so a hundredth of a second is forgiven.
  expect(Math.min(...spans)).toBeGreaterThan(990);
});

/** An address of this machine where nobody listens any more. */
async function closedPort(): Promise<{ baseUrl: string }> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return { baseUrl: `http://127.0.0.1:${port}` };
}
