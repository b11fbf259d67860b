import { LedgerError } from "../errors.ts";
import { manifestKey, readLink } from "../ledger/head.ts";
import { ID_BYTES, idSet, type IdSet } from "../ledger/ids.ts";
import type { IdsFile, Link, Manifest, QuarantineObject } from "../ledger/manifest.ts";
import type { Span } from "../time.ts";
import { mapInOrder } from "../ledger/map-in-order.ts";
import { reachOf, type Chain, type Judged } from "./chain.ts";
import { wrong, type ArchiveFinding } from "./finding.ts";
import {
  judgeIds,
  judgeNames,
  judgeObject,
  objectOutOfReach,
  judgeQuarantine,
  type FileVerdict,
  type ReadLine,
} from "./object.ts";
import { judgeCounts, knownOf, recentIds, tallyOf, type RecentIds, type Tally } from "./tally.ts";
import type { StoredObject } from "../sink.ts";
import type { Places } from "./places.ts";

/** Files under way at once, and the most bytes of lines that they unpack to: one object more is begun at most. */
const AT_ONCE = 16;
const UNPACKED_MAX_BYTES = 64 * 1024 * 1024;

/** An archive to be proved: reading and listing is all that is asked of its stores. */
export interface Archive extends Places {
  /** Reads the lines of a manifest's objects. */
  readerOf(source: Manifest["source"]): ReadLine;
}

/** A window, and what is to be said of it and its files. */
export interface JudgedWindow {
  readonly findings: readonly ArchiveFinding[];
  /** Undefined when its manifest cannot be read. */
  readonly link: Link | undefined;
  /** False when its files were left out, for they are not of the span that was asked for. */
  readonly isRead: boolean;
}

/** The links of the chain, in order, read ahead and judged one by one. The packed key of each file goes into `named`. */
export async function* links(
  { ledger }: Places,
  seqs: readonly number[],
  chain: Chain,
  named: IdSet,
  signal: AbortSignal,
): AsyncGenerator<Judged> {
  const read = async (seq: number) => ({ seq, bytes: await ledger.read(manifestKey(seq), signal) });
  for await (const { seq, bytes } of mapInOrder(seqs, read, { atOnce: AT_ONCE })) {
    const judged = chain.add(seq, bytes);
    if (judged.link !== undefined) {
      const { objects, quarantine, ids } = judged.link.manifest;
      for (const { key } of [...objects, ...quarantine, ...(ids === null ? [] : [ids])]) named.add(key);
    }
    yield judged;
  }
}

/** A part of the work, in order: what is known of a manifest by itself, each of its files, its end. */
type Piece =
  | { readonly kind: "begin"; readonly findings: readonly ArchiveFinding[] }
  | { readonly kind: "object"; readonly manifest: Manifest; readonly object: StoredObject }
  | { readonly kind: "quarantine"; readonly manifest: Manifest; readonly object: QuarantineObject }
  | { readonly kind: "ids"; readonly manifest: Manifest; readonly file: IdsFile }
  | { readonly kind: "end"; readonly link: Link | undefined; readonly isRead: boolean };

/** Each link with its files, in order; several files are read and unpacked at once. */
export async function* windows(
  archive: Archive,
  judged: AsyncIterable<Judged>,
  chain: Chain,
  span: Span | undefined,
  signal: AbortSignal,
): AsyncGenerator<JudgedWindow> {
  const recent = recentIds();
  let findings: ArchiveFinding[] = [];
  let tally: Tally | undefined;
  const work = async (piece: Piece) => ({ piece, verdict: await judgePiece(archive, piece, signal) });
  const limits = { atOnce: AT_ONCE, weightOf: unpackedBytes, weightMax: UNPACKED_MAX_BYTES };
  for await (const { piece, verdict } of mapInOrder(pieces(judged, span), work, limits)) {
    findings.push(...verdict.findings);
    switch (piece.kind) {
      case "begin":
        break;
      case "object":
        tally ??= tallyOf(piece.manifest);
        tally.addObject(piece.object.key, verdict);
        break;
      case "quarantine":
        tally ??= tallyOf(piece.manifest);
        tally.addQuarantine(verdict);
        break;
      case "ids":
        tally ??= tallyOf(piece.manifest);
        tally.addIds(verdict);
        break;
      case "end": {
        const { link, isRead } = piece;
        if (tally !== undefined && link !== undefined) {
          const end = tally.end();
          findings.push(...end.findings);
          findings.push(...(await duplicates(archive, chain, link.manifest, end.eventIds, recent, signal)));
        }
        yield { findings, link, isRead };
        findings = [];
        tally = undefined;
      }
    }
  }
}

