import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { repair } from "../../src/export/reconcile.ts";
import { tick } from "../../src/export/tick.ts";
import { idSet, packId } from "../../src/ledger/ids.ts";
import { sha256Of } from "../../src/ledger/manifest.ts";
import type { AuditEvent } from "../../src/source.ts";
import type { Store } from "../../src/store.ts";
import { fileStore } from "../../src/stores/file/file.ts";
import { DAY_MS, epochMs, formatInstant, HOUR_MS, MINUTE_MS, type EpochMs } from "../../src/time.ts";
import { mapInOrder } from "../../src/ledger/map-in-order.ts";
import { unpack } from "../../src/archive/gzip.ts";
import { recentIds } from "../../src/archive/cross-check.ts";
import {
  archiveIn,
  HISTORY,
  raced,
  headSha256,
  manifestAt,
  minutes,
  rebuildFrom,
  shownAt,
  verified,
  type Files,
} from "../support/verified.ts";
import { event, failAt, memoryStore, never, START, world, type Effect } from "../support/world.ts";

async function exported(clocks: readonly number[], options: Parameters<typeof world>[1] = {}): Promise<Files> {
  const files = options.files ?? new Map<string, Buffer>();
  for (const clock of clocks) await tick(world(HISTORY, { ...options, files }).pipeline, minutes(clock), never);
  return files;
}

describe("an intact archive", () => {
  /** Ticks at some minutes, each by a worker of its own, some of which die at their nth side effect. */
  const story = fc.record({
    events: fc.array(
      fc.record({ second: fc.integer({ min: 0, max: 7000 }), lateMinutes: fc.constantFrom(0, 0, 0, 4, 11) }),
      { maxLength: 60 },
    ),
    items: fc.array(fc.integer({ min: 0, max: 7000 }), { maxLength: 3 }),
    ticks: fc.array(
      fc.record({
        after: fc.integer({ min: 1, max: 40 }),
        failAt: fc.option(fc.integer({ min: 1, max: 60 }), { nil: undefined }),
        moment: fc.constantFrom("before" as const, "after" as const),
      }),
      { minLength: 1, maxLength: 6 },
    ),
  });

  test("has nothing wrong, whatever was in it, however late, and whenever a worker died", async () => {
    await fc.assert(
      fc.asyncProperty(story, async ({ events, items, ticks }) => {
        const files: Files = new Map();
        const visibleFrom = new Map<string, EpochMs>();
        const history = events.map(({ second, lateMinutes }, index) => {
          const one = event(`event-${index}`, epochMs(START + second * 1000));
          visibleFrom.set(one.id, epochMs(one.time + lateMinutes * MINUTE_MS));
          return one;
        });
        const poison = items.map((second, index) => ({
          ...{ reason: "no id", record: Buffer.from(`{"item":${index}}`) },
          time: epochMs(START + second * 1000),
        }));
        let now = START;
        const source = { poison, now: () => now, visibleFrom: ({ id }: AuditEvent) => visibleFrom.get(id)! };
        const act = (effect?: Effect) =>
          tick(world(history, { files, source, ...(effect && { effect }) }).pipeline, now, never);
        for (const { after, failAt: nth, moment } of ticks) {
          now = epochMs(now + after * MINUTE_MS);
          if (nth !== undefined) await act(failAt(nth, moment, true)).catch(() => undefined);
          await act();
        }
        const { errors } = await verified(archiveIn(files), { now: epochMs(now + MINUTE_MS) });
        expect(errors).toEqual(files.has(manifestAt(1)) ? [] : ["HEAD_MISSING manifests/000000000001.json"]);
      }),
      { numRuns: 150 },
    );
  });

  test("is summarised: windows, events, objects, items, first and last instant", async () => {
    const files = await exported([7, 12, 17]);
    const { summary } = await verified(archiveIn(files));
    expect(summary).toMatchObject({
      ...{ from: minutes(0), until: minutes(15), windows: 3, events: 15, objects: 3, isContiguous: true },
      ...{ repairs: 0, gaps: 0, errors: 0, notices: 0, tail: "not proven", authenticity: "not authenticated" },
      head: { seq: 3, sha256: headSha256(files, 3) },
    });
  });

  test("can be on a read-only medium", async () => {
    const files = await exported([7, 12]);
    const readOnly = (store: Store): Store => ({
      ...store,
      create: () => Promise.reject(new Error("it was written")),
      replace: () => Promise.reject(new Error("it was written")),
      probe: () => Promise.reject(new Error("it was written")),
    });
    const archive = archiveIn(files);
    const { errors } = await verified({
      ...archive,
      ledger: readOnly(archive.ledger),
      data: readOnly(archive.data!),
      quarantine: readOnly(archive.quarantine),
    });
    expect(errors).toEqual([]);
  });

  test("can have a sink that keeps no objects: then its ledger is verified", async () => {
    const { pipeline, files } = world(HISTORY);
    const sink = {
      ...pipeline.sink,
      write: async ({ chunks }: Parameters<typeof pipeline.sink.write>[0]) => {
        let lines = 0;
        for await (const events of chunks) lines += events.length;
        return { delivered: { lines, contentSha256: "0".repeat(64), acknowledged: true } };
      },
    };
    await tick({ ...pipeline, sink, batch: { maxEvents: 1000, maxBytes: 1 << 20 } }, minutes(12), never);
    const archive = { ...archiveIn(files), data: undefined };
    expect(await verified(archive)).toMatchObject({ errors: [], summary: { events: 10, objects: 0 } });
    files.set(`ledger/${shownAt(files, 2).ids!.key}`, Buffer.alloc(16));
    expect((await verified(archive)).errors).toEqual([`IDS_ALTERED ${shownAt(files, 2).ids!.key}`]);
  });
});

