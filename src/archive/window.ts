import { LedgerError } from "../errors.ts";
import { manifestKey, readLink } from "../ledger/head.ts";
import { ID_BYTES, idSet, type IdSet } from "../ledger/ids.ts";
import { mapInOrder } from "../ledger/map-in-order.ts";
import type { IdsFile, Link, Manifest, QuarantineObject } from "../ledger/manifest.ts";
import type { Span } from "../time.ts";
import { reachOf, type Chain, type JudgedLink } from "./chain.ts";
import { crossCheckOf, judgeCounts, knownOf, recentIds, type CrossCheck } from "./cross-check.ts";
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
import type { StoredObject } from "../sink.ts";
import type { Places } from "./places.ts";

/** How many files are read at once, and the most bytes that they unpack to, plus one object. */
const AT_ONCE = 16;
const UNPACKED_MAX_BYTES = 64 * 1024 * 1024;

/** An archive to verify. Its stores are only read and listed. */
export interface Archive extends Places {
  /** Reads the lines of a manifest's objects. */
  readerOf(source: Manifest["source"]): ReadLine;
}

/** A window, with the findings about it and its files. */
export interface JudgedWindow {
  readonly findings: readonly ArchiveFinding[];
  /** Undefined when its manifest cannot be read. */
  readonly link: Link | undefined;
  /** False when its files were not read, because they are outside the span to read. */
  readonly isRead: boolean;
}

/** The judged links of the chain, in order. Adds the packed key of each file that they name to `named`. */
export async function* links(
  { ledger }: Places,
  seqs: readonly number[],
  chain: Chain,
  named: IdSet,
  signal: AbortSignal,
): AsyncGenerator<JudgedLink> {
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

/** The work for one manifest, in this order: the findings about the manifest itself, each of its files, its end. */
type Piece =
  | { readonly kind: "begin"; readonly findings: readonly ArchiveFinding[] }
  | { readonly kind: "object"; readonly manifest: Manifest; readonly object: StoredObject }
  | { readonly kind: "quarantine"; readonly manifest: Manifest; readonly object: QuarantineObject }
  | { readonly kind: "ids"; readonly manifest: Manifest; readonly file: IdsFile }
  | { readonly kind: "end"; readonly link: Link | undefined; readonly isRead: boolean };

/** Each link with its files, in order; several files are read and unpacked at once. */
export async function* windows(
  archive: Archive,
  judged: AsyncIterable<JudgedLink>,
  chain: Chain,
  span: Span | undefined,
  signal: AbortSignal,
): AsyncGenerator<JudgedWindow> {
  const duplicatesOf = duplicateFinder(archive, chain, signal);
  let findings: ArchiveFinding[] = [];
  let crossCheck: CrossCheck | undefined;
  const work = async (piece: Piece) => ({ piece, verdict: await judgePiece(archive, piece, signal) });
  const limits = { atOnce: AT_ONCE, weightOf: unpackedBytes, weightMax: UNPACKED_MAX_BYTES };
  for await (const { piece, verdict } of mapInOrder(pieces(judged, span), work, limits)) {
    findings.push(...verdict.findings);
    switch (piece.kind) {
      case "begin":
        break;
      case "object":
        crossCheck ??= crossCheckOf(piece.manifest);
        crossCheck.addObject(piece.object.key, verdict);
        break;
      case "quarantine":
        crossCheck ??= crossCheckOf(piece.manifest);
        crossCheck.addQuarantine(verdict);
        break;
      case "ids":
        crossCheck ??= crossCheckOf(piece.manifest);
        crossCheck.addIds(verdict);
        break;
      case "end": {
        const { link, isRead } = piece;
        if (crossCheck !== undefined && link !== undefined) {
          const end = crossCheck.end();
          findings.push(...end.findings, ...(await duplicatesOf(link.manifest, end.eventIds)));
        }
        yield { findings, link, isRead };
        findings = [];
        crossCheck = undefined;
      }
    }
  }
}

async function* pieces(judged: AsyncIterable<JudgedLink>, span: Span | undefined): AsyncGenerator<Piece> {
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

/** Its files, without those whose names are not names of its window. */
function* filesOf(manifest: Manifest, badNames: ReadonlySet<string>): Generator<Piece> {
  const { objects, quarantine, ids } = manifest;
  for (const object of objects) if (!badNames.has(object.key)) yield { kind: "object", manifest, object };
  for (const object of quarantine) if (!badNames.has(object.key)) yield { kind: "quarantine", manifest, object };
  if (ids !== null && !badNames.has(ids.key)) yield { kind: "ids", manifest, file: ids };
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
  // Lines of quarantined items compress to about a tenth, as those of events do.
  return piece.kind === "quarantine" ? 10 * piece.object.bytes : 0;
}

/** Finds the events of a window that are also in an earlier one. To be called in the order of the manifests. */
function duplicateFinder({ ledger, stream }: Places, chain: Chain, signal: AbortSignal) {
  const recent = recentIds();
  return async (manifest: Manifest, eventIds: Buffer): Promise<ArchiveFinding[]> => {
    const { seq, kind } = manifest;
    const key = manifest.objects[0]?.key ?? manifestKey(seq);
    const duplicatesIn = (where: string, known: readonly Buffer[]): ArchiveFinding[] => {
      const [first] = known;
      if (first === undefined) return [];
      const message = `${known.length} of its events are also in ${where} (the first: ${shownId(first)})`;
      return [wrong("DUPLICATE_EVENT", key, seq, message)];
    };
    const findings = duplicatesIn("an earlier window", recent.add(eventIds));
    if (kind !== "repair" || eventIds.length === 0 || findings.length > 0) return findings;
    // A repair goes back further than the recent ids.
    for (const earlier of chain.overlapping(reachOf(manifest)).filter((other) => other < seq)) {
      const ids = await eventIdsOf(ledger, stream, earlier, signal);
      if (ids !== undefined) findings.push(...duplicatesIn(`manifest ${earlier}`, knownOf(eventIds, ids)));
    }
    return findings;
  };
}

/** The packed ids of a manifest; undefined when they cannot be read. */
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

/** A packed id written as a UUID. For an id that is not a UUID, this is the first half of its digest. */
function shownId(packed: Buffer): string {
  return packed.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
