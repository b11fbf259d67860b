import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { describe, expect, onTestFinished, test } from "vitest";
import { tick } from "../../src/export/tick.ts";
import { collectGarbage, type GcItem, type Removers } from "../../src/archive/gc.ts";
import { fileRemover } from "../../src/stores/file/remove.ts";
import { s3Remover } from "../../src/stores/s3/remove.ts";
import { DAY_MS, epochMs } from "../../src/time.ts";
import { answer, refuse, serve } from "../support/s3-server.ts";
import { archiveIn, HISTORY, manifestAt, minutes, raced, shownAt, verified, type Files } from "../support/verified.ts";
import { never, world, type Effect } from "../support/world.ts";

/** The store in memory says that its files are of the epoch. */
const A_DAY_LATER = epochMs(DAY_MS);

function removersOf(files: Files): Removers {
  const remover = (root: string) => async (key: string) => {
    if (!files.delete(root + key)) throw new Error(`${key} is not there`);
  };
  return { data: remover(""), quarantine: remover(""), ids: remover("ledger/") };
}

async function collected(files: Files, removers: Removers | undefined, now = A_DAY_LATER): Promise<string[]> {
  const items: GcItem[] = [];
  for await (const item of collectGarbage(archiveIn(files), removers, { now, firstSeq: 1 }, never)) items.push(item);
  return items.map((item) => `${item.kind} ${item.kind === "refused" ? item.finding.key : item.file.key}`).sort();
}

test("nothing is removed without --delete", async () => {
  const { files, orphans } = await raced();
  const before = new Map(files);
  expect(await collected(files, undefined)).toEqual(orphans.map((key) => `removable ${key}`).sort());
  expect(files).toEqual(before);
});

test("files left by concurrent workers are removed, and nothing else: the archive verifies as before", async () => {
  const { files, orphans } = await raced();
  const before = new Set(files.keys());
  expect(await collected(files, removersOf(files))).toEqual(orphans.map((key) => `removed ${key}`).sort());
  const gone = [...before].filter((key) => !files.has(key)).map((key) => key.replace(/^ledger\//, ""));
  expect(gone.sort()).toEqual([...orphans].sort());
  expect(await verified(archiveIn(files))).toMatchObject({ errors: [], notices: [] });
  expect(await collected(files, removersOf(files))).toEqual([]);
});

test("a file that is less than a day old is kept: its window may still be in progress", async () => {
  const { files, orphans } = await raced();
  const kept = await collected(files, removersOf(files), epochMs(DAY_MS - 1));
  expect(kept).toEqual(orphans.map((key) => `kept ${key}`).sort());
});

test("a file with an event that is in no other file is kept", async () => {
  const { files, orphans } = await raced(1);
  expect(await collected(files, removersOf(files))).toEqual(orphans.map((key) => `kept ${key}`).sort());
});

test("an orphan is kept when the object with the same lines was changed, even if only compressed again", async () => {
  const { files, orphans } = await raced();
  const { key } = shownAt(files, 1).objects[0]!;
  files.set(key, gzipSync(gunzipSync(files.get(key)!), { level: 1 }));
  const kept = await collected(files, removersOf(files));
  expect(kept).toContain(`kept ${orphans.find((key) => key.startsWith("data/"))!}`);
});

test("the files of a window in progress are kept", async () => {
  const files: Files = new Map();
  await tick(world(HISTORY, { files }).pipeline, minutes(7), never);
  const dying: Effect = (what, moment) => {
    if (what.startsWith("create ledger/manifests/") && moment === "before") throw new Error("died");
  };
  await tick(world(HISTORY, { files, effect: dying }).pipeline, minutes(12), never).catch(() => undefined);
  const kept = await collected(files, removersOf(files));
  expect(kept).toHaveLength(2);
  for (const item of kept) expect(item).toMatch(/^kept (?:data|ids)\/.*000000000002-/);
});

test("when a manifest is missing, nothing is removed", async () => {
  const { files } = await raced();
  const before = files.size;
  files.delete(manifestAt(2));
  expect(await collected(files, removersOf(files))).toEqual(["refused manifests/000000000002.json"]);
  expect(files.size).toBe(before - 1);
});

describe("removing", () => {
  test("a file deletes it, once or twice, and never one outside the folder", async () => {
    const folder = mkdtempSync(join(tmpdir(), "siem-export-gc-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const path = join(folder, "stream/data/x.ndjson.gz");
    mkdirSync(join(folder, "stream/data"), { recursive: true });
    writeFileSync(path, "x");
    writeFileSync(join(folder, "outside"), "x");
    const remove = fileRemover(join(folder, "stream"));
    await remove("data/x.ndjson.gz", never);
    await remove("data/x.ndjson.gz", never);
    expect(existsSync(path)).toBe(false);
    await expect(remove("../outside", never)).rejects.toThrow("not a key of this folder");
    expect(existsSync(join(folder, "outside"))).toBe(true);
  });

  const removerAt = (endpoint: string) =>
    s3Remover({
      ...{ bucket: "bucket", prefix: "audit/acme", region: "eu-central-1", endpoint, env: {} },
      ...{ accessKeyId: () => "KEY", secretAccessKey: () => "SECRET" },
    });

  test("an object is one DELETE of its key", async () => {
    const { url, seen } = await serve(answer(204));
    await removerAt(url)("data/x.ndjson.gz", never);
    expect(seen).toMatchObject([{ method: "DELETE", path: "/bucket/audit/acme/data/x.ndjson.gz" }]);
  });

  test("without the permission, the error names it", async () => {
    const { url } = await serve(refuse(403, "AccessDenied"));
    await expect(removerAt(url)("data/x.ndjson.gz", never)).rejects.toMatchObject({
      ...{ code: "forbidden", message: expect.stringContaining("DELETE s3://bucket/audit/acme/data/x") as string },
      hint: expect.stringContaining("s3:DeleteObject") as string,
    });
  });
});
