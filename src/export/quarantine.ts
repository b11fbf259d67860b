import { writeQuarantine } from "../archive/quarantine.ts";
import type { QuarantineObject } from "../ledger/manifest.ts";
import type { Plan } from "../sink.ts";
import type { Poison } from "../source.ts";
import type { Pipeline } from "./pipeline.ts";

/** Takes the items of a window that cannot be exported. */
export interface QuarantineWriter {
  /** Resolves when memory holds less than `batch.maxBytes` of them: if needed, they are written as an object. */
  add(items: readonly Poison[]): Promise<void>;
  /** Writes what is left. Resolves with all objects of the window. */
  end(): Promise<readonly QuarantineObject[]>;
}

export function quarantineFor(
  { quarantine: store, batch, observe }: Pipeline,
  plan: Plan,
  signal: AbortSignal,
): QuarantineWriter {
  const objects: QuarantineObject[] = [];
  let waiting: Poison[] = [];
  let waitingBytes = 0;

  async function write(): Promise<void> {
    const written = objects.reduce((sum, { lines }) => sum + lines, 0);
    const object = await writeQuarantine(store, plan, waiting, written, signal);
    const reasons = [...new Set(waiting.map(({ reason }) => reason))];
    observe({ kind: "items.quarantined", sequence: plan.seq, key: object.key, lines: object.lines, reasons });
    objects.push(object);
    waiting = [];
    waitingBytes = 0;
  }

  return {
    async add(items) {
      for (const item of items) {
        waiting.push(item);
        waitingBytes += item.record.length;
      }
      if (waitingBytes >= batch.maxBytes) await write();
    },
    async end() {
      if (waiting.length > 0) await write();
      return objects;
    },
  };
}
