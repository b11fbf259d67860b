import { createHash } from "node:crypto";
import { epochMs, type EpochMs } from "../time.ts";
import type { Position } from "./timeline.ts";

/** Where a page ends, and which way the next one goes: to older events, or to newer ones. */
export interface Cursor extends Position {
  readonly direction: "next" | "prev";
  /** When it was handed out; undefined unless cursors expire. */
  readonly issued: EpochMs | undefined;
}

/** An empty log has a cursor too: before all that there will be. */
export const BEFORE_ALL: Position = { time: epochMs(0), id: "" };
/** Newer than all that there is: a walk from here starts again at the top. */
export const AFTER_ALL: Position = { time: epochMs(Date.UTC(9999, 0)), id: "~" };

const KEYSET = { next: "n", prev: "p" } as const;

/** Opaque, as the vendor's are: base64url of a keyset, with a sum so that only our own come back. */
export function formatCursor({ time, id, direction, issued }: Cursor, seed: number): string {
  const keyset = { id, t: time, _kd: KEYSET[direction], ...(issued === undefined ? {} : { at: issued }) };
  return Buffer.from(JSON.stringify({ ...keyset, s: sumOf(keyset, seed) })).toString("base64url");
}

/** Undefined for what `formatCursor` did not write with this seed. */
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
  // The sum is right, so this is ours, and has the shape that we wrote.
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
