import { setTimeout as sleep } from "node:timers/promises";
import { randomOf } from "../../src/simulator/random.ts";
import type { Ended } from "./program.ts";
import { minutes, type Stage, type StageOptions } from "./stage.ts";

/** An export of many moments, of so many minutes: a window each, several objects a window, an API that takes its time. */
export function manyMoments(count: number): StageOptions {
  return {
    // The last of them is ready, by a clock that is told by the second.
    now: minutes(count + 2.5),
    simulator: { latencyMs: 5, until: minutes(count) },
    windows: { size: "1m", catchUpSize: "1m", lookback: "3m" },
    stream: { batch: { maxEvents: 10, maxBytes: "64KiB" } },
    source: { pageLimit: 50 },
  };
}

/** The seed of this run: CRASH_SEED repeats one. */
export function seedOf(env: NodeJS.ProcessEnv): number {
  return Number(env["CRASH_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
}

/** Lines of log between a start and its end by SIGKILL, at most; a minute of `manyMoments` writes about five. */
const LINES_MAX = 30;
/** So that moments between two lines are met, too. */
const AFTER_LINE_MS = 10;

/**
 * Runs `once` so many times, each ended by SIGKILL at a random moment, then once more to its end.
 * @returns how the last one ended, and how many were killed before their end
 */
export async function onceWithKills(stage: Stage, kills: number, seed: number): Promise<{ last: Ended; hits: number }> {
  const random = randomOf(seed, 0);
  let hits = 0;
  for (let count = 0; count < kills; count++) {
    const program = stage.start(["once"], { env: { LOG_LEVEL: "trace" } });
    await program.wrote(1 + Math.floor(random.share() * LINES_MAX));
    await sleep(random.share() * AFTER_LINE_MS);
    program.kill("SIGKILL");
    if ((await program.ended).signal === "SIGKILL") hits++;
  }
  return { last: await stage.run(["once"]), hits };
}
