import { expect, test } from "vitest";
import { LedgerError } from "../../src/errors.ts";
import { tick } from "../../src/export/tick.ts";
import { epochMs, HOUR_MS, MINUTE_MS, SECOND_MS, type EpochMs } from "../../src/time.ts";
import {
  at,
  committedKeys,
  dataKeys,
  event,
  eventsOver,
  linesIn,
  manifestsIn,
  never,
  START,
  world,
  type Effect,
} from "../support/world.ts";

const minutes = (count: number): EpochMs => epochMs(START + count * MINUTE_MS);
const HISTORY = eventsOver(START, epochMs(START + 2 * HOUR_MS), 240);
const lines = (events: typeof HISTORY) => events.map(({ record }) => record.toString());

test("each event is in the archive once, in order of time, in objects that manifests name", async () => {
  const { pipeline, files } = world(HISTORY);
  const result = await tick(pipeline, minutes(122), never);
  expect(linesIn(files, dataKeys(files))).toEqual(lines(HISTORY));
  expect(dataKeys(files).sort()).toEqual(committedKeys(files).sort());
  expect(result).toMatchObject({ windows: 2, events: 240 });
  expect(result.head.exportedUntil).toBe(minutes(120));
});

test("an object is named by its window, part and content, in the folder of the window's start", async () => {
  const { pipeline, files } = world(HISTORY);
  await tick(pipeline, minutes(7), never);
  const [object] = manifestsIn(files)[0]!.objects;
  expect(object!.key).toMatch(
    /^data\/dt=2026-11-01\/hour=00\/000000000001-0000_20261101T000000Z_20261101T000500Z_[0-9a-f]{8}\.ndjson\.gz$/,
  );
  expect(object).toMatchObject({ lines: 7, first: "2026-11-01T00:00:00Z", last: "2026-11-01T00:03:00Z" });
});

test("an empty window has a manifest, but no object and no ids", async () => {
  const { pipeline, files } = world([]);
  await tick(pipeline, minutes(12), never);
  expect(manifestsIn(files)).toMatchObject([
    { events: 0, objects: [], ids: null },
    { events: 0, objects: [], ids: null },
  ]);
  expect([...files.keys()].filter((key) => key.startsWith("data/") || key.includes("/ids/"))).toEqual([]);
});

test("an event on a window's edge is exported once, though the source's bounds are inclusive", async () => {
  const edge = minutes(5);
  const { pipeline, files } = world([
    event("before", epochMs(edge - 1)),
    event("on", edge),
    event("after", epochMs(edge + 1)),
  ]);
  await tick(pipeline, minutes(12), never);
  expect(manifestsIn(files).map(({ events }) => events)).toEqual([1, 2]);
});

test("an event that became visible late is exported with the next tick's first window, and counted", async () => {
  let now = minutes(0);
  const late = event("late", minutes(3));
  const source = {
    now: () => now,
    visibleFrom: (one: { id: string; time: EpochMs }) => (one.id === "late" ? minutes(13) : one.time),
  };
  const { pipeline, files } = world([...HISTORY, late], { source });
  for (now of [minutes(7), minutes(12), minutes(17), minutes(22)]) await tick(pipeline, now, never);
  expect(manifestsIn(files).map((manifest) => manifest.late)).toEqual([0, 0, 1, 0]);
  expect(manifestsIn(files)[2]!.objects[0]!.first).toBe("2026-11-01T00:03:00Z");
  const expected = [...HISTORY.filter(({ time }) => time < minutes(20)), late];
  expect(linesIn(files, dataKeys(files)).sort()).toEqual(lines(expected).sort());
});

test("late events are still known as such after a restart", async () => {
  const files = new Map<string, Buffer>();
  for (const clock of [7, 12, 17, 22, 27]) await tick(world(HISTORY, { files }).pipeline, minutes(clock), never);
  expect(linesIn(files, dataKeys(files))).toEqual(lines(HISTORY.filter(({ time }) => time < minutes(25))));
  expect(manifestsIn(files).every((manifest) => manifest.late === 0)).toBe(true);
});