test("objects of an earlier sink of the stream cannot be read, and the finding says why", async () => {
  const files = await exported([12]);
  const { findings } = await verified({ ...archiveIn(files), data: undefined });
  expect(findings).toEqual(
    expect.arrayContaining([
      expect.objectContaining({
        code: "OBJECT_MISSING",
        message: expect.stringContaining("verify with the sink that wrote it") as string,
      }),
    ]),
  );
});

test("without any manifest nothing is proved, which is an error", async () => {
  const { errors, summary } = await verified(archiveIn(new Map()));
  expect(errors).toEqual(["HEAD_MISSING manifests/000000000001.json"]);
  expect(summary.head).toBeUndefined();
});

describe("what is not wrong is a notice", () => {
  test("a gap, and the part of a window that the source no longer had", async () => {
    const source = { retentionMs: HOUR_MS };
    const { pipeline, files } = world(HISTORY, { source });
    await tick(pipeline, minutes(82), never);
    const { errors, notices, findings, summary } = await verified(archiveIn(files));
    expect(errors).toEqual([]);
    expect(notices).toEqual(["GAP manifests/000000000001.json", "GAP manifests/000000000002.json"]);
    expect(findings[0]!.message).toContain("2026-11-01T00:00:00Z/2026-11-01T00:20:00Z");
    expect(summary).toMatchObject({ gaps: 2, isContiguous: true });
  });

  test("another filter, and a checkpoint that is behind, truncated or missing", async () => {
    const files = await exported([7]);
    const behind = files.get("ledger/checkpoint.json")!;
    await tick(world(HISTORY, { files, selection: { eventKeys: ["x"] } }).pipeline, minutes(12), never);
    const changed = "FINGERPRINT_CHANGED manifests/000000000002.json";
    expect(await verified(archiveIn(files))).toMatchObject({ errors: [], notices: [changed] });
    for (const bytes of [behind, Buffer.from("{"), undefined]) {
      if (bytes === undefined) files.delete("ledger/checkpoint.json");
      else files.set("ledger/checkpoint.json", bytes);
      const { errors, notices } = await verified(archiveIn(files));
      expect([errors, notices]).toEqual([[], [changed, "CHECKPOINT_STALE checkpoint.json"]]);
    }
  });

  test("a checkpoint that shows another instant than the manifests", async () => {
    const files = await exported([7]);
    const lying = files.get("ledger/checkpoint.json")!.toString().replace("00:05:00Z", "09:05:00Z");
    files.set("ledger/checkpoint.json", Buffer.from(lying));
    expect((await verified(archiveIn(files))).notices).toEqual(["CHECKPOINT_STALE checkpoint.json"]);
  });

  test("a window in progress, until it is a day old", async () => {
    const files = await exported([7]);
    const dying: Effect = (what, moment) => {
      if (what.startsWith("create ledger/manifests/") && moment === "before") throw new Error("died");
    };
    await tick(world(HISTORY, { files, effect: dying }).pipeline, minutes(12), never).catch(() => undefined);
    const archive = archiveIn(files);
    const young = await verified(archive, { now: epochMs(DAY_MS) });
    expect(young.errors).toEqual([]);
    expect(young.notices).toHaveLength(2);
    for (const notice of young.notices) expect(notice).toMatch(/^IN_FLIGHT (?:data|ids)\/.*000000000002-/);
    const old = await verified(archive, { now: epochMs(DAY_MS + 1) });
    expect(old.notices).toEqual([]);
    for (const error of old.errors) expect(error).toMatch(/^TAIL_MISSING (?:data|ids)\//);
  });

  test("files left by concurrent workers, when everything in them is in the archive too", async () => {
    const { files, orphans } = await raced();
    const { errors, notices } = await verified(archiveIn(files));
    expect(errors).toEqual([]);
    expect([...notices].sort()).toEqual(orphans.map((key) => `ORPHAN ${key}`).sort());
  });

  test("but not when an event in them is in no other file", async () => {
    const { files, orphans } = await raced(1);
    const { errors } = await verified(archiveIn(files));
    expect([...errors].sort()).toEqual(orphans.map((key) => `UNREFERENCED_OBJECT ${key}`).sort());
  });
});

describe("a live archive", () => {
  test("has no findings for windows that are committed while it is read", async () => {
    const files = await exported([7, 12]);
    const archive = archiveIn(files);
    let isMoved = false;
    const data: Store = {
      ...archive.data!,
      // The worker continues between the listing of the manifests and that of the objects.
      async *list(prefix, after, signal) {
        if (!isMoved) {
          isMoved = true;
          await exported([17, 22, 27], { files });
        }
        yield* archive.data!.list(prefix, after, signal);
      },
    };
    const { errors, notices, summary } = await verified({ ...archive, data });
    expect(isMoved).toBe(true);
    expect([errors, notices, summary.windows]).toEqual([[], [], 2]);
  });
});

describe("a part of an archive", () => {
  test("is verified from a noted manifest, after its older half has expired", async () => {
    const files = await exported([7, 12, 17, 22]);
    const noted = headSha256(files, 2);
    // Objects may be kept for longer than the ledger is.
    for (const key of [...files.keys()]) if (/ledger.*00000000000[12]/.test(key)) files.delete(key);
    const archive = archiveIn(files);
    expect((await verified(archive)).errors).toContain("HEAD_MISSING manifests/000000000001.json");
    expect((await verified(archive, { firstSeq: 3, expectPrev: noted })).errors).toEqual([]);
    expect((await verified(archive, { firstSeq: 3, expectPrev: "0".repeat(64) })).errors).toEqual([
      "CHAIN_BROKEN manifests/000000000003.json",
    ]);
    expect((await verified(archive, { firstSeq: 2 })).errors).toContain("HEAD_MISSING manifests/000000000002.json");
  });

  test("by its time is read alone, and the whole chain is judged", async () => {
    const files = await exported([7, 12, 17, 22]);
    const archive = archiveIn(files);
    for (const seq of [1, 3]) files.set(shownAt(files, seq).objects[0]!.key, gzipSync("{}\n"));
    const span = { from: minutes(12), to: minutes(14) };
    const { errors, summary } = await verified(archive, { span });
    expect(errors).toEqual([`OBJECT_ALTERED ${shownAt(files, 3).objects[0]!.key}`]);
    expect(summary).toMatchObject({ windows: 4, isContiguous: true });
    files.delete(manifestAt(2));
    expect((await verified(archive, { span })).errors).toContain("WINDOW_MISSING manifests/000000000002.json");
  });
});

describe("a repair", () => {
  const lost = event("lost", minutes(6));

  async function repaired(): Promise<Files> {
    const files = await exported([7, 12, 17]);
    const { pipeline } = world([...HISTORY, lost], { files });
    expect(await repair(pipeline, { from: minutes(5), to: minutes(10) }, minutes(17), never)).toBe(1);
    return files;
  }

  test("goes back in time and breaks nothing", async () => {
    const files = await repaired();
    expect(shownAt(files, 4)).toMatchObject({ kind: "repair", events: 1 });
    await exported([22], { files });
    expect(await verified(archiveIn(files))).toMatchObject({
      ...{ errors: [], notices: [] },
      summary: { repairs: 1, windows: 4, isContiguous: true },
    });
  });

  test("that exports events of an old window again is found, however old it is", async () => {
    const files = await repaired();
    const archive = archiveIn(files);
    // As far back as nothing of it is remembered: its ids say it.
    const ids = idSet();
    ids.addPacked(files.get(`ledger/${shownAt(files, 2).ids!.key}`)!);
    ids.addPacked(packId(lost.id));
    const key = `ids/000000000002-${sha256Of(ids.sorted()).slice(0, 8)}.bin`;
    files.set(`ledger/${key}`, ids.sorted());
    rebuildFrom(files, 2, (shown) => (shown.ids = { key, sha256: sha256Of(ids.sorted()) }));
    const { errors } = await verified(archive);
    expect(errors).toContain(`DUPLICATE_EVENT ${shownAt(files, 4).objects[0]!.key}`);
  });
});

test("a real folder is verified, and a name outside the folder is a finding", async () => {
  const folder = mkdtempSync(join(tmpdir(), "siem-export-verify-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const store = fileStore(folder);
  const files = await exported([7, 12]);
  for (const [key, bytes] of files) await store.create(key, bytes, never);
  const archive = { ...archiveIn(files), data: store, quarantine: store };
  expect((await verified(archive)).errors).toEqual([]);
  rebuildFrom(files, 2, ({ objects }) => (objects[0]!.key = "data/../../../etc/hostname"));
  expect((await verified(archive)).errors).toContain("OBJECT_MISSING data/../../../etc/hostname");
});

test("work at the same time is limited in number and weight, and its results are in order", async () => {
  let [now, most] = [0, 0];
  const work = async (item: number) => {
    now++;
    most = Math.max(most, now);
    // Later ones are done sooner.
    for (let turn = item; turn < 20; turn++) await Promise.resolve();
    now--;
    return item;
  };
  const items = Array.from({ length: 20 }, (_, index) => index);
  const run = async (limits: Parameters<typeof mapInOrder>[2]) => {
    most = 0;
    const out: number[] = [];
    for await (const item of mapInOrder(items, work, limits as { atOnce: number })) out.push(item);
    return { out, most };
  };
  expect(await run({ atOnce: 4 })).toEqual({ out: items, most: 4 });
  expect(await run({ atOnce: 16, weightOf: () => 10, weightMax: 15 })).toEqual({ out: items, most: 2 });
  const failing = mapInOrder(items, (item) => (item === 3 ? Promise.reject(new Error("no")) : item), { atOnce: 8 });
  const seen: number[] = [];
  await expect(
    (async () => {
      for await (const item of failing) seen.push(item);
    })(),
  ).rejects.toThrow("no");
  expect(seen).toEqual([0, 1, 2]);
});

test("the first member of a gzip file is unpacked, and the bytes after it are counted", async () => {
  const lines = Buffer.from("one\ntwo\n");
  const stored = gzipSync(lines);
  expect(await unpack(stored, 8)).toEqual({ content: lines, trailingBytes: 0 });
  const more = gzipSync("three\n");
  expect(await unpack(Buffer.concat([stored, more]), 8)).toEqual({ content: lines, trailingBytes: more.length });
  expect(await unpack(stored, 7)).toBeUndefined();
  for (let length = 0; length < stored.length; length++) {
    expect(await unpack(stored.subarray(0, length), 100)).toBeUndefined();
  }
  for (const at of [0, 2, stored.length - 1, stored.length - 5, stored.length - 9]) {
    const damaged = Buffer.from(stored);
    damaged[at] = damaged[at]! ^ 1;
    expect(await unpack(damaged, 100), `byte ${at}`).toBeUndefined();
  }
});

test("a gzip header with a name, a comment and an extra field is skipped", async () => {
  const lines = Buffer.from("one\n");
  const plain = gzipSync(lines);
  const flags = 4 + 8 + 16;
  const header = Buffer.concat([plain.subarray(0, 3), Buffer.from([flags]), plain.subarray(4, 10)]);
  const named = Buffer.concat([header, Buffer.from([2, 0, 7, 7]), Buffer.from("name\0comment\0"), plain.subarray(10)]);
  expect(await unpack(named, 100)).toEqual({ content: lines, trailingBytes: 0 });
});

test("an id is found among the newest ids: at least the limit, at most twice as many", () => {
  const recent = recentIds(10);
  const packed = (from: number, count: number) =>
    Buffer.concat(Array.from({ length: count }, (_, index) => packId(`id-${from + index}`)));
  expect(recent.add(packed(0, 6))).toEqual([]);
  expect(recent.add(packed(5, 6)).map(String)).toEqual([String(packId("id-5"))]);
  expect(recent.add(packed(20, 1))).toEqual([]);
  expect(recent.add(packed(9, 1))).toHaveLength(1);
  for (let from = 100; from < 150; from += 5) expect(recent.add(packed(from, 5))).toEqual([]);
  expect(recent.add(packed(0, 1))).toEqual([]);
  expect(recent.add(packed(149, 1))).toHaveLength(1);
});

test("progress goes from the first window to the last", async () => {
  const files = await exported([7, 12, 17]);
  const { verify } = await import("../../src/archive/verify.ts");
  const shown: string[] = [];
  const options = { keys: [], span: undefined, firstSeq: 1, expectPrev: undefined, anchor: undefined };
  const items = verify(archiveIn(files), { ...options, maxAgeMs: undefined, now: minutes(20) }, never);
  for await (const item of items) {
    if (item.kind === "progress")
      shown.push(`${formatInstant(item.until)} of ${formatInstant(item.to)} ${item.events}`);
  }
  expect(shown).toEqual([
    "2026-11-01T00:05:00Z of 2026-11-01T00:15:00Z 5",
    "2026-11-01T00:10:00Z of 2026-11-01T00:15:00Z 10",
    "2026-11-01T00:15:00Z of 2026-11-01T00:15:00Z 15",
  ]);
});

test("a store that cannot be read is an error, not a finding", async () => {
  const files = await exported([7, 12]);
  const failing = memoryStore(files, failAt(1, "before", true));
  await expect(verified({ ...archiveIn(files), data: failing })).rejects.toThrow("made to fail");
});
