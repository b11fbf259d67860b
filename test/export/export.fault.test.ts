import { expect, test } from "vitest";
import { ExporterError } from "../../src/errors.ts";
import { tick } from "../../src/export/tick.ts";
import { epochMs, HOUR_MS, MINUTE_MS } from "../../src/time.ts";
import {
  committedKeys,
  dataKeys,
  eventsOver,
  failAt,
  linesIn,
  manifestsIn,
  never,
  START,
  world,
} from "../support/world.ts";

const HISTORY = eventsOver(START, epochMs(START + 2 * HOUR_MS), 120);
const FIRST_CLOCK = epochMs(START + 70 * MINUTE_MS);
const LATER_CLOCK = epochMs(START + 2 * HOUR_MS + 2 * MINUTE_MS);

function linesOf(events: typeof HISTORY): string[] {
  return events.map(({ record }) => record.toString());
}

/** One tick without faults exports everything up to its clock. */
async function exportAll(files: Map<string, Buffer>): Promise<void> {
  const { pipeline } = world(HISTORY, { files });
  await tick(pipeline, LATER_CLOCK, never);
}

for (const moment of ["before", "after"] as const) {
  for (const isForever of [false, true]) {
    test(`the nth side effect fails ${moment} it happened, ${isForever ? "permanently" : "once"}: nothing is lost or exported twice`, async () => {
      let failures = 0;
      for (let n = 1; ; n++) {
        const files = new Map<string, Buffer>();
        const { pipeline } = world(HISTORY, { files, effect: failAt(n, moment, isForever) });
        const error: unknown = await tick(pipeline, FIRST_CLOCK, never).then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
        if (error !== undefined) {
          expect(error).toBeInstanceOf(ExporterError);
          failures++;
        }
        // What is committed is durable: every object that a manifest names exists with its lines.
        const committed = manifestsIn(files);
        const until = committed.at(-1)?.window.to ?? new Date(START).toISOString();
        expect(linesIn(files, committedKeys(files)).sort()).toEqual(
          linesOf(HISTORY.filter(({ time }) => time < Date.parse(until))).sort(),
        );
        await exportAll(files);
        expect(linesIn(files, committedKeys(files)).sort(), `n = ${n}`).toEqual(linesOf(HISTORY).sort());
        // No event is in two objects: a reader of the folder would index it twice.
        expect(linesIn(files, dataKeys(files)).sort(), `n = ${n}`).toEqual(linesOf(HISTORY).sort());
        const manifests = manifestsIn(files);
        expect(manifests.map(({ seq }) => seq)).toEqual(manifests.map((_, index) => index + 1));
        if (error === undefined && n > 60) break;
      }
      expect(failures).toBeGreaterThan(30);
    });
  }
}

test("one process that is never restarted fails at each side effect in turn, and loses nothing", async () => {
  for (let n = 1; n < 60; n++) {
    const { pipeline, files } = world(HISTORY, { effect: failAt(n, "after", false) });
    // The failure is in the first or the second tick; the third has none.
    for (const clock of [FIRST_CLOCK, LATER_CLOCK, LATER_CLOCK])
      await tick(pipeline, clock, never).catch(() => undefined);
    expect(linesIn(files, dataKeys(files)).sort(), `n = ${n}`).toEqual(linesOf(HISTORY).sort());
    expect(dataKeys(files).sort()).toEqual(committedKeys(files).sort());
  }
});
