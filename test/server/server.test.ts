import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { ConfigError, RefusedError } from "../../src/errors.ts";
import type { Fact } from "../../src/fact.ts";
import { serveHealth, type HealthOptions, type ServerContent } from "../../src/server/server.ts";
import { epochMs, HOUR_MS, type EpochMs } from "../../src/time.ts";
import { committed, fold, LATER, contentOf, ticked } from "../support/status.ts";
import { START } from "../support/world.ts";

const HERE = { host: "127.0.0.1", port: 0 };
/** Exported until an hour and a half after the start: `LATER`. */
const well = fold([
  [LATER, committed(18)],
  [LATER, ticked(18)],
]);
const error = new RefusedError("forbidden", "GET /x: HTTP 403", { hint: "the token needs a scope" });
const failed: Fact = { kind: "tick.failed", stream: "acme", error, durationMs: 9 };

/** A clock on which a second passes between two requests, so that no answer is reused. */
function fastClock(): () => number {
  let now = 0;
  return () => (now += 1000);
}

async function served(content: ServerContent, options: Partial<HealthOptions> = {}, clock = fastClock()) {
  const server = await serveHealth({ ...HERE, ...options }, content, { now: clock });
  onTestFinished(() => server.close());
  return async (path: string, init: RequestInit = {}) => {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`, init);
    const text = await response.text();
    const isJson = response.headers.get("content-type") === "application/json" && text !== "";
    return { code: response.status, text, body: isJson ? (JSON.parse(text) as unknown) : undefined, response };
  };
}

test("ready means that the last run succeeded and the lag is within its limit; else 503 with the streams, reasons and hints", async () => {
  let status = fold([]);
  let now: EpochMs = START;
  const ask = await served(
    contentOf(
      () => status,
      () => now,
    ),
  );
  expect(await ask("/readyz")).toMatchObject({ code: 503, body: { ready: false, unready: [{ state: "starting" }] } });
  status = well;
  now = LATER;
  expect(await ask("/readyz")).toMatchObject({ code: 200, body: { ready: true, stopping: false, unready: [] } });
  now = epochMs(LATER + HOUR_MS);
  expect(await ask("/readyz")).toMatchObject({ code: 503, body: { unready: [{ stream: "acme", state: "behind" }] } });
  status = fold([
    [LATER, ticked(18)],
    [LATER, failed],
  ]);
  const { code, body } = await ask("/readyz");
  expect(code).toBe(503);
  expect(body).toMatchObject({
    unready: [{ stream: "acme", state: "failing", code: "forbidden", hint: "the token needs a scope" }],
  });
  expect((await ask("/healthz")).code).toBe(200);
});

test("a worker that was asked to stop is alive, but not ready", async () => {
  const stopping = fold([
    [LATER, ticked(18)],
    [LATER, { kind: "worker.stopping", reason: "SIGTERM received" }],
  ]);
  const ask = await served(contentOf(() => stopping));
  expect(await ask("/readyz")).toMatchObject({ code: 503, body: { ready: false, stopping: true, unready: [] } });
  expect((await ask("/healthz")).code).toBe(200);
});

test("status, metrics, page and its files are served with their content types", async () => {
  const ask = await served(contentOf(() => well));
  expect((await ask("/status.json")).body).toMatchObject({ version: "1.2.3", streams: [{ stream: "acme" }] });
  const metrics = await ask("/metrics");
  expect(metrics.response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  expect(metrics.text).toContain('siem_export_head_sequence{stream="acme"} 18');
  const page = await ask("/");
  expect([page.text, page.response.headers.get("content-type")]).toEqual([
    "<!doctype html><title>1</title>",
    "text/html; charset=utf-8",
  ]);
  expect((await ask("/?stream=acme")).text).toContain("<title>acme</title>");
  expect((await ask("/style.css?v=1")).text).toBe("p {}");
});

test("it answers only GET and HEAD, and 404 to unknown paths", async () => {
  const ask = await served(contentOf(() => well));
  for (const method of ["DELETE", "POST", "PUT", "OPTIONS"]) {
    const { code, response } = await ask("/status.json", { method });
    expect([code, response.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  }
  expect(await ask("/status.json", { method: "HEAD" })).toMatchObject({ code: 200, text: "" });
  expect((await ask("/nonesuch?x=1")).code).toBe(404);
});

test("no answer may be cached or framed, or load anything from other servers", async () => {
  const ask = await served(
    contentOf(() => well),
    { token: () => "t" },
  );
  for (const path of ["/", "/style.css", "/healthz", "/readyz", "/metrics", "/status.json", "/nonesuch"]) {
    for (const headers of [{}, { authorization: "Bearer t" }]) {
      const { headers: got } = (await ask(path, { headers })).response;
      expect([got.get("cache-control"), got.get("x-content-type-options")], path).toEqual(["no-store", "nosniff"]);
      const policy = got.get("content-security-policy") ?? "";
      expect(policy).toMatch(/^default-src 'none';.* frame-ancestors 'none'$/);
      expect(policy).not.toMatch(/unsafe|https?:|\*/);
    }
  }
});

test("everything except health requires the token: as a bearer token, or as a password in a browser", async () => {
  let token = "s3cret-canary";
  const ask = await served(
    contentOf(() => well),
    { token: () => token },
  );
  expect((await ask("/healthz")).code).toBe(200);
  expect((await ask("/readyz")).code).toBe(200);
  const basic = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`;
  const wrong = ["", "Bearer x", "Bearer s3cret-canar", "Bearer", "Digest s3cret-canary", basic("me:x"), basic("me:")];
  for (const path of ["/", "/style.css", "/metrics", "/status.json", "/nonesuch"]) {
    for (const authorization of wrong) {
      const { code, response, text } = await ask(path, { headers: { authorization } });
      expect(code, `${path} ${authorization}`).toBe(401);
      expect(response.headers.get("www-authenticate")).toMatch(/^Basic realm="siem-export"/);
      expect(text).not.toContain("canary");
    }
    for (const authorization of [`Bearer ${token}`, `bearer ${token}`, basic(`me:${token}`), basic(`:${token}`)]) {
      expect((await ask(path, { headers: { authorization } })).code, path).toBe(path === "/nonesuch" ? 404 : 200);
    }
  }
  token = "another";
  expect((await ask("/metrics", { headers: { authorization: "Bearer s3cret-canary" } })).code).toBe(401);
});

