import { once } from "node:events";
import cron from "node-cron";

/** Wakes whoever waits at each time of a cron expression. */
export interface Alarm {
  /** Resolves at the next ring; at once when it has rung since the last call: rings do not queue up. */
  next(signal: AbortSignal): Promise<void>;
  stop(): Promise<void>;
}

/** node-cron's own messages would go to stdout; a ring that came late is as good as any, so there is nothing to say. */
const SILENT = { info: () => undefined, warn: () => undefined, error: () => undefined, debug: () => undefined };

/** An alarm by a cron expression, in UTC. A missed ring is harmless: whoever wakes goes by the checkpoint, not by the ring. */
export function cronAlarm(expression: string): Alarm {
  const rings = new EventTarget();
  let hasRung = false;
  const ring = () => {
    hasRung = true;
    rings.dispatchEvent(new Event("ring"));
  };
  const task = cron.schedule(expression, ring, { timezone: "UTC", logger: SILENT, suppressMissedWarning: true });
  task.on("execution:missed", ring);
  return {
    async next(signal) {
      if (!hasRung) await once(rings, "ring", { signal });
      hasRung = false;
    },
    async stop() {
      await task.destroy();
    },
  };
}
