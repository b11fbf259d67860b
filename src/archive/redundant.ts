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
import type { FileKind, Places } from "./places.ts";

/** A file is unpacked into memory as a whole; siem-export writes none that is larger. */
const CONTENT_MAX_BYTES = 1024 ** 3;

/** A file that no manifest names, with the sequence in its name. */
interface NamedFile {
  readonly kind: FileKind;
  readonly store: Store;
  readonly key: string;
  readonly seq: number;
}

/**
 * Why a file is not redundant; undefined when it is: its name fits its window and its content, and each of its lines is also, byte
 * for byte, in an intact object that a manifest names. An altered copy of an event is not redundant.
 */
export async function whyNotRedundant(
  places: Places,
  chain: Chain,
  { kind, store, key, seq }: NamedFile,
  signal: AbortSignal,
): Promise<string | undefined> {
  const own = await manifestOf(places, seq, signal);
  if (own === undefined) return `manifest ${seq} cannot be read`;
  const contentName = contentNameOf(key) ?? /-([0-9a-f]{8})\.bin$/.exec(key)?.[1] ?? "";
  if (!isNamedAs(key, kind, own, contentName)) return "its name does not fit its window";
  const stored = await store.read(key, signal);
  if (stored === undefined) return "it cannot be found";
  const content = kind === "ids" ? stored : await wholeContent(stored);
  if (content === undefined) return "it is not a gzip file";
  if (!sha256Of(content).startsWith(contentName)) return "its name does not fit its content";
  const wanted = digestsIn(kind, content);
  if (wanted === undefined) return "it has a line that is not a quarantined item";

  const found = idSet();
  // Its own window first: concurrent workers export the same events there.
  const others = chain.overlapping(reachOf(own)).filter((other) => other !== seq);
  for (const other of [seq, ...others]) {
    const manifest = other === seq ? own : await manifestOf(places, other, signal);
    if (manifest === undefined) continue;
    for await (const digests of committedDigests(kind, store, manifest, signal)) {
      for (let at = 0; at < digests.length; at += ID_BYTES) {
        if (wanted.hasPacked(digests, at)) found.addPacked(digests.subarray(at, at + ID_BYTES));
      }
    }
    if (found.size === wanted.size) return undefined;
  }
  return `${wanted.size - found.size} of the ${wanted.size} ${kind === "ids" ? "ids" : "lines"} in it are in no file that a manifest names`;
}

async function manifestOf({ ledger, stream }: Places, seq: number, signal: AbortSignal): Promise<Manifest | undefined> {
  try {
    const { manifest } = await readLink(ledger, stream, seq, signal);
    // A forged manifest could name files anywhere.
    return judgeNames(manifest, undefined).length === 0 ? manifest : undefined;
  } catch (error) {
    if (error instanceof LedgerError) return undefined;
    throw error;
  }
}

function isNamedAs(key: string, kind: FileKind, manifest: Manifest, contentName: string): boolean {
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

/**
 * The packed digests of a file's lines; of a quarantined item, those of its bytes, because its line also has a number. An ids file
 * has the packed ids themselves. Undefined when a line is not a quarantined item.
 */
function digestsIn(kind: FileKind, content: Buffer): IdSet | undefined {
  const digests = idSet();
  if (kind === "ids") {
    digests.addPacked(content);
    return digests;
  }
  for (const line of splitLines(content)) {
    const bytes = kind === "data" ? line : quarantinedItem(line)?.record;
    if (bytes === undefined) return undefined;
    digests.addPacked(packId(bytes));
  }
  return digests;
}

/** The digests of each intact file that the manifest names. */
async function* committedDigests(
  kind: FileKind,
  store: Store,
  { objects, quarantine, ids }: Manifest,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const files = { data: objects, quarantine, ids: ids === null ? [] : [ids] }[kind];
  for (const { key, sha256 } of files) {
    const stored = await store.read(key, signal);
    if (stored === undefined || sha256Of(stored) !== sha256) continue;
    const content = kind === "ids" ? stored : await wholeContent(stored);
    const digests = content && digestsIn(kind, content);
    if (digests !== undefined) yield digests.sorted();
  }
}

async function wholeContent(stored: Buffer): Promise<Buffer | undefined> {
  const unpacked = await unpack(stored, CONTENT_MAX_BYTES);
  return unpacked?.trailingBytes === 0 ? unpacked.content : undefined;
}
