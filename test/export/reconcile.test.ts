import { expect, test } from "vitest";
import { tick } from "../../src/export/tick.ts";
import { reconcile, repair } from "../../src/export/reconcile.ts";
import { epochMs, HOUR_MS, MINUTE_MS, type EpochMs } from "../../src/time.ts";
import {
  committedKeys,
  dataKeys,
  event,
  eventsOver,
  linesIn,
  manifestsIn,
  never,
  START,
  world,
} from "../support/world.ts";

const minutes = (count: number): EpochMs => epochMs(START + count * MINUTE_MS);
const HISTORY = eventsOver(START, epochMs(START + HOUR_MS), 120);
const LATE = [event("late-1", minutes(3)), event("late-2", minutes(17)), event("late-3", minutes(59))];
const ALL = { from: START, to: minutes(60) };
const NOW = minutes(62);
const lines = (events: typeof HISTORY) => events.map(({ record }) => record.toString());

/** An archive of the history without the late events, and a worker that sees them, too. */
async function archived(windows = { lookbackMs: 0, catchUpSizeMs: 5 * MINUTE_MS }) {
  const files = new Map<string, Buffer>();
  await tick(world(HISTORY, { files, windows }).pipeline, NOW, never);
  return { files, worker: world([...HISTORY, ...LATE], { files, windows }) };
}

test("a complete archive reconciles as the same", async () => {
  const { pipeline } = world(HISTORY);
  await tick(pipeline, NOW, never);
  expect(await reconcile(pipeline, ALL, NOW, never)).toEqual({
    ...{ span: ALL, source: 120, same: 120, missing: 0, missingIds: [], extra: 0, extraIds: [] },
  });
});

test("what became visible after its window is missing, and named", async () => {
  const { worker } = await archived();
  expect(await reconcile(worker.pipeline, ALL, NOW, never)).toMatchObject({
    source: 123,
    same: 120,
    missing: 3,
    missingIds: ["late-1", "late-2", "late-3"],
  });
});

test("only the requested span is compared, although its windows reach further", async () => {
  const { worker } = await archived();
  const span = { from: minutes(16), to: minutes(18) };
  expect(await reconcile(worker.pipeline, span, NOW, never)).toMatchObject({ source: 5, missing: 1, extra: 0 });
});

test("what the source no longer shows is extra", async () => {
  const files = new Map<string, Buffer>();
  await tick(world(HISTORY, { files }).pipeline, NOW, never);
  const { pipeline } = world(HISTORY.slice(10), { files });
  const report = await reconcile(pipeline, ALL, NOW, never);
  expect(report).toMatchObject({ source: 110, same: 110, missing: 0, extra: 10 });
  expect(report!.extraIds[0]).toBe(HISTORY[0]!.id.replaceAll("-", ""));
});

test("a span that is not exported yet, or no longer kept, is not compared", async () => {
  const { pipeline } = world(HISTORY, { source: { retentionMs: 30 * MINUTE_MS } });
  await tick(pipeline, NOW, never);
  expect(await reconcile(pipeline, { from: minutes(70), to: minutes(80) }, NOW, never)).toBeUndefined();
  expect(await reconcile(pipeline, { from: START, to: minutes(20) }, NOW, never)).toBeUndefined();
  expect(await reconcile(pipeline, ALL, NOW, never)).toMatchObject({
    span: { from: minutes(32) + 5000, to: minutes(60) },
    extra: 0,
  });
});

test("a repair adds what is missing, once, rewrites nothing, and does not move the checkpoint", async () => {
  const { files, worker } = await archived();
  const before = new Map(files);
  expect(await repair(worker.pipeline, ALL, NOW, never)).toBe(3);
  expect(await reconcile(worker.pipeline, ALL, NOW, never)).toMatchObject({ missing: 0, extra: 0 });
  expect(linesIn(files, dataKeys(files)).sort()).toEqual(lines([...HISTORY, ...LATE]).sort());
  const last = manifestsIn(files).at(-1)!;
  expect(last).toMatchObject({ kind: "repair", events: 3, late: 0, window: { to: "2026-11-01T01:00:00Z" } });
  expect(JSON.parse(files.get("ledger/checkpoint.json")!.toString())).toMatchObject({
    exportedUntil: "2026-11-01T01:00:00Z",
    sequence: last.seq,
  });
  for (const [key, bytes] of before) if (key !== "ledger/checkpoint.json") expect(files.get(key)).toEqual(bytes);
  // Its objects sort after all that a reader has seen.
  expect(last.objects[0]!.key > dataKeys(new Map(before)).sort().at(-1)!).toBe(true);
});

