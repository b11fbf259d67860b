import { z } from "zod";
import { LedgerError } from "../errors.ts";
import { parsedJson } from "../json/parse.ts";
import type { Store } from "../store.ts";
import { formatInstant, parseInstant, type EpochMs } from "../time.ts";
import { decodeManifest, RESTORE_HINT, seq12, type Link } from "./manifest.ts";
import { mapInOrder } from "./map-in-order.ts";

/** Where a stream is: the newest link of its chain, and the instant up to which everything is exported. */
export interface Head {
  /** 0 before the first commit. */
  readonly seq: number;
  /** SHA-256 of line 1 of the newest manifest; null before the first commit. */
  readonly sha256: string | null;
  /** Undefined before the first commit. */
  readonly exportedUntil: EpochMs | undefined;
  /** The start of the newest window or gap: the objects of a repair go there, so that keys only rise. */
  readonly windowFrom: EpochMs | undefined;
  /** The settings with which the newest manifest was made; see `fingerprintOf`. */
  readonly fingerprint: string | undefined;
}

export const NO_HEAD: Head = {
  seq: 0,
  sha256: null,
  exportedUntil: undefined,
  windowFrom: undefined,
  fingerprint: undefined,
};

export interface FoundHead {
  readonly head: Head;
  /** Why checkpoint.json has to be written again; undefined if it is at the head. */
  readonly staleBecause: string | undefined;
}

/** Without a checkpoint, so many of the newest links are read, and each must follow from the one before. */
const LINKS_CHECKED = 100;

/**
 * Finds the newest link. The manifests are the truth and the checkpoint is only a shortcut to them: if it is missing, damaged or
 * behind, it is reported as stale.
 *
 * @param ledger the stream's ledger
 * @param data where its data objects are, to distinguish an empty ledger from one that lost its manifests
 * @throws LedgerError if the chain has a hole, if a link cannot be read or does not follow from the one before, if the
 *   checkpoint is ahead of the manifests, or if there is no manifest but data beyond the first sequence
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
    const file = await fileBeyondFirst(ledger, data, signal);
    if (file === undefined) return { head: NO_HEAD, staleBecause: undefined };
    // Another worker may have made its first commits in the meantime.
    if ((await newestSequence(ledger, 0, signal)) > 0) return findHead(ledger, data, stream, signal);
    throw new LedgerError(`list ${ledger.place}/manifests: there is none, yet ${file} is there`, {
      hint: RESTORE_HINT,
    });
  }
  const oldest = known > 0 ? known : Math.max(1, newest - LINKS_CHECKED + 1);
  const links = await readLinks(ledger, stream, { first: oldest, last: newest }, signal);
  if (typeof checkpoint !== "string" && links[0]?.sha256 !== checkpoint.manifestSha256) {
    throw new LedgerError(
      `read ${ledger.place}/${manifestKey(known)}: it is not the manifest that ${CHECKPOINT_KEY} names`,
      { hint: RESTORE_HINT },
    );
  }
  const staleBecause =
    typeof checkpoint === "string"
      ? checkpoint
      : newest > known
        ? `it is at ${known}, the manifests reach ${newest}`
        : undefined;
  return { head: await headOf(links, ledger, stream, signal), staleBecause };
}

/** The head after `links`. Repairs do not move the instant of the export, so the link that says it may be further back. */
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

/** The content of checkpoint.json: a shortcut to the head, which the manifests confirm or refute. */
export interface Checkpoint {
  readonly exportedUntil: string;
  readonly sequence: number;
  readonly manifestSha256: string;
}

export const CHECKPOINT_KEY = "checkpoint.json";

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

/**
 * The checkpoint, or the reason why there is none that can be used.
 * @throws LedgerError if it belongs to another stream
 */
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

export const manifestKey = (seq: number): string => `manifests/${seq12(seq)}.json`;

