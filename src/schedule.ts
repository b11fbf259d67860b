import { once } from "node:events";
import cron from "node-cron";
import { DAY_MS, epochMs, type EpochMs } from "./time.ts";

/** Wakes whoever waits at each time of its cron expressions. */
export interface Alarm<Name extends string> {
  /** Resolves at the next ring with the names that rang since the last call: rings of one name do not queue up. */
  next(signal: AbortSignal): Promise<ReadonlySet<Name>>;
  stop(): Promise<void>;
}

/** node-cron's own messages would go to stdout; a ring that came late is as good as any, so there is nothing to say. */
const SILENT = { info: () => undefined, warn: () => undefined, error: () => undefined, debug: () => undefined };

/** An alarm by named cron expressions, in UTC. A missed ring is harmless: whoever wakes goes by the checkpoint, not by it. */
export function cronAlarm<Name extends string>(expressions: ReadonlyMap<Name, string>): Alarm<Name> {
  const rings = new EventTarget();
  let rung = new Set<Name>();
  const tasks = [...expressions].map(([name, expression]) => {
    const ring = () => {
      rung.add(name);
      rings.dispatchEvent(new Event("ring"));
    };
    const task = cron.schedule(expression, ring, { timezone: "UTC", logger: SILENT, suppressMissedWarning: true });
    task.on("execution:missed", ring);
    return task;
  });
  return {
    async next(signal) {
      if (rung.size === 0) await once(rings, "ring", { signal });
      const names = rung;
      rung = new Set();
      return names;
    },
    async stop() {
      for (const task of tasks) await task.destroy();
    },
  };
}

/** When expressions ring next; what was reckoned once is kept until it is past. */
export function nextRing(): (expression: string, now: EpochMs) => EpochMs | undefined {
  const known = new Map<string, EpochMs | undefined>();
  return (expression, now) => {
    const last = known.get(expression);
    if (last !== undefined && last > now) return last;
    const [next] = ringsOf(expression, 1);
    known.set(expression, next);
    return next;
  };
}

/** As many rings as a pattern by minutes needs to begin again, and as one by days and hours does. */
const RINGS_OF_AN_HOUR = 61;
const RINGS_OF_A_WEEK = 3000;
const WEEK_AND_A_DAY_MS = 8 * DAY_MS;

/** The longest wait between two rings, in milliseconds: of a schedule for working hours, the weekend. */
export function longestWaitMs(expression: string): number {
  const isByMinutes = expression
    .trim()
    .split(/\s+/)
    .slice(-4)
    .every((field) => field === "*");
  let rings = ringsOf(expression, RINGS_OF_AN_HOUR);
  const spannedMs = (rings.at(-1) ?? 0) - (rings[0] ?? 0);
  if (!isByMinutes && spannedMs < WEEK_AND_A_DAY_MS) rings = ringsOf(expression, RINGS_OF_A_WEEK);
  return rings.reduce((longest, ring, index) => Math.max(longest, ring - (rings[index - 1] ?? ring)), 0);
}

/** The next rings from now on. */
function ringsOf(expression: string, count: number): EpochMs[] {
  const task = cron.createTask(expression, () => undefined, { timezone: "UTC", logger: SILENT });
  const rings = task.getNextRuns(count).map((date) => epochMs(date.getTime()));
  void task.destroy();
  return rings;
}