test("when the token file is missing, every request is refused, and the worker stays alive", async () => {
  const token = () => {
    throw new RefusedError("unauthorized", "read secret file /x: no such file");
  };
  const ask = await served(
    contentOf(() => well),
    { token },
  );
  expect((await ask("/metrics", { headers: { authorization: "Bearer " } })).code).toBe(503);
  expect((await ask("/healthz")).code).toBe(200);
});

test("a bug in the page is reported without its message, and the worker stays alive", async () => {
  const content = contentOf(() => well);
  const render = () => {
    throw new TypeError("canary is not a function");
  };
  const ask = await served({ ...content, page: { ...content.page, render } });
  const { code, text } = await ask("/");
  expect([code, text]).toEqual([500, '{"error":"internal error, please report this bug (TypeError)"}\n']);
  expect((await ask("/status.json")).code).toBe(200);
});

test("an invalid URL is answered, and the worker stays alive", async () => {
  const server = await serveHealth(
    HERE,
    contentOf(() => well),
  );
  onTestFinished(() => server.close());
  for (const target of ["//", "http://[", "/%zz?x=%", "*"]) {
    const socket = connect(server.port, "127.0.0.1");
    socket.end(`GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    let answer = "";
    for await (const chunk of socket) answer += String(chunk);
    expect(answer, target).toMatch(/^HTTP\/1\.1 (40[04]|421) /);
  }
  expect((await fetch(`http://127.0.0.1:${server.port}/healthz`)).status).toBe(200);
});

test("too long request headers are refused", async () => {
  const ask = await served(contentOf(() => well));
  expect((await ask("/healthz", { headers: { "x-long": "x".repeat(20_000) } })).code).toBe(431);
});

test("a port that is in use is a configuration error", async () => {
  const content = contentOf(() => well);
  const server = await serveHealth(HERE, content);
  onTestFinished(() => server.close());
  await expect(serveHealth({ host: "127.0.0.1", port: server.port }, content)).rejects.toThrow(ConfigError);
});

/** Everything that the server answers to these bytes until it closes the connection. */
async function raw(port: number, request: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  socket.end(request);
  let answer = "";
  for await (const chunk of socket) answer += String(chunk);
  return answer;
}

test("answers and their document are made at most once a second, and are at most a second old", async () => {
  const made = { document: 0, page: 0, metrics: 0 };
  const content = contentOf(() => well);
  let now = 0;
  const counting: ServerContent = {
    document: () => (made.document++, content.document()),
    page: { ...content.page, render: (...args) => (made.page++, content.page.render(...args)) },
    metrics: { ...content.metrics, text: () => (made.metrics++, content.metrics.text()) },
  };
  const server = await serveHealth(HERE, counting, { now: () => now });
  onTestFinished(() => server.close());
  const request = (path: string, connection: string) =>
    `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: ${connection}\r\n\r\n`;
  const paths = ["/", "/?stream=acme", "/?stream=nonesuch", "/metrics", "/readyz", "/status.json"];
  const packet =
    paths
      .map((path) => request(path, "keep-alive"))
      .join("")
      .repeat(20) + request("/", "close");
  const answers = await raw(server.port, packet);
  expect(answers.match(/HTTP\/1\.1 200 /g)).toHaveLength(121);
  expect(made).toEqual({ document: 1, page: 2, metrics: 1 });
  now = 999;
  await raw(server.port, packet);
  expect(made.document).toBe(1);
  now = 1000;
  await raw(server.port, packet);
  expect(made).toEqual({ document: 2, page: 4, metrics: 2 });
});

test("on loopback only own host names are answered, so that no foreign page can read the status by DNS rebinding", async () => {
  const server = await serveHealth(
    HERE,
    contentOf(() => well),
  );
  onTestFinished(() => server.close());
  const codeFor = async (target: string, host: string) => {
    const answer = await raw(server.port, `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    return Number(answer.slice(9, 12));
  };
  for (const host of ["localhost", "LOCALHOST:9464", "127.0.0.1:80", "127.9.9.9", "[::1]:9464", "[::1]"]) {
    expect(await codeFor("/status.json", host), host).toBe(200);
  }
  for (const host of [
    "evil.example",
    "evil.example:9464",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "1.2.3.4",
    "",
  ]) {
    for (const path of ["/", "/status.json", "/readyz", "/metrics"]) expect(await codeFor(path, host), host).toBe(421);
  }
  // A host in the request target takes precedence over the header.
  expect(await codeFor("http://localhost:9464/healthz", "evil.example")).toBe(200);
  expect(await codeFor("http://127.0.0.1", "localhost")).toBe(200);
  expect(await codeFor("http://evil.example/status.json", "localhost")).toBe(421);
});

test("when it listens on all addresses, all host names are answered: probes of a container use any", async () => {
  const server = await serveHealth(
    { host: "0.0.0.0", port: 0 },
    contentOf(() => well),
  );
  onTestFinished(() => server.close());
  const answer = await raw(server.port, "GET /readyz HTTP/1.1\r\nHost: 10.1.2.3:9464\r\nConnection: close\r\n\r\n");
  expect(answer).toMatch(/^HTTP\/1\.1 200 /);
});

test("a client that does not read its answer is disconnected", async () => {
  const content = contentOf(() => well);
  const page = { ...content.page, render: () => "x".repeat(16 << 20) };
  const server = await serveHealth(HERE, { ...content, page }, { idleMs: 100 });
  onTestFinished(() => server.close());
  const socket = connect(server.port, "127.0.0.1");
  socket.pause();
  socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  // A client that does not read gets no event, so the test waits long enough for the disconnection.
  await sleep(1000);
  let bytes = 0;
  socket.on("error", () => undefined);
  socket.on("data", (chunk) => (bytes += chunk.length)).resume();
  await once(socket, "close");
  expect(bytes).toBeLessThan(16 << 20);
});
