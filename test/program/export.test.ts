import { exec } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { DAY_MS, epochMs, formatInstant, type EpochMs } from "../../src/time.ts";
import { minutes, openStage, type Stage } from "../support/stage.ts";

const period = (from: EpochMs, to: EpochMs) => [
  ...["export", "--stream", "demo"],
  ...["--from", formatInstant(from), "--to", formatInstant(to)],
];

const textOf = (records: Iterable<Buffer>) => Array.from(records, (record) => `${record.toString()}\n`).join("");

const named = (stage: Stage, name: string) => readdirSync(stage.folder).filter((file) => file.startsWith(name));

test("a period goes to stdout with exactly its events, and the ledger stays as it is", async () => {
  const stage = await openStage({}, onTestFinished);
  const [from, to] = [minutes(10), minutes(40)];
  const { code, bytes, stderr } = await stage.run([...period(from, to), "--out", "-"]);
  expect(code, stderr).toBe(0);
  const history = [...stage.api.history({ from, to })];
  expect(history.length).toBeGreaterThan(500);
  expect(bytes.toString()).toBe(textOf(history));
  expect(stderr).toContain(`${history.length} events`);
  expect(readdirSync(stage.folder)).toEqual(["exporter.yaml"]);
});

test("bounds are exact to the millisecond: two adjacent periods share no event and miss none", async () => {
  const stage = await openStage({}, onTestFinished);
  const [before, after] = await Promise.all([
    stage.run(period(minutes(0), minutes(7))),
    stage.run(period(minutes(7), minutes(15))),
  ]);
  expect(before.stdout + after.stdout).toBe(textOf(stage.api.history({ from: minutes(0), to: minutes(15) })));
});

test("only events of the requested keys", async () => {
  const stage = await openStage({}, onTestFinished);
  const { code, stdout } = await stage.run([...period(minutes(0), minutes(60)), "-k", "user_login", "user_logout"]);
  expect(code).toBe(0);
  const keys = stdout
    .split("\n")
    .slice(0, -1)
    .map((line) => (JSON.parse(line) as { event_key: string }).event_key);
  const wanted = [...stage.api.history({ from: minutes(0), to: minutes(60) })].filter((record) =>
    /"event_key":"user_log(?:in|out)"/.test(record.toString()),
  );
  expect(stdout).toBe(textOf(wanted));
  expect([...new Set(keys)].sort()).toEqual(["user_login", "user_logout"]);
});

test("a period goes to a new file; an existing file is refused and stays as it is", async () => {
  const stage = await openStage({}, onTestFinished);
  const out = join(stage.folder, "period.ndjson");
  const args = [...period(minutes(0), minutes(20)), "--out", out];
  const first = await stage.run(args);
  expect([first.code, first.stdout]).toEqual([0, ""]);
  expect(readFileSync(out, "utf8")).toBe(textOf(stage.api.history({ from: minutes(0), to: minutes(20) })));
  writeFileSync(out, "mine\n");
  const second = await stage.run(args);
  expect(second.code).toBe(69);
  expect(second.stderr).toMatch(/EEXIST[^]*it already exists/);
  expect(readFileSync(out, "utf8")).toBe("mine\n");
  expect(named(stage, "period")).toEqual(["period.ndjson"]);
});

test("a failure or a signal leaves no partial file", async () => {
  const stage = await openStage({ source: { pageLimit: 10 }, simulator: { latencyMs: 20 } }, onTestFinished);
  const out = join(stage.folder, "period.ndjson");
  const args = [...period(minutes(0), minutes(60)), "--out", out];
  const program = stage.start(args, { env: { LOG_LEVEL: "trace" } });
  await program.wrote(20);
  stage.api.access.token = "revoked";
  const failed = await program.ended;
  expect(failed.code, failed.stderr).toBe(77);
  expect(named(stage, "period")).toEqual([]);

  stage.api.access.token = "canary-token-4f1c9a7e";
  const stopped = stage.start(args, { env: { LOG_LEVEL: "trace" } });
  await stopped.wrote(20);
  stopped.kill("SIGTERM");
  expect((await stopped.ended).code).toBe(143);
  expect(named(stage, "period")).toEqual([]);
});

test("a missing folder is an error of the user, not a bug", async () => {
  const stage = await openStage({}, onTestFinished);
  const out = join(stage.folder, "nonesuch/period.ndjson");
  const { code, stderr } = await stage.run([...period(minutes(0), minutes(20)), "--out", out]);
  expect(code, stderr).toBe(69);
  expect(stderr).toContain("ENOENT");
  expect(stderr).not.toContain("bug");
});

test("a reader of stdout that stops ends the export without a crash", async () => {
  const stage = await openStage({}, onTestFinished);
  const main = join(import.meta.dirname, "../../dist/main.js");
  const args = [...period(minutes(0), minutes(60)), "--config", stage.config].join(" ");
  const { stdout, stderr } = await promisify(exec)(`"${process.execPath}" "${main}" ${args} | head -3`, {
    env: { PATH: process.env["PATH"], TOKEN: "canary-token-4f1c9a7e" },
    cwd: stage.folder,
  });
  expect(stdout.split("\n")).toHaveLength(4);
  expect(stderr).not.toMatch(/a bug|\bat .*\.js/);
});

test("a period that is not over, or no longer kept by the source, is refused: a partial export must not look complete", async () => {
  const stage = await openStage({}, onTestFinished);
  const early = await stage.run([...period(minutes(60), minutes(89)), "--out", "early.ndjson"]);
  expect([early.code, early.stderr]).toEqual([75, expect.stringMatching(/not complete before .*\n.*use --to 2/)]);
  const late = await stage.run([...period(epochMs(minutes(0) - 95 * DAY_MS), minutes(10)), "--out", "late.ndjson"]);
  expect([late.code, late.stderr]).toEqual([69, expect.stringMatching(/no longer keeps events .*\n.*use --from 2/)]);
  expect(readdirSync(stage.folder)).toEqual(["exporter.yaml"]);
});
