import { createHash } from "node:crypto";
import { once } from "node:events";
import { createGzip, type Gzip } from "node:zlib";
import { NEWLINE, type Format } from "../format.ts";
import { seq12 } from "../ledger/manifest.ts";
import { OBJECT_END } from "../formats/index.ts";
import type { Batch, Sink, StoredObject } from "../sink.ts";
import type { AuditEvent } from "../source.ts";
import type { Store } from "../store.ts";
import { contentCounter, createByContent, folderOf, objectName, wholeObject } from "../archive/object-file.ts";

/** Audit lines shrink to a tenth at this level. Higher levels take twice the time and save a few percent more. */
const GZIP_LEVEL = 6;

/** Finds the number of the part in an object's name, in any format: an interrupted attempt may have used another format. */
const PART = new RegExp(`-(\\d{4,})_[^/]*${OBJECT_END}`);

/** Lines are hashed and compressed in blocks of this size: a call for each line would cost more than the work itself. */
const TEXT_BYTES = 256 * 1024;
const OUTPUT_BYTES = 64 * 1024;

/** A sink that keeps each batch as one gzip object in a folder or a bucket, named by its window and its content. */
export function objects(store: Store, format: Format): Sink {
  return {
    place: store.place,

    async write(batch, signal) {
      const { stored, ...content } = await compressed(batch, format, signal);
      const { plan, part } = batch;
      const key = `${folderOf(plan)}/${objectName(plan, part, content.contentSha256, format)}`;
      return {
        object: { key, ...(await createByContent(store, key, stored, content.contentSha256, signal)), ...content },
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

/** Reads the whole batch through gzip. Only the compressed bytes are held in memory. */
async function compressed(
  { chunks }: Batch,
  format: Format,
  signal: AbortSignal,
): Promise<Content & { readonly stored: Buffer }> {
  const gzip = createGzip({ level: GZIP_LEVEL, chunkSize: OUTPUT_BYTES });
  const output: Buffer[] = [];
  gzip.on("data", (bytes: Buffer) => output.push(bytes));
  const hash = createHash("sha256");
  const buffer = Buffer.allocUnsafeSlow(TEXT_BYTES);
  const counter = contentCounter();
  try {
    for await (const events of chunks) {
      signal.throwIfAborted();
      counter.add(events);
      for (const text of textsOf(events, format, buffer)) {
        hash.update(text);
        counter.addBytes(text.length);
        await compress(gzip, text);
      }
    }
    gzip.end();
    await once(gzip, "end", { signal });
  } finally {
    gzip.destroy();
  }
  return { ...counter.sum(), contentSha256: hash.digest("hex"), stored: Buffer.concat(output) };
}

/** Compresses in another thread. Resolves when the buffer of the text may be overwritten. */
function compress(gzip: Gzip, text: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    gzip.write(text, (error) => (error ? reject(error) : resolve()));
  });
}

/** The lines of some events, each with its newline, in pieces. All pieces share `buffer`: each overwrites the previous one. */
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
