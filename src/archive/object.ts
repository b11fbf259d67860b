import { NEWLINE, splitLines } from "../format.ts";
import { idSet, packId } from "../ledger/ids.ts";
import { sha256Of, seq12, type IdsFile, type Manifest, type QuarantineObject } from "../ledger/manifest.ts";
import { quarantinedItem } from "./quarantine.ts";
import { isPoison, type AuditEvent, type Poison } from "../source.ts";
import { compactInstant, formatInstant, formatSpan, type EpochMs } from "../time.ts";
import { reachOf } from "./chain.ts";
import { wrong, type ArchiveFinding } from "./finding.ts";
import { unpack } from "./gzip.ts";
import type { StoredObject } from "../sink.ts";
import { OBJECT_END } from "../formats/index.ts";
import { contentNameOf, folderOf } from "./object-file.ts";

/** Reads one line of an object: which event it is. */
export type ReadLine = (line: Buffer) => AuditEvent | Poison;

/** What one file of a window comes to. */
export interface FileVerdict {
  readonly findings: readonly ArchiveFinding[];
  /** The packed ids of what is in it, in its order; undefined where that cannot be told. */
  readonly ids: Buffer | undefined;
  /** Events older than the window. */
  readonly late: number;
}

/** An object of quarantined items does not say how large it is unpacked; batches of this program are far smaller. */
const QUARANTINE_MAX_BYTES = 1024 ** 3;

/** A data object against its manifest: there, untouched, nothing behind it, its lines as many and of the times that are named. */
export async function judgeObject(
  manifest: Manifest,
  object: StoredObject,
  stored: Buffer | undefined,
  read: ReadLine,
): Promise<FileVerdict> {
  const { key } = object;
  const { seq } = manifest;
  if (stored === undefined) return only(wrong("OBJECT_MISSING", key, seq, "it is not there"));
  const fault = storedFault(object, stored);
  if (fault !== undefined) {
    const isSame = fault.code === "OBJECT_ALTERED" && (await isRepacked(object, stored));
    const message = isSame ? `${fault.message}; the lines are the same, packed anew` : fault.message;
    return only(wrong(fault.code, key, seq, message));
  }
  const unpacked = await unpack(stored, object.contentBytes);
  if (unpacked === undefined) {
    return only(wrong("OBJECT_ALTERED", key, seq, `it is no gzip stream of ${object.contentBytes} bytes`));
  }
  if (unpacked.trailingBytes > 0) return only(trailing(key, seq, unpacked.trailingBytes));
  const { content } = unpacked;
  const contentSha256 = sha256Of(content);
  if (content.length !== object.contentBytes || contentSha256 !== object.contentSha256) {
    return only(wrong("OBJECT_ALTERED", key, seq, "its lines are not those that its manifest names"));
  }
  if (contentNameOf(key) !== contentSha256.slice(0, 8)) {
    return only(
      wrong("OBJECT_ALTERED", key, seq, `its name is of other lines: these are ${contentSha256.slice(0, 8)}`),
    );
  }
  return judgeLines(manifest, object, content, read);
}

/** Each line an event, and all of them as many and of the times that the manifest says. */
function judgeLines(manifest: Manifest, object: StoredObject, content: Buffer, read: ReadLine): FileVerdict {
  const { key } = object;
  const { seq, window } = manifest;
  const packed: Buffer[] = [];
  let [first, last, late] = [Infinity, -Infinity, 0];
  for (const line of splitLines(content)) {
    const event = read(line);
    const { id, time } = event;
    if (id === undefined || time === undefined) {
      const reason = isPoison(event) ? event.reason : "";
      return only(wrong("OBJECT_ALTERED", key, seq, `line ${packed.length + 1} is no event (${reason})`));
    }
    packed.push(packId(id));
    first = Math.min(first, time);
    last = Math.max(last, time);
    if (time < window.from) late++;
  }
  const findings: ArchiveFinding[] = [];
  if (content.at(-1) !== NEWLINE) findings.push(wrong("OBJECT_ALTERED", key, seq, "its last line has no end"));
  if (packed.length !== object.lines) {
    findings.push(wrong("COUNT_WRONG", key, seq, `it has ${packed.length} lines, its manifest says ${object.lines}`));
  }
  const reach = reachOf(manifest);
  if (packed.length > 0 && (first !== object.first || last !== object.last)) {
    const message = `its events are of ${shownTimes(first, last)}, its manifest says ${shownTimes(object.first, object.last)}`;
    findings.push(wrong("OBJECT_TIMES", key, seq, message));
  } else if (packed.length > 0 && (first < reach.from || last >= reach.to)) {
    const message = `its events are of ${shownTimes(first, last)}, its manifest is of ${formatSpan(reach)}`;
    findings.push(wrong("OBJECT_TIMES", key, seq, message));
  }
  return { findings, ids: Buffer.concat(packed), late };
}

