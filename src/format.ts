import type { AuditEvent, Poison } from "./source.ts";

/** How an event becomes a line, and how a line is read back. */
export interface Format {
  readonly name: string;
  /** How the names of its objects end, before `.gz`. */
  readonly suffix: string;
  /** The line of an event, without its newline. */
  line(event: AuditEvent): Buffer;
  /**
   * The event in a line of at most `maxBytes`, still well-formed and marked as truncated: the longest parts are shortened or
   * left out first. Undefined if that is impossible.
   */
  shorten(event: AuditEvent, maxBytes: number): Buffer | undefined;
  /** The event of a line. A window that is resumed knows by it what its objects already hold. */
  read(line: Buffer): AuditEvent | Poison;
}

/** The byte that ends a line. */
export const NEWLINE = 0x0a;

/** The lines of some content, without their newlines. A last line without a newline counts. */
export function* splitLines(content: Buffer): Generator<Buffer> {
  for (let start = 0; start < content.length;) {
    const found = content.indexOf(NEWLINE, start);
    const end = found < 0 ? content.length : found;
    yield content.subarray(start, end);
    start = end + 1;
  }
}
