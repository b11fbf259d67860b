import { expect, onTestFinished, test } from "vitest";
import { differenceOf, flawsIn, linesIn, NO_DIFFERENCE } from "../support/archive.ts";
import { freePort } from "../support/process.ts";
import { minutes, openStage, TEN, type Stage } from "../support/stage.ts";

function expectWhole(stage: Stage): void {
  expect(flawsIn(stage.files())).toEqual([]);
  expect(differenceOf(linesIn(stage.files()), stage.api.history({ from: TEN, to: minutes(60) }))).toEqual(
    NO_DIFFERENCE,
  );
}

test("an API that is down for longer than the retries ends once with exit code 75, and the next run finishes", async () => {
  const stage = await openStage({ simulator: { faults: { rateLimited: 1, retryAfter: 0 } } }, onTestFinished);
  const { code, stderr } = await stage.run(["once"]);
  expect(code, stderr).toBe(75);
  stage.api.faults.rateLimited = undefined;
  expect((await stage.run(["once"])).code).toBe(0);
  expectWhole(stage);
});

test("a worker with a failed run is ready again after the next run", async () => {
  const port = await freePort();
  // The stage's clock is in the past: by our clock the stream is far behind.
  const stage = await openStage(
    { stream: { lagLimit: "365d" }, config: { server: { host: "127.0.0.1", port } } },
    onTestFinished,
  );
  const ready = async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).status;
  const { token } = stage.api.access;
  stage.api.access.token = "revoked";
  const worker = stage.start(["run"]);
  await worker.saw(/"fact":"tick\.failed"/);
  expect(await ready()).toBe(503);
  stage.api.access.token = token;
  await worker.saw(/"fact":"tick\.done"/);
  expect(await ready()).toBe(200);
  worker.kill("SIGTERM");
  expect((await worker.ended).code).toBe(0);
  expectWhole(stage);
});

test("answers that break off, bursts of errors and slow answers together cost no event", async () => {
  const share = 0.03;
  const faults = { reset: share, cutBody: share, serverError: share, rateLimited: share, retryAfter: 1 };
  const stage = await openStage({ simulator: { faults, latencyMs: 20 }, source: { pageLimit: 20 } }, onTestFinished);
  const { code, stderr } = await stage.run(["once"]);
  expect(code, stderr).toBe(0);
  expect(stderr.split('"fact":"retrying"').length).toBeGreaterThan(3);
  expectWhole(stage);
});

test("an event of ten megabytes is exported whole", async () => {
  const stage = await openStage(
    { simulator: { faults: { hugeEvery: 400 }, until: minutes(30) }, source: { pageLimit: 20 }, now: minutes(33) },
    onTestFinished,
  );
  const { code, stderr } = await stage.run(["once"]);
  expect(code, stderr).toBe(0);
  expect(Math.max(...linesIn(stage.files()).map((line) => line.length))).toBeGreaterThan(10_000_000);
  expectWhole(stage);
});

test("an answer that never comes costs its time limit of a minute, but no event", async () => {
  const stage = await openStage({ simulator: { faults: { silence: { next: 1 } } } }, onTestFinished);
  const { code, stderr } = await stage.run(["once"]);
  expect(code, stderr).toBe(0);
  expect(stderr).toMatch(/"fact":"retrying".*"code":"timeout"/);
  expectWhole(stage);
}, 180_000);
