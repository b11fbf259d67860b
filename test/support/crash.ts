import { setTimeout as sleep } from "node:timers/promises";
import { randomOf } from "../../src/simulator/random.ts";
import { MINUTE_MS, SECOND_MS, type Span } from "../../src/time.ts";
import type { Ended } from "./program.ts";
import { minutes, TEN, type Stage, type StageOptions } from "./stage.ts";

/** An export with many moments for a kill: `count` windows of one minute, several objects in each, and a slow API. */
export function manyMoments(count: number): StageOptions {
  return {
    // The last window is ready by the API's clock, which has a resolution of a second.
    now: minutes(count + 2.5),
    simulator: { latencyMs: 5, until: minutes(count) },
    windows: { size: "1m", catchUpSize: "1m", lookback: "3m" },
    stream: { batch: { maxEvents: 10, maxBytes: "64KiB" } },
    source: { pageLimit: 50 },
  };
}

/** The API's clock advances by this after each start: every attempt finds more than the one before. */
const STEP_MS = MINUTE_MS;
/** Longer than the lag: an event may appear after its window began or was committed. The look-back is longer than this. */
const LATE_SECONDS = 240;

/** The span that `lateMoments` exports. */
export const LATE_SPAN: Span = { from: TEN, to: minutes(16) };

/**
 * Like `manyMoments`, but the API shows half of the events late, and there is little to catch up on: most attempts begin a
 * fresh window. For `onceWithKills`.
 */
export function lateMoments(): StageOptions {
  const moments = manyMoments(16);
  return {
    ...moments,
    now: minutes(3.5),
    simulator: {
      ...moments.simulator,
      eventsPerDay: 40_000,
      lateness: { share: 0.5, maxSeconds: LATE_SECONDS },
    },
    windows: { ...moments.windows, lookback: "5m" },
  };
}

/** The seed of this run. Set CRASH_SEED to repeat a run. */
export function seedOf(env: NodeJS.ProcessEnv): number {
  return Number(env["CRASH_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
}

/** A kill comes after at most this many log lines, or after at most this many objects of a window that has about six. */
const LINES_MAX = 14;
const OBJECTS_MAX = 4;
/** Some starts end before their kill, because they have too little to do. */
const STARTS_A_KILL_MAX = 4;
/** The kill waits up to this long, to also hit moments between two lines. */
const AFTER_LINE_MS = 10;

/**
 * Runs `once` on a stage of `lateMoments` until SIGKILL has ended it `kills` times at a random moment. Then runs it to its end
 * while the clock advances, until everything must be exported.
 * @returns the last run, which is the first that failed if one did, and how many runs were killed
 */
export async function onceWithKills(stage: Stage, kills: number, seed: number): Promise<{ last: Ended; hits: number }> {
  const random = randomOf(seed, 0);
  let hits = 0;
  for (let count = 0; hits < kills && count < STARTS_A_KILL_MAX * kills; count++) {
    const program = stage.start(["once"], { env: { LOG_LEVEL: "trace" } });
    if (random.below(2) === 0) await program.wrote(1 + random.below(LINES_MAX));
    else await program.wrote(1 + random.below(OBJECTS_MAX), '"fact":"object.written"');
    await sleep(random.share() * AFTER_LINE_MS);
    program.kill("SIGKILL");
    if ((await program.ended).signal === "SIGKILL") hits++;
    stage.api.clockOffsetMs += STEP_MS;
    // Half of the unfinished windows are completed by a run that may be killed too, half by a run that is not.
    if (random.below(2) === 0) await stage.run(["once"]);
  }
  const end = LATE_SPAN.to + LATE_SECONDS * SECOND_MS + STEP_MS;
  for (;;) {
    const last = await stage.run(["once"]);
    const isOver = Date.now() + stage.api.clockOffsetMs > end;
    if (isOver || last.code !== 0) return { last, hits };
    stage.api.clockOffsetMs += LATE_SECONDS * SECOND_MS;
  }
}
