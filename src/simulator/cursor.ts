import { createHash } from "node:crypto";
import { epochMs, type EpochMs } from "../time.ts";
import type { Position } from "./timeline.ts";

/** The end of a page, and the direction of the page that follows: to older events (next) or to newer ones (prev). */
export interface Cursor extends Position {
  readonly direction: "next" | "prev";
  /** When it was issued; undefined unless cursors expire. */
  readonly issued: EpochMs | undefined;
}

/** Before all events: the cursor of an empty log. */
export const BEFORE_ALL: Position = { time: epochMs(0), id: "" };
/** After all events: pages from here start again at the newest event. */
export const AFTER_ALL: Position = { time: epochMs(Date.UTC(9999, 0)), id: "~" };

const KEYSET = { next: "n", prev: "p" } as const;

/** Opaque like the vendor's cursors: base64url of a keyset, with a checksum so that only issued cursors are accepted. */
export function formatCursor({ time, id, direction, issued }: Cursor, seed: number): string {
  const keyset = { id, t: time, _kd: KEYSET[direction], ...(issued === undefined ? {} : { at: issued }) };
  return Buffer.from(JSON.stringify({ ...keyset, s: sumOf(keyset, seed) })).toString("base64url");
}

/** Undefined for a text that `formatCursor` did not make with this seed. */
export function parseCursor(text: string, seed: number): Cursor | undefined {
  let fields: unknown;
  try {
    fields = JSON.parse(Buffer.from(text, "base64url").toString());
  } catch {
    return undefined;
  }
  if (typeof fields !== "object" || fields === null || !("s" in fields)) return undefined;
  const { s: sum, ...keyset } = fields;
  if (sum !== sumOf(keyset, seed)) return undefined;
  // The checksum is right, so the shape is that of `formatCursor`.
  const { id, t, _kd, at } = keyset as { id: string; t: number; _kd: "n" | "p"; at?: number };
  return {
    id,
    time: epochMs(t),
    direction: _kd === KEYSET.next ? "next" : "prev",
    issued: at === undefined ? undefined : epochMs(at),
  };
}

function sumOf(keyset: object, seed: number): string {
  return createHash("sha256")
    .update(`${seed} ${JSON.stringify(keyset)}`)
    .digest("hex")
    .slice(0, 8);
}
