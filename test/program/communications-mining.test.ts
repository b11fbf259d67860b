import { expect, onTestFinished, test } from "vitest";
import type { FaultOptions } from "../../src/simulator/faults.ts";
import type { AccessLine } from "../../src/simulator/simulator.ts";
import { epochMs, formatInstant, SECOND_MS } from "../../src/time.ts";
import { idsOf, trueTimes, walkMining, type MiningEvent } from "../simulator/walk.ts";
import { differenceOf, flawsIn, linesIn, manifestsIn, NO_DIFFERENCE, type Files } from "../support/archive.ts";
import { minutes, openStage, TEN, type Stage, type StageOptions } from "../support/stage.ts";

const HOUR = { from: TEN, to: minutes(60) };

/** An hour of the log of Communications Mining, with events before and after, and a configuration that exports the hour. */
async function openMining({ source, simulator, ...options }: StageOptions = {}): Promise<Stage> {
  const around = { since: minutes(-60), until: undefined };
  const stage = await openStage(
    { now: minutes(63), ...options, simulator: { ...around, ...simulator } },
    onTestFinished,
  );
  const [stream] = stage.settings["streams"] as [Record<string, unknown>];
  const mining = {
    ...{ type: "communications-mining", baseUrl: stage.api.mining.url, token: "${TOKEN}", account: "acme" },
    ...{ requestsPerSecond: 1000, pageLimit: 100, ...source },
  };
  stage.write({ ...stage.settings, streams: [{ ...stream, source: mining }] });
  return stage;
}

const historyOf = (stage: Stage): Buffer[] => [...stage.api.mining.history(HOUR)];

function expectWhole(stage: Stage, files: Files = stage.files()): void {
  expect(flawsIn(files)).toEqual([]);
  expect(differenceOf(linesIn(files), historyOf(stage))).toEqual(NO_DIFFERENCE);
}

/** References of events to rows that are in no list of the answer. */
function dangling(line: string): boolean {
  const event = JSON.parse(line) as MiningEvent & { _resources?: Record<string, { id: string }[]> };
  const known = (group: string): string[] => (event._resources?.[group] ?? []).map(({ id }) => id);
  const ids = (event["project_ids"] ?? []) as string[];
  return !known("users").includes(event.actor_user_id) || ids.some((id) => !known("projects").includes(id));
}

test(
  "20,000 events, ties at every window's bound, dangling references: the archive has each event once, with its resources",
  { timeout: 120_000 },
  async () => {
    const stage = await openMining({
      simulator: { eventsPerDay: 300_000, pageLimit: 1000 },
      windows: { catchUpSize: "5m" },
      source: { pageLimit: 1000 },
    });
    const { code, stderr } = await stage.run(["once"]);
    expect(code, stderr).toBe(0);
    const files = stage.files();
    expectWhole(stage, files);

    const lines = historyOf(stage).map((line) => line.toString());
    expect(lines.length).toBeGreaterThan(20_000);
    // In order of time, and of ids within a second.
    const inOrder = historyOf(stage).map((line) => line.toString("latin1"));
    expect(linesIn(files).findIndex((line, place) => line !== inOrder[place])).toBe(-1);
    expect(lines.filter((line) => line.includes('"_resources":{"users":[')).length).toBeGreaterThan(15_000);
    expect(lines.filter(dangling).length).toBeGreaterThan(2000);
    expect(lines.filter((line) => !line.includes('"_resources"')).length).toBeGreaterThan(50);
    const edges = manifestsIn(files).map(({ window }) => Date.parse(window.from));
    expect(edges).toHaveLength(12);
    for (const edge of edges) {
      const shown = lines.filter((line) => line.includes(`"timestamp":"${formatInstant(epochMs(edge))}"`));
      expect(shown.length).toBeGreaterThan(3);
      // Some of these happened in the window before: rounding moves them over the bound.
      const before = { from: epochMs(edge - SECOND_MS / 2), to: epochMs(edge) };
      expect(idsOf(await walkMining(stage.api, trueTimes(before))).length).toBeGreaterThan(0);
    }
  },
);