test("the windows after a repair continue where the windows before it ended, and know its events", async () => {
  const { files } = await archived();
  const windows = { lookbackMs: 30 * MINUTE_MS };
  const worker = world([...HISTORY, ...LATE], { files, windows });
  await repair(worker.pipeline, ALL, NOW, never);
  await tick(worker.pipeline, minutes(67), never);
  await tick(world([...HISTORY, ...LATE], { files, windows }).pipeline, minutes(72), never);
  expect(manifestsIn(files).slice(-2)).toMatchObject([
    { kind: "window", window: { from: "2026-11-01T01:00:00Z" }, events: 0 },
    { kind: "window", events: 0 },
  ]);
});

test("what happened before the stream's start is not missing, and a repair does not add it", async () => {
  const files = new Map<string, Buffer>();
  const windows = { start: minutes(30) };
  const { pipeline } = world(HISTORY, { files, windows });
  await tick(pipeline, NOW, never);
  expect(await reconcile(pipeline, ALL, NOW, never)).toMatchObject({
    span: { from: minutes(30), to: minutes(60) },
    ...{ source: 60, same: 60, missing: 0, extra: 0 },
  });
});

test("an item without a time that the window before has is not missing", async () => {
  const files = new Map<string, Buffer>();
  const windows = { lookbackMs: 0, catchUpSizeMs: 5 * MINUTE_MS };
  const poison = [{ reason: "no id", record: Buffer.from("{}") }];
  const { pipeline } = world(HISTORY, { files, windows, source: { poison } });
  await tick(pipeline, minutes(12), never);
  const span = { from: minutes(5), to: minutes(10) };
  expect(await reconcile(pipeline, span, minutes(12), never)).toMatchObject({ missing: 0, extra: 0 });
});

test("an item in quarantine counts as repaired, too", async () => {
  const { files } = await archived();
  const poison = [{ reason: "no id", record: Buffer.from("{}"), time: minutes(3) }];
  const { pipeline } = world(HISTORY, { files, source: { poison }, windows: { lookbackMs: 0 } });
  expect(await reconcile(pipeline, ALL, NOW, never)).toMatchObject({ missing: 1 });
  expect(await repair(pipeline, ALL, NOW, never)).toBe(1);
  expect(await reconcile(pipeline, ALL, NOW, never)).toMatchObject({ missing: 0 });
});

test("a repair with nothing missing is committed empty", async () => {
  const { pipeline, files } = world(HISTORY);
  await tick(pipeline, NOW, never);
  expect(await repair(pipeline, ALL, NOW, never)).toBe(0);
  expect(manifestsIn(files).at(-1)).toMatchObject({ kind: "repair", events: 0, objects: [] });
});

test("the next worker resumes an interrupted repair, and adds each event once", async () => {
  const { files } = await archived();
  const crashing = world([...HISTORY, ...LATE], {
    files,
    windows: { lookbackMs: 0 },
    batch: { maxEvents: 1, maxBytes: 1 << 20 },
    effect: (what, moment) => {
      if (what.startsWith("create data/") && what.includes("-0001_") && moment === "after") throw new Error("died");
    },
  });
  await expect(repair(crashing.pipeline, ALL, NOW, never)).rejects.toThrow("died");
  const next = world([...HISTORY, ...LATE], { files, windows: { lookbackMs: 0 } });
  await tick(next.pipeline, minutes(67), never);
  expect(
    manifestsIn(files)
      .slice(-2)
      .map(({ kind, events }) => [kind, events]),
  ).toEqual([
    ["repair", 3],
    ["window", 0],
  ]);
  expect(linesIn(files, dataKeys(files)).sort()).toEqual(lines([...HISTORY, ...LATE]).sort());
  expect(dataKeys(files).sort()).toEqual(committedKeys(files).sort());
});

test("a window that another worker started comes before the repair", async () => {
  const { files } = await archived();
  const crashing = world([...HISTORY, ...LATE], {
    files,
    windows: { lookbackMs: 0 },
    effect: (what, moment) => {
      if (what.startsWith("create ledger/plans/") && moment === "after") throw new Error("died");
    },
  });
  await tick(crashing.pipeline, minutes(67), never).catch(() => undefined);
  const next = world([...HISTORY, ...LATE], { files, windows: { lookbackMs: 0 } });
  expect(await repair(next.pipeline, ALL, minutes(67), never)).toBe(3);
  expect(
    manifestsIn(files)
      .slice(-2)
      .map(({ kind }) => kind),
  ).toEqual(["window", "repair"]);
});

test("a late event that a later window has is not missing from its own", async () => {
  const files = new Map<string, Buffer>();
  let now = minutes(0);
  const source = {
    now: () => now,
    visibleFrom: (one: { id: string; time: EpochMs }) => (one.id === "late-1" ? minutes(13) : one.time),
  };
  const { pipeline } = world([...HISTORY, LATE[0]!], { files, source });
  for (now of [minutes(7), minutes(12), minutes(17)]) await tick(pipeline, now, never);
  const span = { from: START, to: minutes(5) };
  expect(await reconcile(pipeline, span, now, never)).toMatchObject({ source: 11, same: 11, missing: 0, extra: 0 });
  expect(await repair(pipeline, span, now, never)).toBe(0);
});
