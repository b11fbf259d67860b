import { isUtf8 } from "node:buffer";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { isObject, parsedJson } from "../json/parse.ts";
import type { QuarantineObject } from "../ledger/manifest.ts";
import { seq12, sha256Of } from "../ledger/manifest.ts";
import type { Poison } from "../source.ts";
import type { Store } from "../store.ts";
import { formatInstant, formatSpan } from "../time.ts";
import type { Plan } from "../sink.ts";
import { createByContent } from "./object-file.ts";

const gzipped = promisify(gzip);

/** A line of a quarantine object: an item that could not be exported, with its bytes as received. */
export interface QuarantineLine {
  readonly reason: string;
  /** The window that received it, and its number among the window's quarantined items, from 1. */
  readonly window: string;
  readonly item: number;
  readonly id?: string;
  readonly time?: string;
  /** The bytes; in base64 when they are not UTF-8. */
  readonly record?: string;
  readonly recordBase64?: string;
}

/**
 * Quarantines items that cannot be exported: writes one object `quarantine/<seq12>-<sha8>.ndjson.gz`. It is named by its content,
 * so the same items make the same object, whichever worker writes it.
 *
 * @param before how many items of this window are in quarantine already
 */
export async function writeQuarantine(
  store: Store,
  plan: Plan,
  items: readonly Poison[],
  before: number,
  signal: AbortSignal,
): Promise<QuarantineObject> {
  const inOrder = [...items].sort((one, other) => Buffer.compare(one.record, other.record));
  const lines = inOrder.map((item, index) => `${JSON.stringify(lineOf(item, plan, before + index + 1))}\n`).join("");
  const contentSha256 = sha256Of(lines);
  const key = `quarantine/${seq12(plan.seq)}-${contentSha256.slice(0, 8)}.ndjson.gz`;
  const stored = await gzipped(lines);
  return { key, ...(await createByContent(store, key, stored, contentSha256, signal)), lines: items.length };
}

function lineOf({ reason, record, id, time }: Poison, plan: Plan, item: number): QuarantineLine {
  return {
    reason,
    window: formatSpan(plan),
    item,
    ...(id !== undefined && { id }),
    ...(time !== undefined && { time: formatInstant(time) }),
    ...(isUtf8(record) ? { record: record.toString() } : { recordBase64: record.toString("base64") }),
  };
}

/** The item in a line of a quarantine object; undefined when the line is not an item. */
export function quarantinedItem(
  line: Buffer,
): { readonly reason: string; readonly id: string | undefined; readonly record: Buffer } | undefined {
  const value = parsedJson(line);
  if (!isObject(value)) return undefined;
  const { reason, id, record, recordBase64 } = value;
  if (typeof reason !== "string" || (id !== undefined && typeof id !== "string")) return undefined;
  if (typeof record === "string") return { reason, id, record: Buffer.from(record) };
  return typeof recordBase64 === "string" ? { reason, id, record: Buffer.from(recordBase64, "base64") } : undefined;
}
