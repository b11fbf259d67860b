import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import type { StatusDocument } from "../../src/status/status-document.ts";
import { freePort } from "../support/process.ts";
import { CANARY, openStage, type Stage, type StageOptions } from "../support/stage.ts";

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

async function ask(port: number, path: string): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

async function staged(options: StageOptions = {}): Promise<{ stage: Stage; port: number }> {
  const port = await freePort();
  const config = { server: { host: "127.0.0.1", port }, ...options.config };
  const stage = await openStage({ ...options, stream: { lagLimit: "7d" }, config }, onTestFinished);
  return { stage, port };
}

test("a worker reports that it is alive, that it is ready, and the progress of each stream", async () => {
  const { stage, port } = await staged();
  const worker = stage.start(["run"]);
  await worker.saw(/"fact":"tick\.done"/);
  expect(await ask(port, "/healthz")).toEqual({ status: 200, body: { status: "ok" } });
  // The limit is a week, because the API's clock is two days behind ours.
  expect(await ask(port, "/readyz")).toEqual({ status: 200, body: { ready: true, stopping: false, unready: [] } });
  const { body } = await ask(port, "/status.json");
  const checkpoint = JSON.parse(String(stage.files().get("ledger/checkpoint.json"))) as Record<string, unknown>;
  expect(body["streams"]).toMatchObject([
    {
      stream: "demo",
      state: "ok",
      failure: null,
      exportedUntil: checkpoint["exportedUntil"],
      head: { sequence: checkpoint["sequence"], sha256: checkpoint["manifestSha256"] },
    },
  ]);
  expect((await ask(port, "/nonesuch")).status).toBe(404);
  expect((await fetch(`http://127.0.0.1:${port}/healthz`, { method: "POST" })).status).toBe(405);

  const health = await stage.run(["health"]);
  expect([health.code, health.stderr]).toEqual([0, ""]);
  const status = await stage.run(["status", "--json"]);
  expect(status.code).toBe(0);
  const { now: _, streams } = JSON.parse(status.stdout) as StatusDocument;
  const { now: __, ...told } = (await ask(port, "/status.json")).body as unknown as StatusDocument;
  const still = (all: StatusDocument["streams"]) =>
    all.map(({ lagSeconds: ___, nextTick: ____, retention: _____, ...rest }) => rest);
  expect(still(streams)).toEqual(still(told.streams));
  const table = await stage.run(["status"]);
  expect(table.stdout).toMatch(/^STREAM +STATE .*\ndemo +ok +\S+Z /);
});

test("not ready, with the reason, while the API is down; ready when it is back", async () => {
  const { stage, port } = await staged();
  stage.api.access.token = "another";
  const worker = stage.start(["run"]);
  await worker.saw(/"fact":"tick\.failed"/);
  expect((await ask(port, "/healthz")).status).toBe(200);
  const { status, body } = await ask(port, "/readyz");
  expect(status).toBe(503);
  expect(body).toMatchObject({
    ready: false,
    unready: [{ stream: "demo", code: "unauthorized", hint: expect.stringContaining("create a new one") as string }],
  });
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
  // An answer may be a second old.
  await expect.poll(async () => (await ask(port, "/readyz")).status, { timeout: 5000 }).toBe(200);
});

test("without a worker, status reads the ledger, and health fails with a reason", async () => {
  const { stage } = await staged();
  const before = await stage.run(["status", "--json"]);
  expect(before.code, before.stderr).toBe(0);
  expect(JSON.parse(before.stdout)).toMatchObject({
    ...{ startedAt: null, worker: "none" },
    streams: [{ exportedUntil: null, head: null }],
  });
  await stage.run(["once"]);
  const after = await stage.run(["status", "--json"]);
  const { streams } = JSON.parse(after.stdout) as StatusDocument;
  const checkpoint = JSON.parse(String(stage.files().get("ledger/checkpoint.json"))) as Record<string, unknown>;
  expect(streams).toMatchObject([
    {
      ...{ state: "ok", exportedUntil: checkpoint["exportedUntil"], nextTick: null },
      head: { sequence: checkpoint["sequence"], sha256: checkpoint["manifestSha256"] },
    },
  ]);
  expect(streams[0]?.lagSeconds).toBeGreaterThan(24 * 3600);
  expect(streams[0]?.windows.length).toBe(checkpoint["sequence"]);
  expect(streams[0]?.day.keys.length).toBe(10);
  const table = await stage.run(["status"]);
  expect(table.stdout).toContain("No worker answers on this machine");
  const health = await stage.run(["health"]);
  expect([health.code, health.stderr]).toEqual([75, expect.stringContaining("no worker listens there")]);
});

