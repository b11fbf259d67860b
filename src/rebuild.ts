import type { Format } from "./format.ts";
import { idSet } from "./ids.ts";
import type { Manifest } from "./manifest.ts";
import type { QuarantineLine } from "./quarantine.ts";
import { gunzipWhole } from "./sinks/objects.ts";
import { isPoison } from "./source.ts";
import type { Store } from "./store.ts";

/**
 * The packed ids of a manifest, read from the objects and the quarantine that it names: what its ids file held. Undefined where
 * one of them cannot be read, or the sink keeps no objects.
 */
export async function idsFromObjects(
  { events, objects, quarantine }: Manifest,
  data: Store,
  format: Format,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  const ids = idSet();
  for (const { key } of [...objects, ...quarantine]) {
    const stored = await data.read(key, signal);
    const text = stored && gunzipWhole(stored);
    if (text === undefined) return undefined;
    for (const line of linesIn(text)) {
      const id = key.startsWith("quarantine/") ? quarantinedId(line) : eventId(line, format);
      if (id === undefined) return undefined;
      ids.add(id);
    }
  }
  const lines = quarantine.reduce((sum, object) => sum + object.lines, events);
  return ids.size === lines ? ids.sorted() : undefined;
}

function* linesIn(text: Buffer): Generator<Buffer> {
  for (let start = 0; start < text.length;) {
    const end = text.indexOf(0x0a, start);
    yield text.subarray(start, end < 0 ? text.length : end);
    start = end < 0 ? text.length : end + 1;
  }
}

function eventId(line: Buffer, format: Format): string | undefined {
  const event = format.read(line);
  return isPoison(event) ? undefined : event.id;
}

/** An item is known by its id, else by its bytes. */
function quarantinedId(line: Buffer): string | Buffer {
  const { id, record, recordBase64 = "" } = JSON.parse(line.toString()) as QuarantineLine;
  return id ?? (record === undefined ? Buffer.from(recordBase64, "base64") : Buffer.from(record));
}