test("the source gets no request while no window is ready", async () => {
  let requests = 0;
  const effect: Effect = (what) => {
    if (what === "request") requests++;
  };
  const { pipeline } = world(HISTORY, { effect });
  expect(await tick(pipeline, minutes(6), never)).toMatchObject({ windows: 0 });
  expect(requests).toBe(0);
});

test("a worker whose clock is ahead of the source's uses the source's", async () => {
  const { pipeline, files } = world(HISTORY, { source: { clockOffsetMs: -10 * MINUTE_MS } });
  await tick(pipeline, minutes(17), never);
  expect(manifestsIn(files).map(({ window }) => window.to)).toEqual(["2026-11-01T00:05:00Z"]);
});

test("a worker whose clock is behind uses its own", async () => {
  const { pipeline, files } = world(HISTORY, { source: { clockOffsetMs: 10 * MINUTE_MS } });
  await tick(pipeline, minutes(7), never);
  expect(manifestsIn(files)).toHaveLength(1);
});

/** Crashes after the fourth object is written, before the worker knows it. */
const dyingAtPart3: Effect = (what, moment) => {
  if (what.startsWith("create data/") && what.includes("-0003_") && moment === "after") throw new Error("died");
};

test("after a crash between two objects, no reader would index an event twice", async () => {
  const files = new Map<string, Buffer>();
  const error = await tick(world(HISTORY, { files, effect: dyingAtPart3 }).pipeline, minutes(62), never).catch(
    (thrown: unknown) => thrown,
  );
  expect(error).toBeDefined();
  const left = dataKeys(files);
  expect(left.length).toBeGreaterThan(2);
  expect(manifestsIn(files)).toHaveLength(0);
  // After the restart the batches are cut differently. What is there is reused anyway.
  const { pipeline, facts } = world(HISTORY, { files, batch: { maxEvents: 50, maxBytes: 1 << 20 } });
  await tick(pipeline, minutes(62), never);
  expect(facts.filter(({ kind }) => kind === "object.taken")).toHaveLength(left.length);
  expect(dataKeys(files).sort()).toEqual(committedKeys(files).sort());
  expect(linesIn(files, dataKeys(files)).sort()).toEqual(
    lines(HISTORY.filter(({ time }) => time < minutes(60))).sort(),
  );
});

test("a truncated object of an interrupted attempt is not reused, and that is reported", async () => {
  const files = new Map<string, Buffer>();
  await tick(world(HISTORY, { files, effect: dyingAtPart3 }).pipeline, minutes(62), never).catch(() => undefined);
  const [first, second] = dataKeys(files).sort();
  files.set(first!, files.get(first!)!.subarray(0, -4));
  const { pipeline, facts } = world(HISTORY, { files });
  await tick(pipeline, minutes(62), never);
  expect(facts.filter(({ kind }) => kind === "object.left")).toMatchObject([{ key: first, reason: "it is not whole" }]);
  expect(committedKeys(files)).not.toContain(first);
  expect(committedKeys(files)).toContain(second);
  expect(linesIn(files, committedKeys(files)).sort()).toEqual(
    lines(HISTORY.filter(({ time }) => time < minutes(60))).sort(),
  );
});

test("two workers on one stream: each window is committed once, and the loser continues from the new head", async () => {
  const files = new Map<string, Buffer>();
  const one = world(HISTORY, { files, windows: { catchUpSizeMs: 5 * MINUTE_MS } });
  const other = world(HISTORY, { files, windows: { catchUpSizeMs: 5 * MINUTE_MS } });
  const results = await Promise.all([
    tick(one.pipeline, minutes(122), never),
    tick(other.pipeline, minutes(122), never),
  ]);
  expect(manifestsIn(files)).toHaveLength(24);
  expect(linesIn(files, dataKeys(files))).toEqual(lines(HISTORY));
  for (const { head } of results) expect(head.exportedUntil).toBe(minutes(120));
});

