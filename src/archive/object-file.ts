import { NEWLINE, splitLines, type Format } from "../format.ts";
import { OBJECT_END } from "../formats/index.ts";
import type { Store } from "../store.ts";
import { sha256Of, RESTORE_HINT, seq12 } from "../ledger/manifest.ts";
import { LedgerError } from "../errors.ts";
import type { Leftover, Plan } from "../sink.ts";
import { isPoison, type AuditEvent } from "../source.ts";
import { compactInstant, epochMs, type EpochMs } from "../time.ts";
import { gunzipSync } from "node:zlib";

const NAMED_BY_CONTENT = new RegExp(`[_-]([0-9a-f]{8})${OBJECT_END}`);

/** The first 8 hex digits of the SHA-256 of an object's lines, from the object's name. */
export function contentNameOf(key: string): string | undefined {
  return NAMED_BY_CONTENT.exec(key)?.[1];
}

/**
 * Creates a gzip object that is named by its content. If the name exists, from an earlier attempt or another worker, the existing
 * object is used if it has the same lines. Resolves with the size and SHA-256 of the stored object.
 *
 * @throws LedgerError when the name exists with other lines
 */
export async function createByContent(
  store: Store,
  key: string,
  stored: Buffer,
  contentSha256: string,
  signal: AbortSignal,
): Promise<{ readonly bytes: number; readonly sha256: string }> {
  if (await store.create(key, stored, signal)) return { bytes: stored.length, sha256: sha256Of(stored) };
  const existing = await store.read(key, signal);
  const lines = existing && gunzipWhole(existing);
  if (existing === undefined || lines === undefined || sha256Of(lines) !== contentSha256) {
    throw new LedgerError(`create ${store.place}/${key}: it already exists with other lines`, { hint: RESTORE_HINT });
  }
  return { bytes: existing.length, sha256: sha256Of(existing) };
}

/** The folder of a window's objects: from the window's start, never from an event's time, so that keys only rise. */
export function folderOf({ from, folder = from }: Pick<Plan, "from" | "folder">): string {
  const [date = "", time = ""] = new Date(folder).toISOString().split("T");
  return `data/dt=${date}/hour=${time.slice(0, 2)}`;
}

/** `000000000042-0000_20261120T100000Z_20261120T100500Z_1a2b3c4d.ndjson.gz` */
export function objectName({ seq, from, to }: Plan, part: number, contentSha256: string, { suffix }: Format): string {
  const number = String(part).padStart(4, "0");
  const span = `${compactInstant(from)}_${compactInstant(to)}`;
  return `${seq12(seq)}-${number}_${span}_${contentSha256.slice(0, 8)}.${suffix}.gz`;
}

/** The content of a gzip object; undefined when it is truncated, damaged, or anything follows its one stream. */
export function gunzipWhole(stored: Buffer): Buffer | undefined {
  try {
    const { buffer, engine } = gunzipSync(stored, { info: true }) as unknown as {
      buffer: Buffer;
      engine: { bytesWritten: number };
    };
    return engine.bytesWritten === stored.length ? buffer : undefined;
  } catch {
    return undefined;
  }
}

/** Counts what an object contains: its lines, their bytes, the first and the last event time. */
export function contentCounter() {
  let lines = 0;
  let contentBytes = 0;
  let first = Infinity;
  let last = -Infinity;
  return {
    addBytes(bytes: number): void {
      contentBytes += bytes;
    },
    add(events: readonly { readonly time: EpochMs }[]): void {
      lines += events.length;
      for (const { time } of events) {
        if (time < first) first = time;
        if (time > last) last = time;
      }
    },
    sum: () => ({ lines, contentBytes, first: epochMs(first), last: epochMs(last) }),
  };
}

/** An object and its events if it is whole: exactly one gzip stream, each line an event, and its name fits its content. */
export function wholeObject(key: string, stored: Buffer, format: Format): Leftover["whole"] {
  const text = gunzipWhole(stored);
  if (text === undefined || text.length === 0 || text.at(-1) !== NEWLINE) return undefined;
  const contentSha256 = sha256Of(text);
  if (contentNameOf(key) !== contentSha256.slice(0, 8)) return undefined;
  const events: AuditEvent[] = [];
  for (const line of splitLines(text)) {
    const event = format.read(line);
    if (isPoison(event)) return undefined;
    events.push(event);
  }
  const counter = contentCounter();
  counter.add(events);
  counter.addBytes(text.length);
  const object = { key, bytes: stored.length, sha256: sha256Of(stored), contentSha256, ...counter.sum() };
  return { object, events };
}