/** An object of items that could not be exported: there, untouched, each line with a reason and the item's bytes. */
export async function judgeQuarantine(
  { seq }: Manifest,
  object: QuarantineObject,
  stored: Buffer | undefined,
): Promise<FileVerdict> {
  const { key } = object;
  const altered = (message: string): FileVerdict => only(wrong("QUARANTINE_ALTERED", key, seq, message));
  if (stored === undefined) return only(wrong("QUARANTINE_MISSING", key, seq, "it is not there"));
  const fault = storedFault(object, stored);
  if (fault !== undefined) return altered(fault.message);
  const unpacked = await unpack(stored, QUARANTINE_MAX_BYTES);
  if (unpacked === undefined) return altered("it is no gzip stream");
  if (unpacked.trailingBytes > 0) return altered(trailing(key, seq, unpacked.trailingBytes).message);
  if (contentNameOf(key) !== sha256Of(unpacked.content).slice(0, 8)) return altered("its name is of other lines");
  const packed: Buffer[] = [];
  for (const line of splitLines(unpacked.content)) {
    const item = quarantinedItem(line);
    if (item === undefined) return altered(`line ${packed.length + 1} is no item with a reason`);
    packed.push(packId(item.id ?? item.record));
  }
  if (packed.length !== object.lines) {
    return altered(`it has ${packed.length} lines, its manifest says ${object.lines}`);
  }
  return { findings: [], ids: Buffer.concat(packed), late: 0 };
}

/** A data object of a stream whose sink has none: it had another sink once, and only that one's place holds it. */
export function objectOutOfReach({ seq }: Manifest, { key }: StoredObject): FileVerdict {
  const message = "the stream's sink keeps no objects, and cannot be asked: verify with the sink that wrote it";
  return only(wrong("OBJECT_MISSING", key, seq, message));
}

/** An ids file by itself: there, untouched, sorted. Whether it is of the right ids, the window's tally says. */
export function judgeIds({ seq }: Manifest, { key, sha256 }: IdsFile, stored: Buffer | undefined): FileVerdict {
  if (stored === undefined) return only(wrong("IDS_MISSING", key, seq, "it is not there"));
  if (sha256Of(stored) !== sha256) {
    return only(wrong("IDS_ALTERED", key, seq, "it is not the file that its manifest names"));
  }
  const ids = idSet();
  ids.addPacked(stored);
  if (!ids.sorted().equals(stored)) return only(wrong("IDS_ALTERED", key, seq, "it is no sorted list of ids"));
  return { findings: [], ids: stored, late: 0 };
}

/** Whether a manifest names its files as it must: other names are not looked for, they could lead anywhere. */
export function judgeNames(manifest: Manifest, folder: EpochMs | undefined): ArchiveFinding[] {
  const { seq, window, objects, quarantine, ids } = manifest;
  const place = folder === undefined ? /^data\/dt=[\d-]{10}\/hour=\d\d\// : `${folderOf({ from: folder })}/`;
  const rest = new RegExp(
    `^${seq12(seq)}-\\d{4,}_${compactInstant(window.from)}_${compactInstant(window.to)}_[0-9a-f]{8}${OBJECT_END}`,
  );
  const isObject = (key: string) => {
    const start = typeof place === "string" ? (key.startsWith(place) ? place : undefined) : place.exec(key)?.[0];
    return start !== undefined && rest.test(key.slice(start.length));
  };
  const isNamed = (key: string, kind: string, end: string) =>
    new RegExp(`^${kind}/${seq12(seq)}-[0-9a-f]{8}\\.${end}$`).test(key);
  const message = "its manifest names it where no file of that window can be";
  return [
    ...objects.filter(({ key }) => !isObject(key)).map(({ key }) => wrong("OBJECT_MISSING", key, seq, message)),
    ...quarantine
      .filter(({ key }) => !isNamed(key, "quarantine", "ndjson\\.gz"))
      .map(({ key }) => wrong("QUARANTINE_MISSING", key, seq, message)),
    ...(ids === null || isNamed(ids.key, "ids", "bin") ? [] : [wrong("IDS_MISSING", ids.key, seq, message)]),
  ];
}

/** How the stored bytes differ from what is named, if they do. */
function storedFault(
  { bytes, sha256 }: Pick<StoredObject, "bytes" | "sha256">,
  stored: Buffer,
): { readonly code: "OBJECT_ALTERED" | "OBJECT_TRAILING_BYTES"; readonly message: string } | undefined {
  if (stored.length === bytes && sha256Of(stored) === sha256) return undefined;
  if (stored.length > bytes && sha256Of(stored.subarray(0, bytes)) === sha256) {
    return trailing("", undefined, stored.length - bytes);
  }
  const size = stored.length === bytes ? "" : `: ${stored.length} bytes, not ${bytes}`;
  return { code: "OBJECT_ALTERED", message: `its bytes are not those that its manifest names${size}` };
}

async function isRepacked({ contentBytes, contentSha256 }: StoredObject, stored: Buffer): Promise<boolean> {
  const unpacked = await unpack(stored, contentBytes);
  return unpacked?.trailingBytes === 0 && sha256Of(unpacked.content) === contentSha256;
}

function trailing(key: string, seq: number | undefined, bytes: number) {
  const message = `${bytes} bytes lie behind the end of its gzip stream, which some readers would read`;
  return { level: "error", code: "OBJECT_TRAILING_BYTES", key, seq, message } as const;
}

function only(finding: ArchiveFinding): FileVerdict {
  return { findings: [finding], ids: undefined, late: 0 };
}

function shownTimes(first: number, last: number): string {
  return `${formatInstant(first as EpochMs)} … ${formatInstant(last as EpochMs)}`;
}
