import { splitLines, type Format } from "../format.ts";
import { idSet } from "../ledger/ids.ts";
import type { Manifest } from "../ledger/manifest.ts";
import { quarantinedItem } from "./quarantine.ts";
import { isPoison } from "../source.ts";
import type { Store } from "../store.ts";
import { gunzipWhole } from "./object-file.ts";

/**
 * The packed ids of a manifest, read from the data and quarantine objects that it names: the content of its ids file. Undefined when
 * one of the objects cannot be read.
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
    for (const line of splitLines(text)) {
      const id = key.startsWith("quarantine/") ? itemId(line) : eventId(line, format);
      if (id === undefined) return undefined;
      ids.add(id);
    }
  }
  const lines = quarantine.reduce((sum, object) => sum + object.lines, events);
  return ids.size === lines ? ids.sorted() : undefined;
}

function eventId(line: Buffer, format: Format): string | undefined {
  const event = format.read(line);
  return isPoison(event) ? undefined : event.id;
}

/** An item is identified by its id, or without one by its bytes. */
function itemId(line: Buffer): string | Buffer | undefined {
  const item = quarantinedItem(line);
  return item && (item.id ?? item.record);
}
