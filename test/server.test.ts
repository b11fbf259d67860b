import { connect } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { ConfigError, RefusedError } from "../src/errors.ts";
import type { Fact } from "../src/fact.ts";
import { serveHealth } from "../src/server.ts";
import { after, type Status } from "../src/status.ts";
import { epochMs, HOUR_MS } from "../src/time.ts";
import { START } from "./support/world.ts";

const started: Fact = { kind: "stream.started", stream: "acme", schedule: "* * * * *", source: "x", sink: "y" };
const committed: Fact = {
  ...{
    kind: "window.committed",
    type: "window",
    quarantined: 0,
    stream: "acme",
    sequence: 3,
    events: 5,
    late: 1,
    objects: 1,
    bytes: 100,
  },
  ...{ window: { from: START, to: epochMs(START + HOUR_MS) }, sha256: "ab" },
};
const done: Fact = {
  ...{
    kind: "tick.done",
    stream: "acme",
    windows: 1,
    events: 5,
    ...{ late: 0, quarantined: 0, gaps: 0 },
    bytes: 100,
    durationMs: 9,
    head: "3 ab",
  },
  exportedUntil: epochMs(START + HOUR_MS),
};
const error = new RefusedError("forbidden", "GET /x: HTTP 403", { hint: "the token needs a scope" });
const failed: Fact = { kind: "tick.failed", stream: "acme", error, durationMs: 9 };

const fold = (facts: readonly Fact[]): Status =>
  facts.reduce<Status>((status, fact) => after(status, fact, epochMs(START + 2 * HOUR_MS)), new Map());

async function served(status: () => Status) {
  const server = await serveHealth({ host: "127.0.0.1", port: 0 }, status);
  onTestFinished(() => server.close());
  return async (path: string, method = "GET") => {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`, { method });
    const text = await response.text();
    return { code: response.status, body: text === "" ? undefined : (JSON.parse(text) as unknown), response };
  };
}

test("the status follows the facts: what was committed is counted, a failure stays until a success", () => {
  expect(fold([started]).get("acme")).toMatchObject({ state: "starting", exportedUntil: null, events: 0 });
  const well = fold([started, committed, done]).get("acme");
  expect(well).toMatchObject({
    state: "ok",
    exportedUntil: "2026-11-01T01:00:00Z",
    head: "3 ab",
    windows: 1,
    events: 5,
  });
  const sick = fold([started, committed, done, failed]).get("acme");
  expect(sick).toMatchObject({ state: "failing", events: 5, lastSuccess: well?.lastSuccess });
  expect(sick?.failure).toMatchObject({ code: "forbidden", hint: "the token needs a scope" });
  expect(fold([started, failed, done]).get("acme")).toMatchObject({ state: "ok", failure: null });
});

test("a status that was handed out does not change under its reader", () => {
  const before = fold([started]);
  after(before, done, START);
  expect(before.get("acme")?.state).toBe("starting");
});

test("ready is who has succeeded at last: else 503, and why", async () => {
  let status = fold([started]);
  const ask = await served(() => status);
  expect(await ask("/readyz")).toMatchObject({ code: 503, body: { ready: false, unready: [{ state: "starting" }] } });
  status = fold([started, committed, done]);
  expect(await ask("/readyz")).toMatchObject({ code: 200, body: { ready: true, unready: [] } });
  status = fold([started, committed, done, failed]);
  expect(await ask("/readyz")).toMatchObject({ code: 503, body: { unready: [{ failure: { code: "forbidden" } }] } });
  expect((await ask("/healthz")).code).toBe(200);
});

test("it answers to GET and HEAD alone, keeps no answer, and knows what it does not have", async () => {
  const ask = await served(() => fold([started]));
  expect((await ask("/status.json", "DELETE")).code).toBe(405);
  expect(await ask("/healthz", "HEAD")).toMatchObject({ code: 200, body: undefined });
  const { code, response } = await ask("/nonesuch?x=1");
  expect([code, response.headers.get("cache-control")]).toEqual([404, "no-store"]);
});

test("a request that names nothing a URL can hold is answered, and the worker lives", async () => {
  const server = await serveHealth({ host: "127.0.0.1", port: 0 }, () => new Map());
  onTestFinished(() => server.close());
  for (const target of ["//", "http://[", "/%zz?x=%", "*"]) {
    const socket = connect(server.port, "127.0.0.1");
    socket.end(`GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    let answer = "";
    for await (const chunk of socket) answer += String(chunk);
    expect(answer, target).toMatch(/^HTTP\/1\.1 40[04] /);
  }
  expect((await fetch(`http://127.0.0.1:${server.port}/healthz`)).status).toBe(200);
});

test("a port that is taken is a mistake of the configuration", async () => {
  const server = await serveHealth({ host: "127.0.0.1", port: 0 }, () => new Map());
  onTestFinished(() => server.close());
  await expect(serveHealth({ host: "127.0.0.1", port: server.port }, () => new Map())).rejects.toThrow(ConfigError);
});
