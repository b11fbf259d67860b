import fc from "fast-check";
import { expect, test } from "vitest";
import { NO_DAYS, listNewest, summarize, addWindows, type LastDays } from "../../src/status/last-days.ts";
import { DAY_MS, epochMs, HOUR_MS, MINUTE_MS } from "../../src/time.ts";
import { committed } from "../support/status.ts";
import { START } from "../support/world.ts";
import type { Committed } from "../../src/totals.ts";

const ALL = { windows: 300, hours: 168 };
const windows = (count: number, changes: Partial<Committed> = {}): Committed[] =>
  Array.from({ length: count }, (_, index) => committed(index + 1, changes));
const shown = (lastDays: LastDays) => ({
  ...listNewest(lastDays, ALL),
  ...summarize(lastDays, lastDays.until ?? START),
});
const shownOf = (all: readonly Committed[]) => shown(addWindows(NO_DAYS, all));

test("a window is listed, and counts in its hour and in the day", () => {
  const { windows: listed, hours, day } = shownOf([committed(1, { keys: { user_login: 4, user_logout: 1 } })]);
  expect(listed).toEqual([
    {
      ...{ sequence: 1, kind: "window", from: "2026-11-01T00:00:00Z", to: "2026-11-01T00:05:00Z" },
      ...{ events: 5, late: 0, quarantined: 0, bytes: 100 },
    },
  ]);
  const counts = { windows: 1, events: 5, late: 0, quarantined: 0, gaps: 0, bytes: 100 };
  expect(hours).toEqual([{ from: "2026-11-01T00:00:00Z", ...counts, exportedSeconds: 300, gapSeconds: 0 }]);
  expect(day).toMatchObject({
    ...counts,
    keys: [
      { key: "user_login", events: 4 },
      { key: "user_logout", events: 1 },
    ],
  });
});

test("the order in which windows are added, and in how many steps, makes no difference", () => {
  const all = windows(60, { keys: { a: 3, b: 2 }, lateness: { "5m": 1 } });
  fc.assert(
    fc.property(fc.shuffledSubarray(all, { minLength: all.length }), fc.integer({ min: 1, max: 60 }), (order, cut) => {
      const lastDays = addWindows(addWindows(NO_DAYS, order.slice(0, cut)), order.slice(cut));
      expect(shown(lastDays)).toEqual(shownOf(all));
    }),
    { numRuns: 30 },
  );
});

test("the size is bounded, however many windows there are and however small they are", () => {
  const small = (index: number): Committed => {
    const from = epochMs(START + index * 1000);
    return committed(index + 1, { window: { from, to: epochMs(from + 1000) }, keys: { [`key ${index}`]: 5 } });
  };
  const lastDays = addWindows(
    NO_DAYS,
    Array.from({ length: 10_000 }, (_, index) => small(index)),
  );
  expect([lastDays.windows.length, lastDays.hours.length]).toEqual([300, 3]);
  const { windows: listed, hours, day } = shown(lastDays);
  expect([listed.length, hours.length, day.keys.length]).toEqual([300, 3, 10]);
  expect([listed[0]?.sequence, listed.at(-1)?.sequence, day.windows, day.events]).toEqual([
    9701, 10_000, 10_000, 50_000,
  ]);
});

test("the day and the week are those before the checkpoint, not before the current time", () => {
  const { windows: listed, hours, day } = shownOf(windows(10 * 288));
  expect([listed.length, listed.at(-1)?.to]).toEqual([288, "2026-11-11T00:00:00Z"]);
  expect([hours.length, hours[0]?.from]).toEqual([168, "2026-11-04T00:00:00Z"]);
  expect([day.from, day.windows]).toEqual(["2026-11-10T00:00:00Z", 288]);
});

test("a gap is lost time in every hour that it overlaps, and counts once", () => {
  const gap = committed(1, {
    ...{ type: "gap", events: 0, bytes: 0, objects: 0 },
    window: { from: epochMs(START + 30 * MINUTE_MS), to: epochMs(START + 3 * HOUR_MS) },
  });
  const { hours, day, windows: listed } = shownOf([gap]);
  expect(hours.map(({ gapSeconds, exportedSeconds }) => [gapSeconds, exportedSeconds])).toEqual([
    [1800, 0],
    [3600, 0],
    [3600, 0],
  ]);
  expect([day.gaps, listed[0]?.kind]).toEqual([1, "gap"]);
});

