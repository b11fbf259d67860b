import { expect, onTestFinished, test } from "vitest";
import { differenceOf, flawsIn, linesIn, manifestsIn, NO_DIFFERENCE } from "../support/archive.ts";
import { lateMoments, manyMoments, onceWithKills, seedOf } from "../support/crash.ts";
import { minutes, openStage, TEN, type Stage } from "../support/stage.ts";

/** Every event of the hour is in exactly one object. */
function expectWhole(stage: Stage, what = ""): void {
  const files = stage.files();
  expect(flawsIn(files), what).toEqual([]);
  expect(differenceOf(linesIn(files), stage.api.history({ from: TEN, to: minutes(60) })), what).toEqual(NO_DIFFERENCE);
}

// Few kills, and a time limit for a slow machine: the long rounds are `npm run crash-test`.
test("kills at random moments lose no event and write none twice", { timeout: 180_000 }, async () => {
  const seed = seedOf(process.env);
  const stage = await openStage(lateMoments(), onTestFinished);
  const { last, hits } = await onceWithKills(stage, 4, seed);
  expect(last.code, `CRASH_SEED=${seed} ${last.stderr}`).toBe(0);
  // Fewer kills would show nothing: the export would be over before them.
  expect(hits).toBe(4);
  expectWhole(stage, `CRASH_SEED=${seed}`);
  // Some events appeared after their own window was committed.
  expect(manifestsIn(stage.files()).reduce((sum, { late }) => sum + late, 0)).toBeGreaterThan(0);
});

test.each(["SIGTERM", "SIGINT"] as const)(
  "%s ends `once` in the middle of a window, and the next run completes the window",
  async (signal) => {
    const stage = await openStage(manyMoments(20), onTestFinished);
    const program = stage.start(["once"], { env: { LOG_LEVEL: "debug" } });
    await program.saw(/"fact":"object\.written".*(?:\n.*)*"fact":"object\.written"/);
    program.kill(signal);
    const ended = await program.ended;
    expect(ended.code, ended.stderr).toBe(signal === "SIGTERM" ? 143 : 130);
    expect(ended.stderr).not.toMatch(/"level":"(?:error|warn)"|\bat .*\.js:\d+/);
    expect(manifestsIn(stage.files()).length).toBeLessThan(20);

    const next = await stage.run(["once"]);
    expect(next.code, next.stderr).toBe(0);
    expectWhole(stage);
  },
);

test.each(["SIGTERM", "SIGINT"] as const)(
  "%s stops a worker in the middle of a window with exit code 0",
  async (signal) => {
    // If the window needs the silent source, the worker gives it up after this time.
    const stage = await openStage({ ...manyMoments(20), config: { shutdownGrace: "1s" } }, onTestFinished);
    const program = stage.start(["run"], { env: { LOG_LEVEL: "debug" } });
    await program.saw(/"fact":"window\.committed"/);
    // The worker must not wait for an answer that never comes.
    stage.api.faults.silence = 1;
    const killedAt = performance.now();
    program.kill(signal);
    const ended = await program.ended;
    expect(ended.code, ended.stderr).toBe(0);
    expect(performance.now() - killedAt).toBeLessThan(5000);
    expect(ended.stderr).toMatch(/"fact":"worker\.stopped","exitCode":0/);

    stage.api.faults.silence = undefined;
    const next = await stage.run(["once"]);
    expect(next.code, next.stderr).toBe(0);
    expectWhole(stage);
  },
);

test("a second signal ends a worker immediately", async () => {
  const stage = await openStage({ simulator: { faults: { silence: 1 } } }, onTestFinished);
  const program = stage.start(["run"]);
  await program.saw(/"fact":"stream\.started"/);
  // Both signals are pending before the worker can act on the first.
  for (const signal of ["SIGSTOP", "SIGTERM", "SIGINT", "SIGCONT"] as const) program.kill(signal);
  const ended = await program.ended;
  expect([130, 143], ended.stderr).toContain(ended.code);
  expect(ended.stderr).not.toContain("worker.stopped");
});