const passing: readonly (readonly [string, FaultOptions])[] = [
  ["connections that are reset", { reset: { next: 2 } }],
  ["bodies that are cut half-way", { cutBody: { next: 2 } }],
  ["a storm of 429", { rateLimited: { next: 2 }, retryAfter: 1 }],
  ["a storm of 5xx", { serverError: { next: 2 } }],
  ["a conflict", { serverError: { next: 2 }, serverErrorStatus: 409 }],
];

test.each(passing)("%s cost retries, but no event", async (_, faults) => {
  const stage = await openMining({ simulator: { faults } });
  const { code, stderr } = await stage.run(["once"]);
  expect(code, stderr).toBe(0);
  expect(stderr).toContain('"fact":"retrying"');
  expectWhole(stage);
});

test("an expired continuation costs another pass, but no event", async () => {
  const faults: FaultOptions = { cursorSeconds: -1 };
  const refused: AccessLine[] = [];
  const stage = await openMining({
    simulator: {
      faults,
      observe: (access) => {
        if (access.status !== 400) return;
        refused.push(access);
        stage.api.faults.cursorSeconds = undefined;
      },
    },
  });
  const { code, stderr } = await stage.run(["once"]);
  expect(code, stderr).toBe(0);
  expect(refused.length).toBeGreaterThan(0);
  expectWhole(stage);
});

const lasting: readonly (readonly [string, FaultOptions, code: number])[] = [
  ["an error within a 200", { statusError: 1 }, 76],
  ["a page for people instead of JSON", { html: 1 }, 76],
  ["JSON that ends in its middle", { truncatedJson: 1 }, 76],
  ["a continuation that goes round", { cursorLoop: 1 }, 76],
  ["a log whose continuations are never accepted", { cursorSeconds: -1 }, 69],
];

test.each(lasting)(
  "%s stops the stream before the window with an error; once fixed, everything is exported",
  async (_, faults, code) => {
    const stage = await openMining({ simulator: { faults: { ...faults } } });
    const failed = await stage.run(["once"]);
    expect(failed.code, failed.stderr).toBe(code);
    expect(failed.stderr).toMatch(/"level":"error"/);
    expect(manifestsIn(stage.files())).toEqual([]);

    for (const name of Object.keys(faults)) stage.api.faults[name as keyof FaultOptions] = undefined;
    const mended = await stage.run(["once"]);
    expect(mended.code, mended.stderr).toBe(0);
    expectWhole(stage);
  },
);

test(
  "with a look-back of 15 minutes, events up to 10 minutes late are all exported, each once",
  { timeout: 60_000 },
  async () => {
    const stage = await openMining({
      simulator: { lateness: { share: 0.1, maxSeconds: 600 }, eventsPerDay: 40_000 },
      windows: { lookback: "15m", catchUpSize: "5m" },
    });
    for (let clock = 12; clock <= 82; clock += 10) {
      stage.api.clockOffsetMs = minutes(clock) - Date.now();
      const { code, stderr } = await stage.run(["once"]);
      expect(code, stderr).toBe(0);
    }
    const files = stage.files();
    expect(flawsIn(files)).toEqual([]);
    const until = Date.parse(manifestsIn(files).at(-1)!.window.to);
    expect(until).toBeGreaterThan(minutes(70));
    const inHour = linesIn(files).filter((line) => timeOf(line) < minutes(60));
    expect(differenceOf(inHour, historyOf(stage))).toEqual(NO_DIFFERENCE);
    expect(manifestsIn(files).reduce((sum, { late }) => sum + late, 0)).toBeGreaterThan(5);
  },
);

const timeOf = (line: string): number => Date.parse((JSON.parse(line) as MiningEvent).timestamp);
