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

/** Reads the event in one line of an object. */
export type ReadLine = (line: Buffer) => AuditEvent | Poison;

/** The result for one file of a window. */
export interface FileVerdict {
  readonly findings: readonly ArchiveFinding[];
  /** The packed ids of its events or items, in its order; undefined when they cannot be read. */
  readonly ids: Buffer | undefined;
  /** Events older than the window. */
  readonly late: number;
}

/** A quarantine object does not say how large it is unpacked. Batches of siem-export are far smaller. */
const QUARANTINE_MAX_BYTES = 1024 ** 3;

/** Compares a data object with its manifest: it is there and intact, with nothing after it, and has the lines and times named. */
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
    const message = isSame ? `${fault.message}; the lines are the same, compressed again` : fault.message;
    return only(wrong(fault.code, key, seq, message));
  }
  const unpacked = await unpack(stored, object.contentBytes);
  if (unpacked === undefined) {
    return only(wrong("OBJECT_ALTERED", key, seq, `it is not a gzip stream of ${object.contentBytes} bytes`));
  }
  if (unpacked.trailingBytes > 0) return only(trailing(key, seq, unpacked.trailingBytes));
  const { content } = unpacked;
  const contentSha256 = sha256Of(content);
  if (content.length !== object.contentBytes || contentSha256 !== object.contentSha256) {
    return only(wrong("OBJECT_ALTERED", key, seq, "its lines are not those in its manifest"));
  }
  if (contentNameOf(key) !== contentSha256.slice(0, 8)) {
    return only(
      wrong("OBJECT_ALTERED", key, seq, `its name does not fit its lines, which are ${contentSha256.slice(0, 8)}`),
    );
  }
  return judgeLines(manifest, object, content, read);
}

/** Whether each line is an event, and their number and times are those in the manifest. */
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
      return only(wrong("OBJECT_ALTERED", key, seq, `line ${packed.length + 1} is not an event (${reason})`));
    }
    packed.push(packId(id));
    first = Math.min(first, time);
    last = Math.max(last, time);
    if (time < window.from) late++;
  }
  const findings: ArchiveFinding[] = [];
  if (content.at(-1) !== NEWLINE) findings.push(wrong("OBJECT_ALTERED", key, seq, "its last line has no newline"));
  if (packed.length !== object.lines) {
    findings.push(wrong("COUNT_WRONG", key, seq, `it has ${packed.length} lines, its manifest says ${object.lines}`));
  }
  const reach = reachOf(manifest);
  if (packed.length > 0 && (first !== object.first || last !== object.last)) {
    const message = `its events are from ${shownTimes(first, last)}, its manifest says ${shownTimes(object.first, object.last)}`;
    findings.push(wrong("OBJECT_TIMES", key, seq, message));
  } else if (packed.length > 0 && (first < reach.from || last >= reach.to)) {
    const message = `its events are from ${shownTimes(first, last)}, its manifest covers ${formatSpan(reach)}`;
    findings.push(wrong("OBJECT_TIMES", key, seq, message));
  }
  return { findings, ids: Buffer.concat(packed), late };
}

/** Compares a quarantine object with its manifest: it is there and intact, and each line has a reason and the item's bytes. */
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
  if (unpacked === undefined) return altered("it is not a gzip stream");
  if (unpacked.trailingBytes > 0) return altered(trailing(key, seq, unpacked.trailingBytes).message);
  if (contentNameOf(key) !== sha256Of(unpacked.content).slice(0, 8)) return altered("its name does not fit its lines");
  const packed: Buffer[] = [];
  for (const line of splitLines(unpacked.content)) {
    const item = quarantinedItem(line);
    if (item === undefined) return altered(`line ${packed.length + 1} is not an item with a reason`);
    packed.push(packId(item.id ?? item.record));
  }
  if (packed.length !== object.lines) {
    return altered(`it has ${packed.length} lines, its manifest says ${object.lines}`);
  }
  return { findings: [], ids: Buffer.concat(packed), late: 0 };
}

/** A data object of a stream whose sink keeps none: an earlier sink of the stream wrote it, and only its place has it. */
export function objectOutOfReach({ seq }: Manifest, { key }: StoredObject): FileVerdict {
  const message = "the stream's sink keeps no objects, so it cannot be read: verify with the sink that wrote it";
  return only(wrong("OBJECT_MISSING", key, seq, message));
}

/** Whether an ids file is there, intact and sorted. Whether it has the right ids, the cross-check says. */
export function judgeIds({ seq }: Manifest, { key, sha256 }: IdsFile, stored: Buffer | undefined): FileVerdict {
  if (stored === undefined) return only(wrong("IDS_MISSING", key, seq, "it is not there"));
  if (sha256Of(stored) !== sha256) {
    return only(wrong("IDS_ALTERED", key, seq, "it is not the file in its manifest"));
  }
  const ids = idSet();
  ids.addPacked(stored);
  if (!ids.sorted().equals(stored)) return only(wrong("IDS_ALTERED", key, seq, "it is not a sorted list of ids"));
  return { findings: [], ids: stored, late: 0 };
}

/** Files whose names are not names of the manifest's window. They are not read: a forged manifest could name files anywhere. */
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
  const message = "its manifest names it, but a file of that window cannot have this name";
  return [
    ...objects.filter(({ key }) => !isObject(key)).map(({ key }) => wrong("OBJECT_MISSING", key, seq, message)),
    ...quarantine
      .filter(({ key }) => !isNamed(key, "quarantine", "ndjson\\.gz"))
      .map(({ key }) => wrong("QUARANTINE_MISSING", key, seq, message)),
    ...(ids === null || isNamed(ids.key, "ids", "bin") ? [] : [wrong("IDS_MISSING", ids.key, seq, message)]),
  ];
}

/** How the stored bytes differ from those in the manifest, if they do. */
function storedFault(
  { bytes, sha256 }: Pick<StoredObject, "bytes" | "sha256">,
  stored: Buffer,
): { readonly code: "OBJECT_ALTERED" | "OBJECT_TRAILING_BYTES"; readonly message: string } | undefined {
  if (stored.length === bytes && sha256Of(stored) === sha256) return undefined;
  if (stored.length > bytes && sha256Of(stored.subarray(0, bytes)) === sha256) {
    return trailing("", undefined, stored.length - bytes);
  }
  const size = stored.length === bytes ? "" : `: ${stored.length} bytes, not ${bytes}`;
  return { code: "OBJECT_ALTERED", message: `its bytes are not those in its manifest${size}` };
}

async function isRepacked({ contentBytes, contentSha256 }: StoredObject, stored: Buffer): Promise<boolean> {
  const unpacked = await unpack(stored, contentBytes);
  return unpacked?.trailingBytes === 0 && sha256Of(unpacked.content) === contentSha256;
}

function trailing(key: string, seq: number | undefined, bytes: number) {
  const message = `${bytes} bytes follow its gzip stream, which some readers would read`;
  return { level: "error", code: "OBJECT_TRAILING_BYTES", key, seq, message } as const;
}

function only(finding: ArchiveFinding): FileVerdict {
  return { findings: [finding], ids: undefined, late: 0 };
}

function shownTimes(first: number, last: number): string {
  return `${formatInstant(first as EpochMs)} … ${formatInstant(last as EpochMs)}`;
}
