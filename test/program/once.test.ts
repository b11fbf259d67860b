import { expect, onTestFinished, test } from "vitest";
import { differenceOf, flawsIn, linesIn, manifestsIn, NO_DIFFERENCE } from "../support/archive.ts";
import { minutes, openStage, TEN } from "../support/stage.ts";

test("once exports an hour byte for byte, each event once, and adds nothing when it runs again", async () => {
  const stage = await openStage({}, onTestFinished);
  const first = await stage.run(["once"]);
  expect(first.code, first.stderr).toBe(0);
  const files = stage.files();
  expect(flawsIn(files)).toEqual([]);
  const history = [...stage.api.history({ from: TEN, to: minutes(60) })];
  expect(history.length).toBeGreaterThan(1000);
  expect(differenceOf(linesIn(files), history)).toEqual(NO_DIFFERENCE);
  expect(linesIn(files)).toEqual(history.map((record) => record.toString("latin1")));

  const second = await stage.run(["once", "--json"]);
  expect(second.code, second.stderr).toBe(0);
  expect(JSON.parse(second.stdout)).toMatchObject({ stream: "demo", done: true, windows: 0, events: 0 });
  expect([...stage.files().keys()]).toEqual([...files.keys()]);
  expect(manifestsIn(files).at(-1)?.window.to).toBe(new Date(minutes(85)).toISOString().replace(".000", ""));
});
