import { setTimeout as sleep } from "node:timers/promises";
import { randomOf } from "../../src/simulator/random.ts";
import { MINUTE_MS, SECOND_MS, type Span } from "../../src/time.ts";
import type { Ended } from "./program.ts";
import { minutes, TEN, type Stage, type StageOptions } from "./stage.ts";

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

/** The API's clock goes on by this from start to start: another attempt finds more than the one before. */
const STEP_MS = MINUTE_MS;
/** Longer than the lag: an event may show after its window was begun, or committed. The look-back is longer still. */
const LATE_SECONDS = 240;

/** What `lateMoments` export. */
export const LATE_SPAN: Span = { from: TEN, to: minutes(16) };

/**
 * The same, as an API shows it that is slow to show some events, and with little to catch up on: a window that is begun is a
 * fresh one. For `onceWithKills`.
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

/** The seed of this run: CRASH_SEED repeats one. */
export function seedOf(env: NodeJS.ProcessEnv): number {
  return Number(env["CRASH_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
}

/** A kill comes after so many lines of log at most, or after so many objects of a window that has about six. */
const LINES_MAX = 14;
const OBJECTS_MAX = 4;
/** Some starts have less to do than they were given, and end by themselves. */
const STARTS_A_KILL_MAX = 4;
/** So that moments between two lines are met, too. */
const AFTER_LINE_MS = 10;

/**
 * Runs `once` on a stage of `lateMoments` until it was so many times ended by SIGKILL at a random moment; then, with the
 * clock going on, until all must be there.
 * @returns the last that did not end well, or the last; and how many were killed before their end
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
    // What a kill left is carried out by a start that is killed in its turn, or to its end.
    if (random.below(2) === 0) await stage.run(["once"]);
  }
  const end = LATE_SPAN.to + LATE_SECONDS * SECOND_MS + STEP_MS;
  for (;;) {
    const last = await stage.run(["once"]);
    const isOver = Date.now() + stage.api.clockOffsetMs > end;
    if (isOver || last.code !== 0) return { last, hits };
    stage.api.clockOffsetMs += STEP_MS;
  }
}
