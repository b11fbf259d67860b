import { expect, onTestFinished, test } from "vitest";
import { formatInstant } from "../../src/time.ts";
import { differenceOf, flawsIn, linesIn, manifestsIn, NO_DIFFERENCE } from "../support/archive.ts";
import { minutes, openStage, TEN, type Stage } from "../support/stage.ts";

const LATE = { lateness: { share: 0.02, maxSeconds: 600 }, eventsPerDay: 200_000 };

/** Runs once every ten minutes of the API's clock, from the start of the hour until all events are visible. */
async function tickThrough(stage: Stage): Promise<void> {
  for (let clock = 12; clock <= 92; clock += 10) {
    stage.api.clockOffsetMs = minutes(clock) - Date.now();
    const { code, stderr } = await stage.run(["once"]);
    expect(code, stderr).toBe(0);
  }
}

const history = (stage: Stage) => stage.api.history({ from: TEN, to: minutes(60) });

test(
  "with a look-back of 15 minutes, events up to 10 minutes late are all exported, each once",
  { timeout: 60_000 },
  async () => {
    const windows = { lookback: "15m", catchUpSize: "5m" };
    const stage = await openStage({ simulator: LATE, windows, now: minutes(7) }, onTestFinished);
    await tickThrough(stage);
    const files = stage.files();
    expect(flawsIn(files)).toEqual([]);
    expect(differenceOf(linesIn(files), history(stage))).toEqual(NO_DIFFERENCE);
    expect(manifestsIn(files).reduce((sum, { late }) => sum + late, 0)).toBeGreaterThan(5);
  },
);

test(
  "without a look-back, reconcile finds the late events, and --repair makes the archive complete",
  { timeout: 60_000 },
  async () => {
    const windows = { lookback: "0s", catchUpSize: "5m" };
    const stage = await openStage({ simulator: LATE, windows, now: minutes(7) }, onTestFinished);
    await tickThrough(stage);
    const missing = differenceOf(linesIn(stage.files()), history(stage));
    expect(missing).not.toEqual(NO_DIFFERENCE);

    const span = ["--stream", "demo", "--from", formatInstant(TEN), "--to", formatInstant(minutes(60)), "--json"];
    const found = await stage.run(["reconcile", ...span]);
    expect(found.code, found.stderr).toBe(65);
    const report = JSON.parse(found.stdout) as { missing: number; extra: number };
    expect(report).toMatchObject({ extra: 0, repaired: null });
    expect(report.missing).toBeGreaterThan(5);

    const repaired = await stage.run(["reconcile", ...span, "--repair"]);
    expect(repaired.code, repaired.stderr).toBe(0);
    expect(JSON.parse(repaired.stdout)).toMatchObject({ missing: report.missing, repaired: report.missing });
    expect(differenceOf(linesIn(stage.files()), history(stage))).toEqual(NO_DIFFERENCE);

    const again = await stage.run(["reconcile", ...span]);
    expect(again.code, again.stderr).toBe(0);
    expect(JSON.parse(again.stdout)).toMatchObject({ missing: 0, extra: 0 });
  },
);
