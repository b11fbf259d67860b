import { LedgerError } from "../errors.ts";
import { splitLines } from "../format.ts";
import { readLink } from "../ledger/head.ts";
import { ID_BYTES, idSet, packId, type IdSet } from "../ledger/ids.ts";
import { seq12, sha256Of, type Manifest } from "../ledger/manifest.ts";
import type { Store } from "../store.ts";
import { compactInstant } from "../time.ts";
import { reachOf, type Chain } from "./chain.ts";
import { unpack } from "./gzip.ts";
import { quarantinedItem } from "./quarantine.ts";
import { judgeNames } from "./object.ts";
import { OBJECT_END } from "../formats/index.ts";
import { contentNameOf, folderOf } from "./object-file.ts";
import type { Places, StrayKind } from "./places.ts";

/** A file is unpacked into memory as a whole; this program writes none that is larger. */
const CONTENT_MAX_BYTES = 1024 ** 3;

/**
 * Why a file is not an orphan; undefined when it is one: its name is of its window and its content, and every line of it
 * stands, byte for byte, in an untouched object that a manifest names. A doctored copy of an event is none.
 */
export async function doubtOf(
  places: Places,
  chain: Chain,
  kind: StrayKind,
  store: Store,
  key: string,
  seq: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  const own = await manifestOf(places, seq, signal);
  if (own === undefined) return `manifest ${seq} cannot be read`;
  const contentName = contentNameOf(key) ?? /-([0-9a-f]{8})\.bin$/.exec(key)?.[1] ?? "";
  if (!isNamedAs(key, kind, own, contentName)) return "its name is not of its window";
  const stored = await store.read(key, signal);
  if (stored === undefined) return "it cannot be found";
  const content = kind === "ids" ? stored : await wholeContent(stored);
  if (content === undefined) return "it is no gzip stream";
  if (!sha256Of(content).startsWith(contentName)) return "its name is of other lines";
  const wanted = tracesIn(kind, content);
  if (wanted === undefined) return "it holds what is no item";

  const found = idSet();
  // Its own window first: that is where a race leaves the same events.
  const others = chain.overlapping(reachOf(own)).filter((other) => other !== seq);
  for (const other of [seq, ...others]) {
    const manifest = other === seq ? own : await manifestOf(places, other, signal);
    if (manifest === undefined) continue;
    for await (const traces of committedTraces(kind, store, manifest, signal)) {
      for (let at = 0; at < traces.length; at += ID_BYTES) {
        if (wanted.hasPacked(traces, at)) found.addPacked(traces.subarray(at, at + ID_BYTES));
      }
    }
    if (found.size === wanted.size) return undefined;
  }
  return `${wanted.size - found.size} of the ${wanted.size} ${kind === "ids" ? "ids" : "lines"} that it holds stand in none that do`;
}

async function manifestOf({ ledger, stream }: Places, seq: number, signal: AbortSignal): Promise<Manifest | undefined> {
  try {
    const { manifest } = await readLink(ledger, stream, seq, signal);
    // A forged one could name files anywhere.
    return judgeNames(manifest, undefined).length === 0 ? manifest : undefined;
  } catch (error) {
    if (error instanceof LedgerError) return undefined;
    throw error;
  }
}

function isNamedAs(key: string, kind: StrayKind, manifest: Manifest, contentName: string): boolean {
  const { seq, window } = manifest;
  const name = key.slice(key.lastIndexOf("/") + 1);
  switch (kind) {
    case "ids":
      return key === `ids/${seq12(seq)}-${contentName}.bin`;
    case "quarantine":
      return key === `quarantine/${seq12(seq)}-${contentName}.ndjson.gz`;
    case "data": {
      // A repair's folder is that of a window before it, as are those of its objects.
      const folders = [
        folderOf(window),
        ...manifest.objects.map((object) => object.key.slice(0, object.key.lastIndexOf("/"))),
      ];
      const rest = `_${compactInstant(window.from)}_${compactInstant(window.to)}_${contentName}${OBJECT_END}`;
      return folders.includes(key.slice(0, key.lastIndexOf("/"))) && new RegExp(`^\\d{12}-\\d{4,}${rest}`).test(name);
    }
  }
}

/** What tells the lines of a file: their digests, an item's bytes' where its line has a number too, or the ids themselves. */
function tracesIn(kind: StrayKind, content: Buffer): IdSet | undefined {
  const traces = idSet();
  if (kind === "ids") {
    traces.addPacked(content);
    return traces;
  }
  for (const line of splitLines(content)) {
    const trace = kind === "data" ? line : quarantinedItem(line)?.record;
    if (trace === undefined) return undefined;
    traces.addPacked(packId(trace));
  }
  return traces;
}

/** The traces of each file that the manifest names, if it is untouched. */
async function* committedTraces(
  kind: StrayKind,
  store: Store,
  { objects, quarantine, ids }: Manifest,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const files = { data: objects, quarantine, ids: ids === null ? [] : [ids] }[kind];
  for (const { key, sha256 } of files) {
    const stored = await store.read(key, signal);
    if (stored === undefined || sha256Of(stored) !== sha256) continue;
    const content = kind === "ids" ? stored : await wholeContent(stored);
    const traces = content && tracesIn(kind, content);
    if (traces !== undefined) yield traces.sorted();
  }
}

async function wholeContent(stored: Buffer): Promise<Buffer | undefined> {
  const unpacked = await unpack(stored, CONTENT_MAX_BYTES);
  return unpacked?.trailingBytes === 0 ? unpacked.content : undefined;
}
