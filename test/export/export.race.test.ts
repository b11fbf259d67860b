import fc from "fast-check";
import { expect, test } from "vitest";
import { TransientError } from "../../src/errors.ts";
import { tick } from "../../src/export/tick.ts";
import { repair } from "../../src/export/reconcile.ts";
import { epochMs, MINUTE_MS } from "../../src/time.ts";
import {
  committedKeys,
  dataKeys,
  eventsOver,
  linesIn,
  manifestsIn,
  memoryStore,
  never,
  START,
  world,
  type Effect,
  type WorldOptions,
} from "../support/world.ts";

const END = epochMs(START + 60 * MINUTE_MS);
const HISTORY = eventsOver(START, END, 90);
const LINES = HISTORY.map(({ record }) => record.toString()).sort();

/** Two workers of one stream with different settings: another size and lag, and a clock that is 20 minutes ahead. */
const WORKERS: readonly { readonly windows: WorldOptions["windows"]; readonly aheadMs: number }[] = [
  { windows: { sizeMs: 5 * MINUTE_MS, catchUpSizeMs: 5 * MINUTE_MS, lagMs: 2 * MINUTE_MS }, aheadMs: 0 },
  { windows: { sizeMs: 10 * MINUTE_MS, catchUpSizeMs: 30 * MINUTE_MS, lagMs: MINUTE_MS }, aheadMs: 20 * MINUTE_MS },
];

const steps = fc.array(
  fc.record({
    worker: fc.constantFrom(0, 1),
    advanceMin: fc.integer({ min: 0, max: 12 }),
    /** The nth effect of the tick fails, before or after it happened; 0: none does. */
    failing: fc.integer({ min: 0, max: 25 }),
    moment: fc.constantFrom<"before" | "after">("before", "after"),
    isRestarted: fc.boolean(),
    isRepair: fc.boolean(),
  }),
  { minLength: 2, maxLength: 25 },
);

test("whatever two workers with different settings do, however they crash and repeat, each event is committed once", async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (given) => {
      const files = new Map<string, Buffer>();
      let countdown = 0;
      let moment = "before";
      const effect: Effect = (_, now) => {
        if (now === moment && --countdown === 0) throw new TransientError("network", "made to fail");
      };
      const start = (index: number) => world(HISTORY, { files, effect, windows: WORKERS[index]!.windows! }).pipeline;
      const running = WORKERS.map((_, index) => start(index));
      let clock = START;
      for (const step of given) {
        clock = epochMs(clock + step.advanceMin * MINUTE_MS);
        ({ failing: countdown, moment } = step);
        if (step.isRestarted) running[step.worker] = start(step.worker);
        const now = epochMs(clock + WORKERS[step.worker]!.aheadMs);
        const pipeline = running[step.worker]!;
        const exported = manifestsIn(files).findLast(({ kind }) => kind === "window")?.window.to;
        const work =
          step.isRepair && exported !== undefined
            ? repair(pipeline, { from: START, to: epochMs(Date.parse(exported)) }, now, never)
            : tick(pipeline, now, never);
        await work.catch((error: unknown) => {
          if (!(error instanceof TransientError)) throw error;
        });
      }
      countdown = 0;
      for (const pipeline of running) await tick(pipeline, epochMs(END + 30 * MINUTE_MS), never);
      const committed = linesIn(files, committedKeys(files));
      expect(committed.sort()).toEqual(LINES);
      const manifests = manifestsIn(files);
      expect(manifests.map(({ seq }) => seq)).toEqual(manifests.map((_, index) => index + 1));
      const windows = manifests.filter(({ kind }) => kind === "window");
      windows.slice(1).forEach(({ window }, index) => expect(window.from).toBe(windows[index]!.window.to));
    }),
    { numRuns: 150 },
  );
});

test("two workers at once, with their store's answers interleaved at random: one winner for each window, nothing twice", async () => {
  await fc.assert(
    fc.asyncProperty(fc.infiniteStream(fc.integer({ min: 0, max: 4 })), async (turns) => {
      const files = new Map<string, Buffer>();
      // Each operation lets the other worker go first for a few turns of the event loop.
      const slow = (): WorldOptions => {
        const store = memoryStore(files);
        const wait = async () => {
          for (let turn: number = turns.next().value as number; turn > 0; turn--) await Promise.resolve();
        };
        return {
          files,
          store: {
            ...store,
            create: async (...args) => (await wait(), store.create(...args)),
            read: async (...args) => (await wait(), store.read(...args)),
            replace: async (...args) => (await wait(), store.replace(...args)),
          },
          windows: { catchUpSizeMs: 5 * MINUTE_MS },
        };
      };
      const workers = [world(HISTORY, slow()), world(HISTORY, slow())];
      await Promise.all(workers.map(({ pipeline }) => tick(pipeline, epochMs(END + 2 * MINUTE_MS), never)));
      expect(linesIn(files, dataKeys(files)).sort()).toEqual(LINES);
      expect(dataKeys(files).sort()).toEqual(committedKeys(files).sort());
      expect(manifestsIn(files)).toHaveLength(12);
    }),
    { numRuns: 40 },
  );
});