/** @throws LedgerError if it is not there or cannot be read */
export async function readLink(ledger: Store, stream: string, seq: number, signal: AbortSignal): Promise<Link> {
  const bytes = await ledger.read(manifestKey(seq), signal);
  const place = `${ledger.place}/${manifestKey(seq)}`;
  if (bytes === undefined) throw new LedgerError(`read ${place}: it is not there`, { hint: RESTORE_HINT });
  return decodeManifest(bytes, stream, seq, place);
}

/** Reads the links `first` to `last`, and checks that each follows from the one before. */
async function readLinks(
  ledger: Store,
  stream: string,
  { first, last }: { readonly first: number; readonly last: number },
  signal: AbortSignal,
): Promise<Link[]> {
  const links: Link[] = [];
  for (let seq = first; seq <= last; seq++) {
    const link = await readLink(ledger, stream, seq, signal);
    const before = links.at(-1);
    const follows = before === undefined || link.manifest.prev?.sha256 === before.sha256;
    if (!follows || link.manifest.prev?.seq !== (seq === 1 ? undefined : seq - 1)) throw notFollowing(ledger, seq);
    links.push(link);
  }
  return links;
}

/** The links after `head`, oldest first, as far as they reach now: what other workers have committed since. */
export async function linksAfter(ledger: Store, head: Head, stream: string, signal: AbortSignal): Promise<Link[]> {
  const newest = await newestSequence(ledger, head.seq, signal);
  const links =
    newest === head.seq ? [] : await readLinks(ledger, stream, { first: head.seq + 1, last: newest }, signal);
  const [next] = links;
  if (next !== undefined && (next.manifest.prev?.sha256 ?? null) !== head.sha256) {
    throw notFollowing(ledger, head.seq + 1);
  }
  return links;
}

/** Links that are read at once if many are needed. */
const CONCURRENT_READS = 16;

/** The links from `seq` back to the first, newest first. */
export function linksBack(ledger: Store, stream: string, seq: number, signal: AbortSignal): AsyncGenerator<Link> {
  const read = (one: number): Promise<Link> => readLink(ledger, stream, one, signal);
  return mapInOrder(sequencesBack(seq), read, { atOnce: CONCURRENT_READS });
}

function* sequencesBack(seq: number): Generator<number> {
  for (let one = seq; one > 0; one--) yield one;
}

/** The sequences above `after` that have a manifest, rising, and the keys among the manifests that are not one. */
export async function listSequences(
  ledger: Store,
  after: number,
  signal: AbortSignal,
): Promise<{ readonly seqs: readonly number[]; readonly others: readonly string[] }> {
  const seqs: number[] = [];
  const others: string[] = [];
  const start = after === 0 ? undefined : manifestKey(after);
  for await (const { key } of ledger.list("manifests/", start, signal)) {
    const seq = Number(/^manifests\/(\d{12})\.json$/.exec(key)?.[1] ?? 0);
    if (seq > after) seqs.push(seq);
    else if (seq === 0) others.push(key);
  }
  return { seqs: seqs.sort((one, other) => one - other), others };
}

/**
 * The highest sequence that has a manifest; 0 if there is none.
 * @throws LedgerError if there is a hole after `known`
 */
async function newestSequence(ledger: Store, known: number, signal: AbortSignal): Promise<number> {
  // A listing is not a snapshot: another worker's new links may show up before older ones, so a hole is checked twice.
  for (const isLast of [false, true]) {
    const { seqs } = await listSequences(ledger, known, signal);
    const newest = seqs.at(-1) ?? known;
    if (newest - known === seqs.length) return newest;
    if (isLast) {
      throw new LedgerError(
        `list ${ledger.place}/manifests: it has ${seqs.length} of the ${newest - known} links up to ${newest}`,
        { hint: RESTORE_HINT },
      );
    }
  }
  return known;
}

/** A file beyond the first sequence, if there is one: an empty ledger has none, one that lost its manifests has. */
async function fileBeyondFirst(
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

function notFollowing(ledger: Store, seq: number): LedgerError {
  return new LedgerError(`read ${ledger.place}/${manifestKey(seq)}: it does not follow from the manifest before it`, {
    hint: RESTORE_HINT,
  });
}