test("a worker that was overtaken between its ticks continues from the other's head", async () => {
  const files = new Map<string, Buffer>();
  const slow = world(HISTORY, { files });
  await tick(slow.pipeline, minutes(7), never);
  await tick(world(HISTORY, { files }).pipeline, minutes(62), never);
  await tick(slow.pipeline, minutes(122), never);
  expect(slow.facts.map(({ kind }) => kind)).toContain("window.lost");
  expect(linesIn(files, dataKeys(files))).toEqual(lines(HISTORY));
});

test("a plan of a worker whose clock is ahead waits until its window has settled by our clock", async () => {
  const files = new Map<string, Buffer>();
  const ours = world(HISTORY, { files, windows: { sizeMs: 5 * MINUTE_MS } });
  const theirs = world(HISTORY, {
    files,
    windows: { sizeMs: 15 * MINUTE_MS },
    effect: (what, moment) => {
      if (what.startsWith("create ledger/plans") && moment === "after") throw new LedgerError("stopped");
    },
  });
  await tick(theirs.pipeline, minutes(20), never).catch(() => undefined);
  await tick(ours.pipeline, minutes(8), never);
  expect(manifestsIn(files)).toHaveLength(0);
  await tick(ours.pipeline, minutes(17), never);
  expect(manifestsIn(files).map(({ window }) => window.to)).toEqual(["2026-11-01T00:15:00Z"]);
});

test("a worker stops if another one uses the same ledger with other settings", async () => {
  const files = new Map<string, Buffer>();
  const ours = world(HISTORY, { files });
  await tick(ours.pipeline, minutes(7), never);
  await tick(world(HISTORY, { files, selection: "other" }).pipeline, minutes(17), never);
  await expect(tick(ours.pipeline, minutes(22), never)).rejects.toThrow("other settings");
});

function quarantineIn(files: Map<string, Buffer>): Record<string, unknown>[] {
  const keys = [...files.keys()].filter((key) => key.startsWith("quarantine/"));
  return linesIn(files, keys).map((line) => JSON.parse(line) as Record<string, unknown>);
}

test("an item that is not an event is quarantined with its reason and bytes, and the window continues", async () => {
  const poison = [
    { reason: "no id", record: Buffer.from('{"created_at":"2026-11-01T00:01:00Z"}'), time: at("2026-11-01T00:01:00Z") },
    { reason: "not UTF-8", record: Buffer.from([0x22, 0xff, 0x22]) },
  ];
  const { pipeline, files, facts } = world(HISTORY, { source: { poison } });
  await tick(pipeline, minutes(7), never);
  expect(manifestsIn(files)).toMatchObject([{ events: 10, quarantine: [{ lines: 2 }] }]);
  expect(quarantineIn(files)).toEqual([
    { reason: "not UTF-8", window: "2026-11-01T00:00:00Z/2026-11-01T00:05:00Z", item: 1, recordBase64: "Iv8i" },
    {
      reason: "no id",
      window: "2026-11-01T00:00:00Z/2026-11-01T00:05:00Z",
      item: 2,
      time: "2026-11-01T00:01:00Z",
      record: '{"created_at":"2026-11-01T00:01:00Z"}',
    },
  ]);
  expect(facts).toContainEqual(expect.objectContaining({ kind: "items.quarantined", lines: 2 }));
});

test("an item is quarantined only once, also if a look-back, a restart or a neighbouring window sees it again", async () => {
  const poison = [{ reason: "no id", record: Buffer.from("{}") }];
  const files = new Map<string, Buffer>();
  for (const clock of [7, 12, 17])
    await tick(world(HISTORY, { files, source: { poison } }).pipeline, minutes(clock), never);
  expect(quarantineIn(files)).toHaveLength(1);
  expect(manifestsIn(files).map(({ quarantine }) => quarantine.length)).toEqual([1, 0, 0]);
});

test("an item without a time at a bound is quarantined once, also without a look-back", async () => {
  const poison = [{ reason: "no id", record: Buffer.from("{}") }];
  const { pipeline, files } = world(HISTORY, { source: { poison }, windows: { lookbackMs: 0 } });
  await tick(pipeline, minutes(12), never);
  expect(quarantineIn(files)).toHaveLength(1);
});

