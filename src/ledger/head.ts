import { z } from "zod";
import { LedgerError } from "../errors.ts";
import { parsedJson } from "../json/parse.ts";
import { decodeManifest, RESTORE_HINT, seq12, type Link } from "./manifest.ts";
import type { Store } from "../store.ts";
import { formatInstant, parseInstant, type EpochMs } from "../time.ts";

/** Where a stream stands: the newest link of its chain, and the instant up to which all is exported. */
export interface Head {
  /** 0 before the first commit. */
  readonly seq: number;
  /** Of line 1 of the newest manifest; null before the first commit. */
  readonly sha256: string | null;
  /** Undefined before the first commit. */
  readonly exportedUntil: EpochMs | undefined;
  /** The start of the newest window or gap: where a repair's objects go, so that keys only rise. */
  readonly windowFrom: EpochMs | undefined;
  /** Whose settings the newest manifest was made with. */
  readonly fingerprint: string | undefined;
}

export const NO_HEAD: Head = {
  seq: 0,
  sha256: null,
  exportedUntil: undefined,
  windowFrom: undefined,
  fingerprint: undefined,
};

/** What checkpoint.json says: a shortcut to the head, which the manifests prove or refute. */
export interface Checkpoint {
  readonly exportedUntil: string;
  readonly sequence: number;
  readonly manifestSha256: string;
}

/** Without a checkpoint, so many of the newest links are read and must follow from one another. */
const LINKS_CHECKED = 100;

export const CHECKPOINT_KEY = "checkpoint.json";
export const manifestKey = (seq: number): string => `manifests/${seq12(seq)}.json`;

const CheckpointShape = z.object({
  schema: z.literal(1),
  stream: z.string(),
  exportedUntil: z.string().refine((text) => parseInstant(text) !== undefined),
  sequence: z.int().min(1),
  manifestSha256: z.string().regex(/^[0-9a-f]{64}$/),
});

export function encodeCheckpoint(stream: string, head: Head): Buffer {
  const { exportedUntil, seq, sha256 } = head;
  const shown = exportedUntil === undefined ? null : formatInstant(exportedUntil);
  return Buffer.from(
    `${JSON.stringify({ schema: 1, stream, exportedUntil: shown, sequence: seq, manifestSha256: sha256 })}\n`,
  );
}

export interface FoundHead {
  readonly head: Head;
  /** Why checkpoint.json has to be written anew, or undefined when it stands at the head. */
  readonly staleBecause: string | undefined;
}

/**
 * Finds the newest link. The manifests are the truth and the checkpoint only a shortcut to them: missing, torn or behind,
 * it is reported as stale.
 *
 * @param ledger the stream's ledger
 * @param data where its data objects lie, to tell an empty ledger from one that has lost its manifests
 * @throws LedgerError when the chain has a hole, a link cannot be read or does not follow from the one before, the
 *   checkpoint is ahead of the manifests, or there is data beyond the first sequence and no manifest at all
 */
export async function findHead(
  ledger: Store,
  data: Store | undefined,
  stream: string,
  signal: AbortSignal,
): Promise<FoundHead> {
  const checkpoint = await readCheckpoint(ledger, stream, signal);
  const known = typeof checkpoint === "string" ? 0 : checkpoint.sequence;
  const newest = await newestSequence(ledger, known, signal);
  if (newest === 0) {
    const stray = await madeBeyondFirst(ledger, data, signal);
    if (stray === undefined) return { head: NO_HEAD, staleBecause: undefined };
    // Unless another worker made its first commits while we looked.
    if ((await newestSequence(ledger, 0, signal)) > 0) return findHead(ledger, data, stream, signal);
    throw new LedgerError(`list ${ledger.place}/manifests: there is none, yet ${stray} is there`, {
      hint: RESTORE_HINT,
    });
  }
  const oldest = known > 0 ? known : Math.max(1, newest - LINKS_CHECKED + 1);
  const links = await readLinks(ledger, stream, oldest, newest, signal);
  if (typeof checkpoint !== "string" && links[0]?.sha256 !== checkpoint.manifestSha256) {
    throw new LedgerError(
      `read ${ledger.place}/${manifestKey(known)}: it is not the manifest that ${CHECKPOINT_KEY} stands at`,
      { hint: RESTORE_HINT },
    );
  }
  const staleBecause =
    typeof checkpoint === "string"
      ? checkpoint
      : newest > known
        ? `it stands at ${known}, the manifests reach ${newest}`
        : undefined;
  return { head: await headOf(links, ledger, stream, signal), staleBecause };
}

/** The links that follow `head`, oldest first, as far as they reach now: what another worker committed since. */
export async function linksAfter(ledger: Store, head: Head, stream: string, signal: AbortSignal): Promise<Link[]> {
  const newest = await newestSequence(ledger, head.seq, signal);
  const links = newest === head.seq ? [] : await readLinks(ledger, stream, head.seq + 1, newest, signal);
  const [next] = links;
  if (next !== undefined && (next.manifest.prev?.sha256 ?? null) !== head.sha256) throw broken(ledger, head.seq + 1);
  return links;
}

/** @throws LedgerError when it is not there or cannot be read */
export async function readLink(ledger: Store, stream: string, seq: number, signal: AbortSignal): Promise<Link> {
  const bytes = await ledger.read(manifestKey(seq), signal);
  const place = `${ledger.place}/${manifestKey(seq)}`;
  if (bytes === undefined) throw new LedgerError(`read ${place}: it is not there`, { hint: RESTORE_HINT });
  return decodeManifest(bytes, stream, seq, place);
}

