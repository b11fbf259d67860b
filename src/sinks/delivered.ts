import { createHash } from "node:crypto";
import type { Delivered } from "../sink.ts";
import type { AuditEvent } from "../source.ts";
import { NEWLINE, type Format } from "../format.ts";

/** Counts what a sink without objects has delivered of a window, over all its parts. */
export interface DeliveryCounter {
  /** The sum for a window without events. */
  readonly nothing: Delivered;
  /** Begins a batch. Part 0 begins the window: such a sink has no leftovers, so a window that is retried starts there again. */
  begin(part: number): void;
  /** Counts lines as sent, each with its newline; `text` is one buffer or several. */
  add(lines: number, ...text: Buffer[]): void;
  /** Counts one of the lines as shortened. */
  addTruncated(): void;
  /** What was delivered of the window until now. */
  sum(): Delivered;
}

/** @param acknowledged whether a batch counts as written only when its receiver has acknowledged each line */
export function deliveryCounter(acknowledged: boolean): DeliveryCounter {
  let hash = createHash("sha256");
  let lines = 0;
  let truncated = 0;
  return {
    nothing: { lines: 0, contentSha256: createHash("sha256").digest("hex"), acknowledged },
    begin(part) {
      if (part > 0) return;
      hash = createHash("sha256");
      lines = truncated = 0;
    },
    add(count, ...text) {
      for (const piece of text) hash.update(piece);
      lines += count;
    },
    addTruncated() {
      truncated++;
    },
    sum: () => ({
      lines,
      ...(truncated > 0 && { truncated }),
      contentSha256: hash.copy().digest("hex"),
      acknowledged,
    }),
  };
}

/** The lines of some events as one buffer, each with its newline. */
export function linesOf(events: readonly AuditEvent[], format: Format): Buffer {
  return Buffer.concat(events.flatMap((event) => [format.line(event), Buffer.of(NEWLINE)]));
}
