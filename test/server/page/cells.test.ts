import { expect, test } from "vitest";
import type { HourStatus, WindowStatus } from "../../../src/status/status-document.ts";
import { cellsOf } from "../../../src/server/page/cells.ts";
import { formatSpan } from "../../../src/time.ts";

const at = (time: string): string => `2026-11-20T${time}Z`;

function window(from: string, to: string, changes: Partial<WindowStatus> = {}): WindowStatus {
  const counts = { events: 5, late: 0, quarantined: 0, bytes: 100 };
  return { sequence: 1, kind: "window", from: at(from), to: at(to), ...counts, ...changes };
}

function hour(from: string, changes: Partial<HourStatus> = {}): HourStatus {
  const totals = { windows: 12, events: 60, late: 0, quarantined: 0, gaps: 0, bytes: 1200 };
  return { from: at(from), ...totals, exportedSeconds: 3600, gapSeconds: 0, ...changes };
}

/** `kind 10:00/10:05 events` of each cell. */
function shown(windows: readonly WindowStatus[], hours: readonly HourStatus[] = []): string[] {
  return cellsOf({ windows, hours }).map((cell) => {
    const span = formatSpan(cell).replaceAll(/2026-11-20T|(?<=:\d\d):00Z|Z/g, "");
    return `${cell.kind} ${span} ${cell.events}`;
  });
}

test("a window is a cell, and its content decides the kind", () => {
  const windows = [
    window("10:00:00", "10:05:00"),
    window("10:05:00", "10:10:00", { events: 0 }),
    window("10:10:00", "10:15:00", { late: 1 }),
    window("10:15:00", "10:20:00", { events: 0, quarantined: 1 }),
    window("10:20:00", "11:00:00", { kind: "gap", events: 0 }),
  ];
  expect(shown(windows)).toEqual([
    "exported 10:00/10:05 5",
    "empty 10:05/10:10 0",
    "late 10:10/10:15 5",
    "quarantined 10:15/10:20 0",
    "gap 10:20/11:00 0",
  ]);
});

test("a window begins with a gap when the source had already deleted a part of it", () => {
  const missing = { from: at("10:00:00"), to: at("10:20:00") };
  expect(shown([window("10:00:00", "11:00:00", { missing })])).toEqual(["gap 10:00/10:20 0", "exported 10:20/11:00 5"]);
});

test("windows that are too small to see are combined, and the worst kind is shown", () => {
  const windows = [
    window("10:00:00", "10:01:00"),
    window("10:01:00", "10:02:00", { late: 1 }),
    window("10:02:00", "10:05:00", { kind: "gap", events: 0 }),
    window("10:05:00", "10:06:00"),
  ];
  expect(shown(windows)).toEqual(["gap 10:00/10:05 10", "exported 10:05/10:06 5"]);
});

test("before the windows that are listed one by one, an hour is a cell", () => {
  expect(shown([window("11:00:00", "11:05:00")], [hour("09:00:00"), hour("10:00:00"), hour("11:00:00")])).toEqual([
    "exported 09:00/10:00 60",
    "exported 10:00/11:00 60",
    "exported 11:00/11:05 5",
  ]);
});

test("the hour in which the listed windows begin has a cell for the rest of it", () => {
  const windows = [window("10:50:00", "10:55:00"), window("10:55:00", "11:00:00")];
  expect(shown(windows, [hour("10:00:00")])).toEqual([
    "exported 10:00/10:50 50",
    "exported 10:50/10:55 5",
    "exported 10:55/11:00 5",
  ]);
});

test("a stream that began within an hour has no cell before", () => {
  const begun = hour("10:00:00", { exportedSeconds: 1800 });
  expect(shown([], [begun, hour("11:00:00")])).toEqual(["exported 10:30/11:00 60", "exported 11:00/12:00 60"]);
});

test("a gap in an hour comes before the events that the source still had", () => {
  expect(shown([], [hour("10:00:00", { exportedSeconds: 1200, gapSeconds: 2400 })])).toEqual([
    "gap 10:00/10:40 0",
    "exported 10:40/11:00 60",
  ]);
});

test("a repair has no cell", () => {
  const repair = window("07:00:00", "09:00:00", { kind: "repair", events: 3 });
  expect(shown([repair, window("10:00:00", "10:05:00")], [hour("07:00:00", { events: 63, windows: 13 })])).toEqual([
    "exported 07:00/08:00 60",
    "exported 10:00/10:05 5",
  ]);
});
