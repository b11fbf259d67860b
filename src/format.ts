import type { AuditEvent, Poison } from "./source.ts";

/** How an event becomes a line, and how a line is told to be an event again. */
export interface Format {
  readonly name: string;
  /** What the names of its objects end with, before `.gz`. */
  readonly suffix: Suffix;
  /** The line of an event, without its newline. */
  line(event: AuditEvent): Buffer;
  /**
   * The event in a line of at most `maxBytes` that is marked as truncated, and still whole in its form: the longest parts
   * are shortened or left out first. Undefined where that cannot be.
   */
  shorten(event: AuditEvent, maxBytes: number): Buffer | undefined;
  /** Which event a line is: what taking over a broken attempt goes by. */
  read(line: Buffer): AuditEvent | Poison;
}

/** What the name of an object of lines says of them, each with its content type. */
export const CONTENT_TYPES = {
  ndjson: "application/x-ndjson",
  cef: "text/plain; charset=utf-8",
  leef: "text/plain; charset=utf-8",
} as const;
export type Suffix = keyof typeof CONTENT_TYPES;
/** The byte that ends a line. */
export const NEWLINE = 0x0a;

/** The lines of some content, without their newlines; a last one without an end counts. */
export function* splitLines(content: Buffer): Generator<Buffer> {
  for (let start = 0; start < content.length;) {
    const found = content.indexOf(NEWLINE, start);
    const end = found < 0 ? content.length : found;
    yield content.subarray(start, end);
    start = end + 1;
  }
}