async function* pieces(judged: AsyncIterable<Judged>, span: Span | undefined): AsyncGenerator<Piece> {
  for await (const { findings, link, folder } of judged) {
    if (link === undefined) {
      yield { kind: "begin", findings };
      yield { kind: "end", link, isRead: false };
      continue;
    }
    const { manifest } = link;
    const badNames = judgeNames(manifest, folder);
    yield { kind: "begin", findings: [...findings, ...judgeCounts(manifest), ...badNames] };
    const reach = reachOf(manifest);
    const isRead = span === undefined || (reach.from < span.to && reach.to > span.from);
    if (isRead) yield* filesOf(manifest, new Set(badNames.map(({ key }) => key)));
    yield { kind: "end", link, isRead };
  }
}

/** Its files, but for those whose names lead elsewhere. */
function* filesOf(manifest: Manifest, elsewhere: ReadonlySet<string>): Generator<Piece> {
  const { objects, quarantine, ids } = manifest;
  for (const object of objects) if (!elsewhere.has(object.key)) yield { kind: "object", manifest, object };
  for (const object of quarantine) if (!elsewhere.has(object.key)) yield { kind: "quarantine", manifest, object };
  if (ids !== null && !elsewhere.has(ids.key)) yield { kind: "ids", manifest, file: ids };
}

async function judgePiece(archive: Archive, piece: Piece, signal: AbortSignal): Promise<FileVerdict> {
  switch (piece.kind) {
    case "begin":
      return { findings: piece.findings, ids: undefined, late: 0 };
    case "object": {
      if (archive.data === undefined) return objectOutOfReach(piece.manifest, piece.object);
      const stored = await archive.data.read(piece.object.key, signal);
      return judgeObject(piece.manifest, piece.object, stored, archive.readerOf(piece.manifest.source));
    }
    case "quarantine":
      return judgeQuarantine(piece.manifest, piece.object, await archive.quarantine.read(piece.object.key, signal));
    case "ids":
      return judgeIds(piece.manifest, piece.file, await archive.ledger.read(piece.file.key, signal));
    case "end":
      return { findings: [], ids: undefined, late: 0 };
  }
}

function unpackedBytes(piece: Piece): number {
  if (piece.kind === "object") return piece.object.contentBytes + piece.object.bytes;
  // Lines of quarantined items shrink to a tenth or so, as those of events do.
  return piece.kind === "quarantine" ? 10 * piece.object.bytes : 0;
}

/** Events of a window that stand in one before it, too. */
async function duplicates(
  { ledger, stream }: Places,
  chain: Chain,
  manifest: Manifest,
  eventIds: Buffer,
  recent: RecentIds,
  signal: AbortSignal,
): Promise<ArchiveFinding[]> {
  const { seq, kind } = manifest;
  const key = manifest.objects[0]?.key ?? manifestKey(seq);
  const findings: ArchiveFinding[] = [];
  const tell = (known: readonly Buffer[], where: string): void => {
    const [first] = known;
    if (first === undefined) return;
    const message = `${known.length} of its events stand in ${where}, too (the first: ${shownId(first)})`;
    findings.push(wrong("DUPLICATE_EVENT", key, seq, message));
  };
  tell(recent.meet(eventIds), "a window before it");
  if (kind !== "repair" || eventIds.length === 0 || findings.length > 0) return findings;
  // A repair goes back further than anything is remembered.
  for (const earlier of chain.overlapping(reachOf(manifest)).filter((other) => other < seq)) {
    const theirs = await eventIdsOf(ledger, stream, earlier, signal);
    if (theirs !== undefined) tell(knownOf(eventIds, theirs), `manifest ${earlier}`);
  }
  return findings;
}

async function eventIdsOf(
  ledger: Places["ledger"],
  stream: string,
  seq: number,
  signal: AbortSignal,
): Promise<IdSet | undefined> {
  try {
    const { manifest } = await readLink(ledger, stream, seq, signal);
    if (manifest.ids === null || judgeNames(manifest, undefined).length > 0) return undefined;
    const packed = await ledger.read(manifest.ids.key, signal);
    if (packed === undefined || packed.length % ID_BYTES !== 0) return undefined;
    const ids = idSet();
    ids.addPacked(packed);
    return ids;
  } catch (error) {
    if (error instanceof LedgerError) return undefined;
    throw error;
  }
}

/** A packed id as a UUID is written; for an id that is none, it is the first half of its digest. */
function shownId(packed: Buffer): string {
  return packed.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
