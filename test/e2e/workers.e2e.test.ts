import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { randomOf } from "../../src/simulator/random.ts";
import { MINUTE_MS } from "../../src/time.ts";
import { differenceOf, linesIn, manifestsIn, NO_DIFFERENCE } from "../support/archive.ts";
import { manyMoments, seedOf } from "../support/crash.ts";
import { minutes, openStage, TEN } from "../support/stage.ts";

const SPAN = { from: TEN, to: minutes(60) };

test("two workers on one stream for a minute, each killed and restarted repeatedly", async () => {
  const seed = seedOf(process.env);
  console.log(`CRASH_SEED=${seed}`);
  const random = randomOf(seed, 0);
  const moments = manyMoments(60);
  // Too slow to finish within the minute: there is always a window that both export.
  const simulator = { ...moments.simulator, latencyMs: 150, eventsPerDay: 40_000 };
  const stage = await openStage({ ...moments, simulator, source: { pageLimit: 20 } }, onTestFinished);
  const start = () => stage.start(["run"]);
  const workers = [start(), start()];
  const until = Date.now() + MINUTE_MS;
  let kills = 0;
  while (Date.now() < until) {
    await sleep(500 + random.below(3500));
    const index = random.below(2);
    workers[index]!.kill("SIGKILL");
    if ((await workers[index]!.ended).signal === "SIGKILL") kills++;
    workers[index] = start();
  }
  expect(kills).toBeGreaterThan(10);
  for (const worker of workers) {
    await worker.saw(/"fact":"stream\.started"/);
    expect(worker.stderr).not.toContain('"fact":"stream.stopped"');
    worker.kill("SIGTERM");
    expect((await worker.ended).code).toBe(0);
  }
  const last = await stage.run(["once"]);
  expect(last.code, last.stderr).toBe(0);

  const files = stage.files();
  const named = new Set(manifestsIn(files).flatMap(({ objects }) => objects.map(({ key }) => key)));
  const committed = new Map([...files].filter(([key]) => !key.startsWith("data/") || named.has(key)));
  expect(differenceOf(linesIn(committed), stage.api.history(SPAN))).toEqual(NO_DIFFERENCE);
  const proof = await stage.run(["verify"]);
  expect(proof.code, proof.stdout).toBe(0);
});