/** Links read at once when many are wanted. */
const LINKS_AT_ONCE = 16;

/** The links from `seq` back to the first, newest first. */
export async function* linksBack(
  ledger: Store,
  stream: string,
  seq: number,
  signal: AbortSignal,
): AsyncGenerator<Link> {
  for (let newest = seq; newest > 0; newest -= LINKS_AT_ONCE) {
    const seqs = Array.from({ length: Math.min(LINKS_AT_ONCE, newest) }, (_, index) => newest - index);
    yield* await Promise.all(seqs.map((one) => readLink(ledger, stream, one, signal)));
  }
}

/** The checkpoint, or why there is none to go by. */
export async function readCheckpoint(ledger: Store, stream: string, signal: AbortSignal): Promise<Checkpoint | string> {
  const bytes = await ledger.read(CHECKPOINT_KEY, signal);
  if (bytes === undefined) return "it is missing";
  const json = parsedJson(bytes);
  if (json === undefined) return bytes.length === 0 ? "it is empty" : "it is torn";
  const read = CheckpointShape.safeParse(json);
  if (!read.success) return `it is not a checkpoint (${read.error.issues[0]?.path.join(".") ?? ""})`;
  if (read.data.stream !== stream) {
    throw new LedgerError(
      `read ${ledger.place}/${CHECKPOINT_KEY}: it belongs to the stream ${JSON.stringify(read.data.stream)}`,
      { hint: "each stream needs a ledger of its own: give this one another name, prefix or directory" },
    );
  }
  return read.data;
}

/** The highest sequence that has a manifest; 0 when there is none. There must be no hole after `known`. */
async function newestSequence(ledger: Store, known: number, signal: AbortSignal): Promise<number> {
  // A listing is not a snapshot: another worker's new links may show before older ones, so a hole is looked at twice.
  for (const isLast of [false, true]) {
    const found = await sequencesAfter(ledger, known, signal);
    const newest = found.reduce((one, other) => Math.max(one, other), known);
    if (newest - known === found.length) return newest;
    if (isLast) {
      throw new LedgerError(
        `list ${ledger.place}/manifests: it has ${found.length} of the ${newest - known} links up to ${newest}`,
        { hint: RESTORE_HINT },
      );
    }
  }
  return known;
}

async function sequencesAfter(ledger: Store, known: number, signal: AbortSignal): Promise<number[]> {
  const found: number[] = [];
  const after = known === 0 ? undefined : manifestKey(known);
  for await (const { key } of ledger.list("manifests/", after, signal)) {
    const seq = Number(/^manifests\/(\d{12})\.json$/.exec(key)?.[1] ?? 0);
    if (seq > known) found.push(seq);
  }
  return found;
}

/** Reads the links `first`…`last`, and checks that each follows from the one before. */
async function readLinks(
  ledger: Store,
  stream: string,
  first: number,
  last: number,
  signal: AbortSignal,
): Promise<Link[]> {
  const links: Link[] = [];
  for (let seq = first; seq <= last; seq++) {
    const link = await readLink(ledger, stream, seq, signal);
    const before = links.at(-1);
    const follows = before === undefined || link.manifest.prev?.sha256 === before.sha256;
    if (!follows || link.manifest.prev?.seq !== (seq === 1 ? undefined : seq - 1)) throw broken(ledger, seq);
    links.push(link);
  }
  return links;
}

/** The head that the last of `links` makes; repairs do not move it, so it may lie further back. */
async function headOf(links: readonly Link[], ledger: Store, stream: string, signal: AbortSignal): Promise<Head> {
  const newest = links.at(-1);
  if (newest === undefined) return NO_HEAD;
  let link = links.findLast(({ manifest }) => manifest.kind !== "repair");
  for (let seq = (links[0]?.manifest.seq ?? 1) - 1; link === undefined && seq > 0; seq--) {
    const older = await readLink(ledger, stream, seq, signal);
    if (older.manifest.kind !== "repair") link = older;
  }
  return {
    seq: newest.manifest.seq,
    sha256: newest.sha256,
    exportedUntil: link?.manifest.window.to,
    windowFrom: link?.manifest.window.from,
    fingerprint: newest.manifest.source.fingerprint,
  };
}

/** The head after one more link. */
export function headAfter(head: Head, { manifest, sha256 }: Link): Head {
  const place =
    manifest.kind === "repair" ? head : { exportedUntil: manifest.window.to, windowFrom: manifest.window.from };
  return { ...head, ...place, seq: manifest.seq, sha256, fingerprint: manifest.source.fingerprint };
}

/** A file beyond the first sequence, if there is any: it tells a ledger that has lost its manifests from an empty one. */
async function madeBeyondFirst(
  ledger: Store,
  data: Store | undefined,
  signal: AbortSignal,
): Promise<string | undefined> {
  const places: [Store | undefined, string][] = [
    [ledger, "plans/"],
    [ledger, "ids/"],
    [data, "data/"],
  ];
  for (const [store, prefix] of places) {
    if (store === undefined) continue;
    for await (const { key } of store.list(prefix, undefined, signal)) {
      const seq = Number(/^(\d{12})\b/.exec(key.slice(key.lastIndexOf("/") + 1))?.[1] ?? 0);
      if (seq > 1) return `${store.place}/${key}`;
    }
  }
  return undefined;
}

function broken(ledger: Store, seq: number): LedgerError {
  return new LedgerError(`read ${ledger.place}/${manifestKey(seq)}: it does not follow from the manifest before it`, {
    hint: RESTORE_HINT,
  });
}