test("an item with a readable time is quarantined only by its own window", async () => {
  const time = at("2026-11-01T00:07:00Z");
  const { pipeline, files } = world(HISTORY, {
    source: { poison: [{ reason: "no id", record: Buffer.from("{}"), time }] },
  });
  await tick(pipeline, minutes(17), never);
  expect(manifestsIn(files).map(({ quarantine }) => quarantine.length)).toEqual([0, 1, 0]);
});

test("an event over the size limit is quarantined, and the others are exported", async () => {
  const large = { ...event("large", minutes(1)), record: Buffer.alloc(5000, "x") };
  const { pipeline, files } = world([...HISTORY, large], { maxEventBytes: 4000 });
  await tick(pipeline, minutes(7), never);
  expect(manifestsIn(files)).toMatchObject([{ events: 10, quarantine: [{ lines: 1 }] }]);
  expect(quarantineIn(files)).toMatchObject([{ reason: "larger than batch.maxEventBytes (4000)", id: "large" }]);
});

/** The floor is assumed to be so much later than it is, because the source's time is not known exactly. */
const MARGIN_MS = 5 * SECOND_MS;

test("what the source no longer keeps is committed as a gap and reported, and the export continues after it", async () => {
  const source = { retentionMs: 90 * MINUTE_MS };
  const { pipeline, files, facts } = world(HISTORY, { source });
  // The floor is at 00:33: windows up to 00:30 are gone, the next has lost its first three minutes.
  await tick(pipeline, minutes(123), never);
  const [gap, straddling, whole] = manifestsIn(files);
  expect(gap).toMatchObject({
    seq: 1,
    kind: "gap",
    window: { to: "2026-11-01T00:30:00Z" },
    events: 0,
    objects: [],
    ids: null,
  });
  expect(straddling).toMatchObject({
    kind: "window",
    window: { from: "2026-11-01T00:30:00Z", to: "2026-11-01T00:35:00Z" },
    missing: { from: "2026-11-01T00:30:00Z", to: "2026-11-01T00:33:05Z" },
  });
  expect(whole!.missing).toBeUndefined();
  expect(facts.filter(({ kind }) => kind === "gap.found")).toMatchObject([
    { sequence: 1, window: { from: START, to: minutes(30) } },
    { sequence: 2, window: { from: minutes(30), to: minutes(33) + MARGIN_MS } },
  ]);
  expect(linesIn(files, dataKeys(files))).toEqual(lines(HISTORY.filter(({ time }) => time >= minutes(30))));
});

test("what the source drops while a window is fetched is recorded as missing, and reported", async () => {
  const passing = { ms: 0 };
  const source = {
    retentionMs: 90 * MINUTE_MS,
    now: () => epochMs(minutes(120) + passing.ms),
    // Half an hour passes while we wait for the answer. After that, the source no longer shows what is older than its retention.
    visibleFrom: (one: { time: EpochMs }) => (one.time < minutes(60) ? epochMs(Infinity) : one.time),
  };
  const effect: Effect = (what, moment) => {
    if (what === "request" && moment === "before") passing.ms = 30 * MINUTE_MS;
  };
  const { pipeline, files, facts } = world(HISTORY, { source, effect });
  await tick(pipeline, minutes(120), never, () => passing.ms);
  const kept = manifestsIn(files).map(({ kind, window, missing }) => [kind, window.from, missing?.to]);
  expect(kept.slice(0, 2)).toEqual([
    ["gap", "2026-11-01T00:00:00Z", undefined],
    ["window", "2026-11-01T00:30:00Z", "2026-11-01T00:35:00Z"],
  ]);
  expect(kept[2]).toEqual(["gap", "2026-11-01T00:35:00Z", undefined]);
  expect(facts.filter(({ kind }) => kind === "gap.found")).toHaveLength(4);
});

test("a plan that became too old while no worker ran is exported as far as the source still has it", async () => {
  const files = new Map<string, Buffer>();
  await tick(world(HISTORY, { files, effect: dyingAtPart3 }).pipeline, minutes(62), never).catch(() => undefined);
  const { pipeline } = world(HISTORY, { files, source: { retentionMs: 90 * MINUTE_MS } });
  await tick(pipeline, minutes(121), never);
  expect(manifestsIn(files)[0]).toMatchObject({
    kind: "window",
    missing: { from: "2026-11-01T00:00:00Z", to: "2026-11-01T00:31:05Z" },
  });
});

