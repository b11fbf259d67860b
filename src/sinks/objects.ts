import { createHash } from "node:crypto";
import { once } from "node:events";
import { createGzip, type Gzip } from "node:zlib";
import { NEWLINE, splitLines, type Format } from "../format.ts";
import { seq12, sha256Of } from "../ledger/manifest.ts";
import { OBJECT_END } from "../formats/index.ts";
import type { Batch, Leftover, Sink, StoredObject } from "../sink.ts";
import { isPoison, type AuditEvent } from "../source.ts";
import type { Store } from "../store.ts";
import { epochMs, type EpochMs } from "../time.ts";
import { contentNameOf, createByContent, folderOf, objectName, gunzipWhole } from "../archive/object-file.ts";

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
