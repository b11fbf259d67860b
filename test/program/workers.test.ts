import { expect, onTestFinished, test } from "vitest";
import { differenceOf, flawsIn, linesIn, manifestsIn, NO_DIFFERENCE } from "../support/archive.ts";
import { manyMoments } from "../support/crash.ts";
import { minutes, openStage, TEN } from "../support/stage.ts";

test("two workers on one stream commit each window once, and both continue", async () => {
  const stage = await openStage(manyMoments(30), onTestFinished);
  const workers = [stage.start(["run"]), stage.start(["run"])];
  await Promise.all(workers.map((worker) => worker.saw(/"fact":"tick\.(?:done|failed)"/)));
  for (const worker of workers) {
    expect(worker.stderr).not.toContain('"fact":"tick.failed"');
    expect(worker.stderr).not.toContain('"fact":"stream.stopped"');
    worker.kill("SIGTERM");
    expect((await worker.ended).code).toBe(0);
  }
  // The checkpoint is a shortcut: the slower worker may have written it last. The next start corrects it.
  expect((await stage.run(["once"])).code).toBe(0);
  const manifests = manifestsIn(stage.files());
  expect(manifests.length).toBeGreaterThanOrEqual(30);
  expect(differenceOf(linesIn(stage.files()), stage.api.history({ from: TEN, to: minutes(60) }))).toEqual(
    NO_DIFFERENCE,
  );
  expect(flawsIn(stage.files())).toEqual([]);
  // Both committed windows. Otherwise they did not meet, and the test shows nothing.
  const lost = workers.map(({ stderr }) => stderr.split('"fact":"window.lost"').length - 1);
  expect(lost[0]! + lost[1]!).toBeGreaterThan(0);
});

test("the time zone of the machine changes neither objects nor names", async () => {
  const shown: [string, unknown][] = [];
  for (const TZ of ["UTC", "America/New_York", "Asia/Kolkata"]) {
    const stage = await openStage({ now: minutes(90.5) }, onTestFinished);
    const { code, stderr } = await stage.run(["once"], { env: { TZ } });
    expect(code, stderr).toBe(0);
    const objects = manifestsIn(stage.files()).map(({ objects: all, window }) => ({
      window,
      objects: all.map(({ key, sha256 }) => [key, sha256]),
    }));
    shown.push([TZ, objects]);
  }
  for (const [TZ, objects] of shown) expect(objects, TZ).toEqual(shown[0]?.[1]);
});