test("a worker that hangs is not healthy, and health does not wait for it", async () => {
  const { stage } = await staged();
  const worker = stage.start(["run"]);
  await worker.saw(/"fact":"tick\.done"/);
  worker.kill("SIGSTOP");
  const health = await stage.run(["health"]);
  expect(health.code, health.stderr).toBe(75);
  const status = await stage.run(["status", "--json"]);
  expect(JSON.parse(status.stdout)).toMatchObject({ startedAt: null, worker: "silent" });
});

test("status ignores a worker with another configuration, even when its streams have the same names", async () => {
  const { stage, port } = await staged();
  const worker = stage.start(["run"]);
  await worker.saw(/"fact":"tick\.done"/);
  const other = await openStage({ config: { server: { host: "127.0.0.1", port } } }, onTestFinished);
  const json = await other.run(["status", "--json"]);
  expect(JSON.parse(json.stdout)).toMatchObject({
    startedAt: null,
    worker: "other",
    streams: [{ exportedUntil: null }],
  });
  const table = await other.run(["status"]);
  expect(table.stdout).toContain("The worker of another configuration answers");
});

test("a ledger that cannot be read is reported as such, not as a failed run", async () => {
  const { stage } = await staged();
  await stage.run(["once"]);
  writeFileSync(join(stage.folder, "out/demo/ledger/manifests/000000000001.json"), "{");
  writeFileSync(join(stage.folder, "out/demo/ledger/checkpoint.json"), "{");
  const { code, stdout } = await stage.run(["status", "--json"]);
  expect(code).toBe(74);
  expect(JSON.parse(stdout)).toMatchObject({
    streams: [{ state: "stopped", failure: { code: "ledger" }, lastTick: null, failedTicks: 0, errors: [] }],
  });
});

test("a configuration without a server has no health", async () => {
  const stage = await openStage({}, onTestFinished);
  const { code, stderr } = await stage.run(["health"]);
  expect([code, stderr]).toEqual([75, expect.stringContaining("server: false")]);
});

test("a port in use is a mistake in the configuration", async () => {
  const { stage } = await staged();
  const first = stage.start(["run"]);
  await first.saw(/"fact":"tick\.done"/);
  const second = await stage.run(["run"]);
  expect([second.code, second.stderr]).toEqual([78, expect.stringContaining("EADDRINUSE")]);
});

test("the last day survives a restart, because the worker reads it from the ledger", async () => {
  const { stage, port } = await staged();
  await stage.run(["once"]);
  const { streams } = JSON.parse((await stage.run(["status", "--json"])).stdout) as StatusDocument;
  const worker = stage.start(["run"], { env: { LOG_LEVEL: "debug" } });
  await worker.saw(/"fact":"past\.read"/);
  const again = (await ask(port, "/status.json")).body as unknown as StatusDocument;
  expect(again.streams[0]?.windows).toEqual(streams[0]?.windows);
  expect(again.streams[0]?.day).toEqual(streams[0]?.day);
  expect(again.streams[0]?.day.events).toBeGreaterThan(100);
});

