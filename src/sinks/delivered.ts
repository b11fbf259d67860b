import { createHash } from "node:crypto";
import type { Delivered } from "../sink.ts";
import type { AuditEvent } from "../source.ts";
import { NEWLINE, type Format } from "../format.ts";

/** What a sink without objects was given of a window so far, over all its parts. */
export interface DeliveredTally {
  /** What a window without events leaves. */
  readonly nothing: Delivered;
  /** A batch begins. A window begins with part 0: such a sink has no leftovers, so a window tried again begins there again. */
  begin(part: number): void;
  /** Some lines as sent, each with its newline, in one piece or several. */
  add(lines: number, ...text: Buffer[]): void;
  /** One of them was shortened. */
  addTruncated(): void;
  sum(): Delivered;
}

/** @param acknowledged whether a batch counts as written only when its receiver has said so of each line */
export function deliveredTally(acknowledged: boolean): DeliveredTally {
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
