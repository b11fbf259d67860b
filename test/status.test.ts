import { expect, onTestFinished, test } from "vitest";
import { freePort } from "./support/process.ts";
import { openStage, type Stage } from "./support/stage.ts";

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

async function ask(port: number, path: string): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

async function staged(): Promise<{ stage: Stage; port: number }> {
  const port = await freePort();
  const stage = await openStage({ config: { server: { host: "127.0.0.1", port } } }, onTestFinished);
  return { stage, port };
}

test("a worker says that it turns over, that it is ready, and where each stream stands", async () => {
  const { stage, port } = await staged();
  const worker = stage.start(["run"]);
  await worker.saw(/"fact":"tick\.done"/);
  expect(await ask(port, "/healthz")).toEqual({ status: 200, body: { status: "ok" } });
  expect(await ask(port, "/readyz")).toEqual({ status: 200, body: { ready: true, unready: [] } });
  const { body } = await ask(port, "/status.json");
  const checkpoint = JSON.parse(String(stage.files().get("ledger/checkpoint.json"))) as Record<string, unknown>;
  expect(body["streams"]).toMatchObject([
    {
      stream: "demo",
      state: "ok",
      failure: null,
      exportedUntil: checkpoint["exportedUntil"],
      head: `${String(checkpoint["sequence"])} ${String(checkpoint["manifestSha256"])}`,
    },
  ]);
  expect((await ask(port, "/nonesuch")).status).toBe(404);
  expect((await fetch(`http://127.0.0.1:${port}/healthz`, { method: "POST" })).status).toBe(405);

  const health = await stage.run(["health"]);
  expect([health.code, health.stderr]).toEqual([0, ""]);
  const status = await stage.run(["status", "--json"]);
  expect(status.code).toBe(0);
  expect(JSON.parse(status.stdout)).toMatchObject({
    streams: [{ stream: "demo", state: "ok", exportedUntil: checkpoint["exportedUntil"], error: null }],
  });
  const table = await stage.run(["status"]);
  expect(table.stdout).toMatch(/^STREAM +STATE .*\ndemo +ok +\S+Z /);
});

test("not ready while the API is away, and why is said; ready when it is back", async () => {
  const { stage, port } = await staged();
  stage.api.access.token = "another";
  const worker = stage.start(["run"]);
  await worker.saw(/"fact":"tick\.failed"/);
  expect((await ask(port, "/healthz")).status).toBe(200);
  const { status, body } = await ask(port, "/readyz");
  expect(status).toBe(503);
  expect(body).toMatchObject({ ready: false, unready: [{ stream: "demo", failure: { code: "unauthorized" } }] });
  const shown = await stage.run(["status"]);
  expect(shown.stdout).toMatch(/^demo +failing +nothing yet/m);
  expect(shown.stdout).toContain("HTTP 401");
  worker.kill("SIGTERM");
  await worker.ended;

  stage.api.access.token = "canary-token-4f1c9a7e";
  stage.api.faults.serverError = 1;
  const next = stage.start(["run"]);
  await next.saw(/"fact":"retrying"/);
  expect((await ask(port, "/readyz")).status).toBe(503);
  stage.api.faults.serverError = undefined;
  await next.saw(/"fact":"tick\.done"/);
  expect((await ask(port, "/readyz")).status).toBe(200);
});

test("without a worker, status goes by the ledger, and health fails and says why", async () => {
  const { stage } = await staged();
  const before = await stage.run(["status", "--json"]);
  expect(before.code, before.stderr).toBe(0);
  expect(JSON.parse(before.stdout)).toMatchObject({ streams: [{ state: "no worker here", exportedUntil: null }] });
  await stage.run(["once"]);
  const after = await stage.run(["status", "--json"]);
  const { streams } = JSON.parse(after.stdout) as { streams: { exportedUntil: string; behindSeconds: number }[] };
  const checkpoint = JSON.parse(String(stage.files().get("ledger/checkpoint.json"))) as Record<string, unknown>;
  expect(streams[0]?.exportedUntil).toBe(checkpoint["exportedUntil"]);
  expect(streams[0]?.behindSeconds).toBeGreaterThan(24 * 3600);
  const health = await stage.run(["health"]);
  expect([health.code, health.stderr]).toEqual([75, expect.stringContaining("no worker listens there")]);
});

test("a worker that hangs is not healthy, and is not waited for", async () => {
  const { stage } = await staged();
  const worker = stage.start(["run"]);
  await worker.saw(/"fact":"tick\.done"/);
  worker.kill("SIGSTOP");
  const health = await stage.run(["health"]);
  expect(health.code, health.stderr).toBe(75);
  const status = await stage.run(["status", "--json"]);
  expect(JSON.parse(status.stdout)).toMatchObject({ streams: [{ state: "no worker here" }] });
});

test("a configuration without a server has no health to ask for", async () => {
  const stage = await openStage({}, onTestFinished);
  const { code, stderr } = await stage.run(["health"]);
  expect([code, stderr]).toEqual([78, expect.stringContaining("server: false")]);
});

test("a port that is taken is a mistake of the configuration", async () => {
  const { stage } = await staged();
  const first = stage.start(["run"]);
  await first.saw(/"fact":"tick\.done"/);
  const second = await stage.run(["run"]);
  expect([second.code, second.stderr]).toEqual([78, expect.stringContaining("EADDRINUSE")]);
});
