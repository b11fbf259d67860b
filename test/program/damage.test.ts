import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { differenceOf, flawsIn, linesIn, manifestsIn, NO_DIFFERENCE } from "../support/archive.ts";
import { minutes, openStage, TEN, type Stage } from "../support/stage.ts";

/** Exports half of the hour, then advances the API's clock to the end of the hour. */
async function halfway(more: readonly object[] = []): Promise<Stage> {
  const stage = await openStage(
    { now: minutes(33), windows: { size: "5m", catchUpSize: "5m" }, more: more as Record<string, unknown>[] },
    onTestFinished,
  );
  const { code, stderr } = await stage.run(["once"]);
  expect(code, stderr).toBe(0);
  stage.api.clockOffsetMs = minutes(63) - Date.now();
  return stage;
}

const ledger = (stage: Stage, key: string) => join(stage.folder, "out/demo/ledger", key);

const damages: readonly (readonly [string, (path: string) => void])[] = [
  ["missing", (path) => rmSync(path)],
  ["empty", (path) => writeFileSync(path, "")],
  ["torn", (path) => writeFileSync(path, readFileSync(path).subarray(0, 40))],
  ["an empty document", (path) => writeFileSync(path, "{}")],
];

test.each(damages)(
  "a checkpoint that is %s is rebuilt with a warning; nothing is exported twice",
  async (_, damage) => {
    const stage = await halfway();
    damage(ledger(stage, "checkpoint.json"));
    const { code, stderr } = await stage.run(["once"]);
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/"level":"warn".*"fact":"checkpoint\.rebuilt"/);
    expect(flawsIn(stage.files())).toEqual([]);
    expect(manifestsIn(stage.files())).toHaveLength(12);
    expect(differenceOf(linesIn(stage.files()), stage.api.history({ from: TEN, to: minutes(60) }))).toEqual(
      NO_DIFFERENCE,
    );
  },
);

const broken: readonly (readonly [string, (stage: Stage) => void])[] = [
  ["the newest manifest is gone", (stage) => rmSync(ledger(stage, "manifests/000000000006.json"))],
  ["the newest manifest is cut", (stage) => cut(ledger(stage, "manifests/000000000006.json"))],
  ["all manifests and the checkpoint are gone", (stage) => removeAll(stage)],
  [
    "a manifest in the middle is gone, and the checkpoint",
    (stage) => {
      rmSync(ledger(stage, "checkpoint.json"));
      rmSync(ledger(stage, "manifests/000000000003.json"));
    },
  ],
];

const cut = (path: string) => writeFileSync(path, readFileSync(path).subarray(0, 100));

function removeAll(stage: Stage): void {
  rmSync(ledger(stage, "checkpoint.json"));
  rmSync(ledger(stage, "manifests"), { recursive: true });
}

test.each(broken)("when %s, nothing is exported, and a hint says what to do: exit code 74", async (_, damage) => {
  const stage = await halfway();
  damage(stage);
  const before = [...stage.files().keys()];
  const { code, stdout } = await stage.run(["once"]);
  expect(code).toBe(74);
  expect(stdout).toMatch(/the ledger is damaged; restore/);
  expect([...stage.files().keys()]).toEqual(before);
  const status = await stage.run(["status"]);
  expect([status.code, status.stdout]).toEqual([74, expect.stringContaining("the ledger is damaged")]);
});

test("a stream with a damaged ledger stops, the other streams of the worker continue, and the exit code shows it", async () => {
  const stage = await halfway([{ name: "other" }]);
  cut(ledger(stage, "manifests/000000000006.json"));
  const worker = stage.start(["run"]);
  await worker.saw(/"fact":"stream\.stopped".*"stream":"demo"/);
  await worker.saw(/"fact":"tick\.done".*"stream":"other"/);
  worker.kill("SIGTERM");
  const { code, stderr } = await worker.ended;
  expect(code, stderr).toBe(74);
  expect(manifestsIn(stage.files("other"))).toHaveLength(12);
  expect(flawsIn(stage.files("other"))).toEqual([]);
  expect(stderr).toMatch(/"level":"error".*"fact":"stream\.stopped"/);
});

test("another account with an existing ledger is refused: exit code 74", async () => {
  const stage = await halfway();
  const [stream] = stage.settings["streams"] as { source: object }[];
  stage.write({ ...stage.settings, streams: [{ ...stream, source: { ...stream?.source, account: "another" } }] });
  const { code, stdout } = await stage.run(["once"]);
  expect([code, stdout]).toEqual([74, expect.stringContaining("another source, base URL or account")]);
});