test("a worker that stops finishes the current window, and is not ready meanwhile", async () => {
  const { stage, port } = await staged({ simulator: { latencyMs: 1000 }, config: { shutdownGrace: "1m" } });
  const worker = stage.start(["run"], { env: { LOG_LEVEL: "debug" } });
  await worker.saw(/"fact":"window\.started"/);
  worker.kill("SIGTERM");
  await worker.saw(/"fact":"worker\.stopping"/);
  expect(await ask(port, "/readyz")).toMatchObject({ status: 503, body: { ready: false, stopping: true } });
  expect((await ask(port, "/healthz")).status).toBe(200);
  const { code, stderr } = await worker.ended;
  expect(code).toBe(0);
  expect(stderr.match(/"fact":"window\.committed"/g)).toHaveLength(1);
  expect(stderr.match(/"fact":"window\.started"/g)).toHaveLength(1);
});

test("a worker that stops leaves a window that takes longer than the grace period; a second signal stops it immediately", async () => {
  const { stage } = await staged({ simulator: { latencyMs: 60_000 }, config: { shutdownGrace: "1s" } });
  const worker = stage.start(["run"], { env: { LOG_LEVEL: "debug" } });
  await worker.saw(/"fact":"stream\.started"/);
  worker.kill("SIGTERM");
  const left = await worker.ended;
  expect(left.code).toBe(0);
  expect(left.stderr).not.toContain('"fact":"window.committed"');
  stage.write({ ...stage.settings, shutdownGrace: "1h" });
  const next = stage.start(["run"]);
  await next.saw(/"fact":"stream\.started"/);
  next.kill("SIGTERM");
  await next.saw(/"fact":"worker\.stopping"/);
  next.kill("SIGTERM");
  expect((await next.ended).code).toBe(143);
});

test("a signal during the start stops the worker before its first run", async () => {
  const { stage } = await staged();
  const command = new URL("../../dist/commands/run.js", import.meta.url).href;
  const script = `const { run } = await import(${JSON.stringify(command)});
    process.exitCode = await run.run({ config: ${JSON.stringify(stage.config)} }, AbortSignal.abort(new Error("early")));`;
  const env = { PATH: process.env["PATH"], TOKEN: CANARY, LOG_LEVEL: "debug" };
  const { stderr } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], {
    env,
    cwd: stage.folder,
  });
  expect(stderr).toMatch(/"fact":"worker\.stopping","reason":"early"[^]*"fact":"worker\.stopped","exitCode":0/);
  expect(stderr).not.toContain('"fact":"window.started"');
});

test("status sends the token that a worker requires", async () => {
  const { stage, port } = await staged({ config: {} });
  stage.write({ ...stage.settings, server: { host: "127.0.0.1", port, token: "${STATUS_TOKEN}" } });
  const env = { STATUS_TOKEN: "s3cret" };
  const worker = stage.start(["run"], { env });
  await worker.saw(/"fact":"tick\.done"/);
  expect((await fetch(`http://127.0.0.1:${port}/status.json`)).status).toBe(401);
  const { startedAt } = JSON.parse((await stage.run(["status", "--json"], { env })).stdout) as StatusDocument;
  expect(startedAt).not.toBeNull();
  const refused = await stage.run(["status", "--json"], { env: { STATUS_TOKEN: "another" } });
  expect(JSON.parse(refused.stdout)).toMatchObject({ startedAt: null, worker: "refused" });
});

test("status without the worker's token shows what the ledgers say", async () => {
  const { stage, port } = await staged({ config: {} });
  await stage.run(["once"]);
  const without = `The token (server.token) is not set or cannot be read, so the worker could not be asked at http://127.0.0.1:${port}: this is from the ledgers.\n`;
  for (const secret of [{ token: "${STATUS_TOKEN}" }, { tokenFile: "./nonesuch" }]) {
    stage.write({ ...stage.settings, server: { host: "127.0.0.1", port, ...secret } });
    const table = await stage.run(["status"]);
    expect([table.code, table.stderr]).toEqual([0, ""]);
    expect(table.stdout).toContain(without);
    const json = await stage.run(["status", "--json"]);
    expect(JSON.parse(json.stdout)).toMatchObject({ worker: "refused", streams: [{ state: "ok" }] });
  }
});
