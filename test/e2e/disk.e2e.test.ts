import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { differenceOf, flawsIn, linesIn, NO_DIFFERENCE } from "../support/archive.ts";
import { manyMoments } from "../support/crash.ts";
import { minutes, openStage, TEN, type Stage } from "../support/stage.ts";

const isRoot = process.getuid?.() === 0 && canMount();
if (!isRoot) console.log("left out: full and read-only disks, which take root to mount");

function canMount(): boolean {
  try {
    execFileSync("unshare", ["--mount", "true"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** Mounts a file system in memory at a folder of the stage until the end of the test. */
function mount(stage: Stage, name: string, options: string): string {
  const folder = join(stage.folder, name);
  mkdirSync(folder, { recursive: true });
  execFileSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", folder]);
  onTestFinished(() => void execFileSync("umount", ["--lazy", folder]));
  return folder;
}

function expectWhole(stage: Stage): void {
  expect(flawsIn(stage.files())).toEqual([]);
  expect(differenceOf(linesIn(stage.files()), stage.api.history({ from: TEN, to: minutes(30) }))).toEqual(
    NO_DIFFERENCE,
  );
}

describe.skipIf(!isRoot)("disks", () => {
  test("a full disk ends once with exit code 75 and a reason; with space again, the next run finishes", async () => {
    const stage = await openStage(manyMoments(30), onTestFinished);
    const disk = mount(stage, "out", "size=1m");
    const ballast = join(disk, "ballast");
    // Space for a part of the archive.
    writeFileSync(ballast, Buffer.alloc(700 * 1024));
    const full = await stage.run(["once"]);
    expect(full.code, full.stderr).toBe(75);
    expect(full.stdout).toMatch(/ENOSPC[^]*is full/);
    expect(linesIn(stage.files()).length).toBeGreaterThan(0);

    rmSync(ballast);
    execFileSync("mount", ["-o", "remount,size=64m", disk]);
    const next = await stage.run(["once"]);
    expect(next.code, next.stderr).toBe(0);
    expectWhole(stage);
  });

  test("a worker recovers from a full disk by itself", async () => {
    const stage = await openStage(manyMoments(30), onTestFinished);
    const disk = mount(stage, "out", "size=1m");
    const ballast = join(disk, "ballast");
    writeFileSync(ballast, Buffer.alloc(700 * 1024));
    const worker = stage.start(["run"]);
    await worker.saw(/"fact":"retrying".*ENOSPC/);
    rmSync(ballast);
    execFileSync("mount", ["-o", "remount,size=64m", disk]);
    await worker.saw(/"fact":"tick\.done"/);
    worker.kill("SIGTERM");
    expect((await worker.ended).code).toBe(0);
    expectWhole(stage);
  });

  test.each(["out", "state"])("a read-only %s is refused with a hint: exit code 77", async (name) => {
    const sink = name === "out" ? { type: "file", directory: "out" } : { type: "stdout" };
    const stage = await openStage({ sink, now: "real" }, onTestFinished);
    mount(stage, name, "ro");
    const once = await stage.run(["once"]);
    expect(once.code, once.stderr).toBe(77);
    // With lines on stdout, the report is in the log.
    expect(once.stdout + once.stderr).toMatch(/EROFS[^]*read-only/);
    const check = await stage.run(["check"]);
    expect(check.code, check.stdout).toBe(77);
    expect(check.stdout).toMatch(/^✗ .*EROFS[^\n]*\n {4}→ .*mount it read-write/m);
  });
});
