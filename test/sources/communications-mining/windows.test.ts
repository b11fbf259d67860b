import { expect, test } from "vitest";
import { tick } from "../../../src/export/tick.ts";
import { readAhead } from "../../../src/export/read-ahead.ts";
import { epochMs, MINUTE_MS, type EpochMs } from "../../../src/time.ts";
import { answerTo, rounded, serveQueries, sourceAt, type Happened } from "../../support/communications-mining.ts";
import { answerWith } from "../../support/serve.ts";
import { linesIn, manifestsIn, never, START, world } from "../../support/world.ts";

const after = (ms: number): EpochMs => epochMs(START + ms);
const END = after(15 * MINUTE_MS);

/** Events every 50 ms around each bound of the windows, and three pages of events in one second. */
function historyAroundBounds(): Happened[] {
  const times: EpochMs[] = [];
  for (const minute of [0, 5, 10, 15]) {
    for (let offMs = -2000; offMs <= 2000; offMs += 50) times.push(after(minute * MINUTE_MS + offMs));
  }
  for (let index = 0; index < 60; index++) times.push(after(5 * MINUTE_MS + (index % 10)));
  return times.map((time, index) => ({ id: `e${String(index).padStart(5, "0")}`, time }));
}

test.each([
  ["happened", 1],
  ["happened", 4],
  ["shown", 1],
  ["shown", 4],
] as const)(
  "if the filter uses the time %s, each event is exported once, in the window of its shown time, with its rows (%i spans at once)",
  async (foundBy, parallel) => {
    const history = historyAroundBounds();
    const { baseUrl } = await serveQueries((query, response) =>
      answerWith(response, 200, answerTo({ history, foundBy }, query)),
    );
    const source = sourceAt(baseUrl, { pageLimit: 20 });
    const { pipeline, files } = world([], { windows: { catchUpSizeMs: 5 * MINUTE_MS } });
    const mine = { ...pipeline, source, reader: readAhead(source, parallel) };
    // In several ticks: each one reads the look-back before its first window again.
    for (const minute of [8, 13, 18]) await tick(mine, after(minute * MINUTE_MS), never);

    const windows = manifestsIn(files);
    expect(windows.map(({ late, quarantine }) => [late, quarantine])).toEqual([
      [0, []],
      [0, []],
      [0, []],
    ]);
    const exported = windows.flatMap(({ window, objects }) =>
      linesIn(
        files,
        objects.map(({ key }) => key),
      ).map((line) => {
        const { event_id: id, _resources: resources } = JSON.parse(line) as Record<string, unknown>;
        expect(resources).toMatchObject({ users: [{ id: "u1" }], tenants: [{ id: "t1" }], datasets: [{ id: "d1" }] });
        return { id, window };
      }),
    );
    const expected = history
      .filter(({ time }) => rounded(time) >= START && rounded(time) < END)
      .map(({ id, time }) => {
        const from = START + Math.floor((rounded(time) - START) / (5 * MINUTE_MS)) * 5 * MINUTE_MS;
        return { id, window: windows.find(({ window }) => Date.parse(window.from) === from)!.window };
      });
    const byId = (one: { id: unknown }, other: { id: unknown }) => String(one.id).localeCompare(String(other.id));
    expect(exported.sort(byId)).toEqual(expected);
  },
);
