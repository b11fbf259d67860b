import type { AuditEvent, Poison } from "./source.ts";

/** How an event becomes a line, and how a line is told to be an event again. */
export interface Format {
  readonly name: string;
  /** The line of an event, without its newline. */
  line(event: AuditEvent): Buffer;
  /** Which event a line is: what taking over a broken attempt goes by. */
  read(line: Buffer): AuditEvent | Poison;
}