test("once half of the retention is used up, there is a warning before anything is lost", async () => {
  const { pipeline, facts } = world(HISTORY, { source: { retentionMs: 4 * HOUR_MS } });
  await tick(pipeline, minutes(119), never);
  expect(facts.map(({ kind }) => kind)).not.toContain("retention.near");
  const late = world(HISTORY, { source: { retentionMs: 3 * HOUR_MS } });
  await tick(late.pipeline, minutes(119), never);
  expect(late.facts[1]).toEqual({ kind: "retention.near", exportedUntil: START, leftMs: 61 * MINUTE_MS });
});

test("the manifest says how late the late events were, and where the look-back began", async () => {
  let now = minutes(0);
  const late = event("late", minutes(3));
  const source = {
    now: () => now,
    visibleFrom: (one: { id: string; time: EpochMs }) => (one.id === "late" ? minutes(13) : one.time),
  };
  const { pipeline, files } = world([...HISTORY, late], { source });
  for (now of [minutes(7), minutes(12), minutes(17)]) await tick(pipeline, now, never);
  expect(manifestsIn(files)[2]).toMatchObject({ late: 1, lateness: { "15m": 1 }, since: "2026-11-01T00:00:00Z" });
});

test("a thousand events of one instant, over many pages, are all exported", async () => {
  const ties = Array.from({ length: 1000 }, (_, index) => event(`id-${index}`, epochMs(START + 90 * SECOND_MS)));
  const { pipeline, files } = world(ties);
  await tick(pipeline, minutes(7), never);
  expect(linesIn(files, dataKeys(files)).sort()).toEqual(lines(ties).sort());
});

test("a burst that fills a window is cut and exported like any other", async () => {
  const burst = eventsOver(at("2026-11-01T00:10:00Z"), at("2026-11-01T00:10:30Z"), 3000);
  const { pipeline, files } = world([...HISTORY, ...burst.map((one) => ({ ...one, id: `b-${one.id}` }))], {
    batch: { maxEvents: 500, maxBytes: 1 << 20 },
    parallel: 4,
  });
  await tick(pipeline, minutes(62), never);
  expect(manifestsIn(files)[0]).toMatchObject({ events: 3120 });
});

test("an abort ends the tick with its own reason, and the next start finishes the window", async () => {
  const files = new Map<string, Buffer>();
  const stop = new AbortController();
  const reason = new Error("asked to stop");
  const { pipeline } = world(HISTORY, {
    files,
    effect: (what, moment) => {
      if (what.startsWith("create data/") && moment === "after") stop.abort(reason);
    },
  });
  await expect(tick(pipeline, minutes(62), stop.signal)).rejects.toBe(reason);
  expect(manifestsIn(files)).toEqual([]);
  await tick(world(HISTORY, { files }).pipeline, minutes(62), never);
  expect(linesIn(files, dataKeys(files)).sort()).toEqual(
    lines(HISTORY.filter(({ time }) => time < minutes(60))).sort(),
  );
});

test("a steady tick costs five store operations a window with events, three an empty one, and no listing", async () => {
  const operations: string[] = [];
  const effect: Effect = (what, moment) => {
    if (moment === "before" && what !== "request") operations.push(what);
  };
  const { pipeline } = world(
    HISTORY.filter(({ time }) => time < minutes(15) || time >= minutes(20)),
    {
      effect,
      batch: { maxEvents: 100, maxBytes: 1 << 20 },
    },
  );
  for (const clock of [7, 12]) await tick(pipeline, minutes(clock), never);
  const counts: number[] = [];
  for (const clock of [17, 22]) {
    operations.length = 0;
    await tick(pipeline, minutes(clock), never);
    counts.push(operations.length);
    expect(operations.some((what) => what.startsWith("list"))).toBe(false);
  }
  expect(counts).toEqual([5, 3]);
});
