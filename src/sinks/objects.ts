import { createHash } from "node:crypto";
import { once } from "node:events";
import { createGzip, gunzipSync, type Gzip } from "node:zlib";
import { LedgerError } from "../errors.ts";
import { contentNameOf, NEWLINE, OBJECT_END, splitLines, type Format } from "../format.ts";
import { RESTORE_HINT, seq12, sha256Of, type Plan, type StoredObject } from "../manifest.ts";
import type { Batch, Leftover, Sink } from "../sink.ts";
import { isPoison, type AuditEvent } from "../source.ts";
import type { Store } from "../store.ts";
import { compactInstant, epochMs, type EpochMs } from "../time.ts";

/** Audit lines shrink to a tenth at this level; higher ones cost twice the time for a few percent. */
const GZIP_LEVEL = 6;

/** The number of the part, in an object's name of any format: a broken attempt may have been made with another one. */
const PART = new RegExp(`-(\\d{4,})_[^/]*${OBJECT_END}`);

/** Lines are copied together before they are hashed and compressed: a call for each would cost more than its work. */
const TEXT_BYTES = 256 * 1024;
const OUTPUT_BYTES = 64 * 1024;

/** A sink that keeps each batch as one gzip object, named by its window and its content: a folder or a bucket. */
export function objects(store: Store, format: Format): Sink {
  return {
    place: store.place,

    async write(batch, signal) {
      const sealed = await seal(batch, format, signal);
      const { plan, part } = batch;
      const key = `${folderOf(plan)}/${objectName(plan, part, sealed.contentSha256, format)}`;
      const { stored, ...content } = sealed;
      return {
        object: { key, ...(await createByContent(store, key, stored, sealed.contentSha256, signal)), ...content },
      };
    },

    async *leftovers(plan, signal) {
      const found: { key: string; part: number }[] = [];
      for await (const { key } of store.list(`${folderOf(plan)}/${seq12(plan.seq)}-`, undefined, signal)) {
        const part = PART.exec(key)?.[1];
        if (part !== undefined) found.push({ key, part: Number(part) });
      }
      found.sort((one, other) => one.part - other.part || (one.key < other.key ? -1 : 1));
      for (const { key, part } of found) {
        const stored = await store.read(key, signal);
        yield { key, part, whole: stored && wholeObject(key, stored, format) };
      }
    },

    async *check(signal) {
      yield* store.check("ledger/probe", signal);
    },
  };
}

/**
 * Creates a gzip object that is named by its content. Where the name exists, by an earlier try of ours or another worker's
 * hand, its bytes count, if they hold the same lines. Resolves with what is stored there.
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
  const there = await store.read(key, signal);
  const lines = there && gunzipWhole(there);
  if (there === undefined || lines === undefined || sha256Of(lines) !== contentSha256) {
    throw new LedgerError(`create ${store.place}/${key}: it is there with other lines`, { hint: RESTORE_HINT });
  }
  return { bytes: there.length, sha256: sha256Of(there) };
}

/** The folder of a window's objects: by the window's start, never by an event's own time, so that keys only rise. */
export function folderOf({ from, folder = from }: Pick<Plan, "from" | "folder">): string {
  const [date = "", time = ""] = new Date(folder).toISOString().split("T");
  return `data/dt=${date}/hour=${time.slice(0, 2)}`;
}

/** `000000000042-0000_20261120T100000Z_20261120T100500Z_1a2b3c4d.ndjson.gz` */
function objectName({ seq, from, to }: Plan, part: number, contentSha256: string, { suffix }: Format): string {
  const number = String(part).padStart(4, "0");
  const span = `${compactInstant(from)}_${compactInstant(to)}`;
  return `${seq12(seq)}-${number}_${span}_${contentSha256.slice(0, 8)}.${suffix}.gz`;
}

type Content = Pick<StoredObject, "contentSha256" | "contentBytes" | "lines" | "first" | "last">;

/** Reads the batch to its end through gzip: only the compressed bytes are held. */
async function seal({ chunks }: Batch, format: Format, signal: AbortSignal): Promise<Content & { stored: Buffer }> {
  const gzip = createGzip({ level: GZIP_LEVEL, chunkSize: OUTPUT_BYTES });
  const compressed: Buffer[] = [];
  gzip.on("data", (bytes: Buffer) => compressed.push(bytes));
  const hash = createHash("sha256");
  const buffer = Buffer.allocUnsafeSlow(TEXT_BYTES);
  const tally = contentTally();
  try {
    for await (const events of chunks) {
      signal.throwIfAborted();
      tally.add(events);
      for (const text of textsOf(events, format, buffer)) {
        hash.update(text);
        tally.addBytes(text.length);
        await compress(gzip, text);
      }
    }
    gzip.end();
    await once(gzip, "end", { signal });
  } finally {
    gzip.destroy();
  }
  return { ...tally.sum(), contentSha256: hash.digest("hex"), stored: Buffer.concat(compressed) };
}

/** Resolves when the text may be overwritten. It is compressed in another thread. */
function compress(gzip: Gzip, text: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    gzip.write(text, (error) => (error ? reject(error) : resolve()));
  });
}

/** The lines of some events, each with its newline, a buffer full at a time: what was given before is overwritten. */
function* textsOf(events: readonly AuditEvent[], format: Format, buffer: Buffer): Generator<Buffer> {
  let bytes = 0;
  for (const event of events) {
    const line = format.line(event);
    if (bytes + line.length + 1 > buffer.length) {
      yield buffer.subarray(0, bytes);
      bytes = 0;
    }
    if (line.length < buffer.length) {
      bytes += line.copy(buffer, bytes);
      buffer[bytes++] = NEWLINE;
    } else yield Buffer.concat([line, NEWLINE_BYTES]);
  }
  if (bytes > 0) yield buffer.subarray(0, bytes);
}

/** The lines of some events as one buffer, each with its newline. */
export function linesOf(events: readonly AuditEvent[], format: Format): Buffer {
  return Buffer.concat(events.flatMap((event) => [format.line(event), NEWLINE_BYTES]));
}

const NEWLINE_BYTES = Buffer.of(NEWLINE);

function contentTally() {
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

/** The object and its events, if it is whole: one gzip stream to its last byte, every line an event, named by its content. */
function wholeObject(key: string, stored: Buffer, format: Format): Leftover["whole"] {
  const text = gunzipWhole(stored);
  if (text === undefined || text.length === 0 || text.at(-1) !== 0x0a) return undefined;
  const contentSha256 = sha256Of(text);
  if (contentNameOf(key) !== contentSha256.slice(0, 8)) return undefined;
  const events: AuditEvent[] = [];
  for (const line of splitLines(text)) {
    const event = format.read(line);
    if (isPoison(event)) return undefined;
    events.push(event);
  }
  const tally = contentTally();
  tally.add(events);
  tally.addBytes(text.length);
  const object = { key, bytes: stored.length, sha256: sha256Of(stored), contentSha256, ...tally.sum() };
  return { object, events };
}

/** What a gzip object holds; undefined when it is cut, damaged, or has anything behind its one stream. */
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
