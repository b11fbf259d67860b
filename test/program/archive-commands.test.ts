import { appendFileSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { sha256Of } from "../../src/ledger/manifest.ts";
import { manifestsIn } from "../support/archive.ts";
import { signingKeys } from "../support/keys.ts";
import { openStage, type Stage } from "../support/stage.ts";

let stage: Stage;
const ends: (() => Promise<void>)[] = [];
const keys = signingKeys();
/** An hour of the simulator's log, exported by the program. Some items are not events. */
beforeAll(async () => {
  stage = await openStage(
    {
      simulator: { faults: { poisonEvery: 300 } },
      stream: { ledger: { type: "beside", signingKeyFile: keys.privatePath } },
    },
    (close) => ends.push(close),
  );
  expect(await stage.run(["once"])).toMatchObject({ code: 0 });
});
afterAll(async () => {
  for (const end of ends) await end();
});

interface Line {
  readonly [member: string]: unknown;
  readonly kind?: string;
  readonly code?: string;
  readonly key?: string;
}

const linesOf = (stdout: string) =>
  stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);
const pathOf = (key: string) => join(stage.folder, "out/demo", key);

test("verify proves what the program exported: the verdict, and exit code 0", async () => {
  const { code, stdout, stderr } = await stage.run(["verify"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toMatch(/^CONTIGUOUS \S+:00Z … \S+Z {2}\d+ windows, [\d,]+ events, \d+ objects read/m);
  expect(stdout).toContain("authenticity: consistent, not authenticated");
  expect(stdout).toContain("tail: not proven (no --expect-head or --max-age)");
  expect(stdout).toContain("✓ nothing wrong");
});

test("verify proves more with a key, an anchor and a freshness limit", async () => {
  const newest = manifestsIn(stage.files()).at(-1)!;
  const line = String(stage.files().get(`ledger/manifests/${String(newest.seq).padStart(12, "0")}.json`)).split(
    "\n",
  )[0]!;
  const head = `${newest.seq}:${sha256Of(line)}`;
  const proved = await stage.run(["verify", "--public-key", keys.publicPath, "--expect-head", head]);
  expect(proved.code).toBe(0);
  expect(proved.stdout).toContain("authenticity: authenticated\ntail: proven by the expected head\n");
  const stale = await stage.run(["verify", "--max-age", "1h", "--json"]);
  expect(stale.code).toBe(65);
  expect(linesOf(stale.stdout).map(({ code }) => code)).toEqual(["STALE_TAIL", undefined]);
});

test("verify prints one line for each problem, with its code and key: exit code 65; --json has the same", async () => {
  const { key } = manifestsIn(stage.files())[0]!.objects[0]!;
  const before = readFileSync(pathOf(key));
  appendFileSync(pathOf(key), gzipSync("{}\n"));
  try {
    const human = await stage.run(["verify", "-s", "demo"]);
    expect(human.code).toBe(65);
    expect(human.stdout).toContain(`✗ OBJECT_TRAILING_BYTES ${key}: `);
    expect(human.stdout).toContain("✗ 1 error");
    const json = await stage.run(["verify", "--json"]);
    expect(json.code).toBe(65);
    expect(linesOf(json.stdout)).toMatchObject([
      { stream: "demo", level: "error", code: "OBJECT_TRAILING_BYTES", key, seq: 1 },
      { stream: "demo", kind: "summary", errors: 1, isContiguous: true, tail: "not proven" },
    ]);
  } finally {
    writeFileSync(pathOf(key), before);
  }
});

test("quarantine list shows each item and its reason", async () => {
  const items = linesOf((await stage.run(["quarantine", "list", "--json"])).stdout);
  expect(items.length).toBeGreaterThan(1);
  for (const item of items) {
    expect(item).toMatchObject({ stream: "demo", reason: expect.any(String) as string });
    expect(item.key).toMatch(/^quarantine\/\d{12}-[0-9a-f]{8}\.ndjson\.gz$/);
  }
  const { code, stdout } = await stage.run(["quarantine", "list"]);
  expect(code).toBe(0);
  expect(stdout).toContain(`demo: ${items.length} items in quarantine`);
});

test("gc lists unreferenced objects of a race, deletes them with --delete, and keeps all others", async () => {
  const { key } = manifestsIn(stage.files())[0]!.objects[0]!;
  const lines = gunzipSync(readFileSync(pathOf(key)))
    .toString()
    .split("\n")
    .slice(0, 3);
  const content = `${lines.join("\n")}\n`;
  const orphan = key.replace(/-0000_(.*)_[0-9a-f]{8}/, `-0009_$1_${sha256Of(content).slice(0, 8)}`);
  const strange = orphan.replace("-0009_", "-0008_").replace(/_[0-9a-f]{8}\./, `_${sha256Of("{}\n").slice(0, 8)}.`);
  mkdirSync(pathOf("data"), { recursive: true });
  writeFileSync(pathOf(orphan), gzipSync(content));
  writeFileSync(pathOf(strange), gzipSync("{}\n"));
  const old = new Date(Date.now() - 25 * 3_600_000);
  for (const name of [orphan, strange]) utimesSync(pathOf(name), old, old);

  const dry = await stage.run(["gc"]);
  expect(dry.code).toBe(0);
  expect(dry.stdout).toContain(`! orphan ${orphan} (`);
  expect(dry.stdout).toContain("run again with --delete to do it");
  const wet = await stage.run(["gc", "--delete", "--json"]);
  expect(linesOf(wet.stdout)).toMatchObject([
    { kind: "kept", key: strange },
    { kind: "removed", key: orphan },
  ]);
  expect(stage.files().has(orphan)).toBe(false);
  const verified = await stage.run(["verify", "--json"]);
  expect(linesOf(verified.stdout)[0]).toMatchObject({ code: "UNREFERENCED_OBJECT", key: strange });
  rmSync(pathOf(strange));
  expect(await stage.run(["verify"])).toMatchObject({ code: 0 });
});

test.each([
  [["--expect-head", "x"], "--expect-head x: not SEQUENCE:SHA256"],
  [["--max-age", "1"], "--max-age 1: not a duration"],
  [["--expect-prev", "x"], "--expect-prev needs --from-seq"],
  [["--from-seq", "0"], "--from-seq 0: not a sequence"],
  [["--from", "yesterday"], "--from yesterday: not a time in UTC"],
])("verify %j is wrong use, and says why", async (flags, message) => {
  const { code, stderr } = await stage.run(["verify", ...flags]);
  expect({ code, stderr }).toEqual({ code: 64, stderr: expect.stringContaining(message) as string });
});

test("verify of a missing archive fails", async () => {
  const settings = JSON.parse(JSON.stringify(stage.settings)) as { streams: { sink: object }[] };
  settings.streams[0]!.sink = { type: "file", directory: "nowhere" };
  stage.write(settings);
  try {
    const { code, stdout } = await stage.run(["verify"]);
    expect(code).toBe(65);
    expect(stdout).toContain("✗ HEAD_MISSING manifests/000000000001.json: there is no manifest: nothing is proved");
  } finally {
    stage.write(stage.settings);
  }
});