test("a window of which the source no longer kept a part counts as a gap, and its rest as exported", () => {
  const { window } = committed(1);
  const missing = { from: window.from, to: epochMs(window.from + MINUTE_MS) };
  const { hours, day, windows: listed } = shownOf([committed(1, { missing })]);
  expect(hours[0]).toMatchObject({ gapSeconds: 60, exportedSeconds: 240, gaps: 1 });
  expect(listed[0]?.missing).toEqual({ from: "2026-11-01T00:00:00Z", to: "2026-11-01T00:01:00Z" });
  expect(day.gaps).toBe(1);
});

test("an old gap stays known, however much is exported after it", () => {
  const floor = epochMs(START + 90 * DAY_MS);
  const lost = { from: epochMs(floor - 10 * DAY_MS), to: floor };
  const since = Array.from({ length: 90 * 24 }, (_, index) => {
    const from = epochMs(floor + index * HOUR_MS);
    return committed(index + 2, { window: { from, to: epochMs(from + HOUR_MS) } });
  });
  const { gaps, hours, windows: listed } = shownOf([committed(1, { type: "gap", window: lost }), ...since]);
  expect([hours.some(({ gapSeconds }) => gapSeconds > 0), listed.some(({ kind }) => kind === "gap")]).toEqual([
    ...[false, false],
  ]);
  expect(gaps).toEqual({
    ...{ count: 1, seconds: 864_000, knownFrom: 1 },
    spans: [{ sequence: 1, from: "2027-01-20T00:00:00Z", to: "2027-01-30T00:00:00Z" }],
  });
});

test("of many gaps the newest are listed, and all are counted", () => {
  const { gaps } = shownOf(windows(30, { type: "gap" }));
  expect([gaps.count, gaps.seconds, gaps.spans.length]).toEqual([30, 9000, 20]);
  expect([gaps.spans[0]?.sequence, gaps.spans.at(-1)?.sequence]).toEqual([11, 30]);
});

test("knownFrom is the sequence from which on all windows are known, also while the ledger is being read", () => {
  const all = windows(9);
  const knownFrom = (...parts: Committed[][]) => shown(parts.reduce<LastDays>(addWindows, NO_DAYS)).gaps.knownFrom;
  expect(knownFrom([])).toBeNull();
  expect(knownFrom(all.slice(4))).toBe(5);
  expect(knownFrom(all.slice(0, 3), all.slice(6))).toBe(7);
  expect(knownFrom(all.slice(6), all.slice(0, 3), all.slice(3, 6))).toBe(1);
});

test("a gap of months takes only a week of hours", () => {
  const gap = committed(1, { type: "gap", window: { from: START, to: epochMs(START + 200 * DAY_MS) } });
  expect(shownOf([gap]).hours).toHaveLength(168);
});

test("a repair adds its events to past hours, but no exported time", () => {
  const { window } = committed(1);
  const { hours } = shownOf([...windows(12), committed(13, { type: "repair", window, events: 2 })]);
  expect(hours).toMatchObject([{ windows: 13, events: 62, exportedSeconds: 3600 }]);
});

test("the day has the lateness of its late events, and the lag that would have caught them", () => {
  const { day } = shownOf(windows(12, { late: 1, lateness: { "5m": 1 } }));
  expect(day).toMatchObject({ late: 12, lateness: { "5m": 12 }, wouldCatch: "5m" });
  expect(shownOf(windows(12)).day).toMatchObject({ lateness: {}, wouldCatch: "0s" });
});

test("a kind of event may have the name of a member of Object.prototype", () => {
  const keys = Object.fromEntries([["constructor", 2] as const, ["toString", 1] as const]);
  expect(shownOf([committed(1, { keys })]).day.keys).toEqual([
    { key: "constructor", events: 2 },
    { key: "toString", events: 1 },
  ]);
});
