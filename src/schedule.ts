import { once } from "node:events";
import cron from "node-cron";

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
