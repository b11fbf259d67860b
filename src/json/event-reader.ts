import { createHash } from "node:crypto";
import { isUtf8 } from "node:buffer";
import { isPoison, type AuditEvent, type EventMembers, type Page, type Poison } from "../source.ts";
import { instantFrom, type EpochMs } from "../time.ts";
import { joiner, type Join } from "./join.ts";
import { stringOf, textAt, valueAt } from "./members.ts";
import { isObject, parsedJson } from "./parse.ts";
import { recordReader, type RecordReader, type WantedMember } from "./record.ts";
import { scanAnswer } from "./scan.ts";
import { compact } from "./tokens.ts";

/* The one place that makes events out of JSON. */

/** What is special about the records in one API's answers. */
export interface PageLayout {
  /** The array of records, as a dotted path; `""`: the answer itself is that array. */
  readonly items: string;
  /** Says of an event, by its kind and its texts at dotted paths, that it is not exported. */
  readonly leaveOut?: ((kind: string, text: (path: string) => string | undefined) => boolean) | undefined;
  readonly join?: Join | undefined;
}

/** One answer, read. */
export interface PageAnswer {
  readonly page: Page;
  /** The answer's JSON without its records. */
  readonly envelope: string;
  /** How many records it had. */
  readonly count: number;
}

/**
 * Reads one record, as a source sends it or as a line of the `raw` format holds it. It needs nothing but the names of the
 * members, so it also reads the archive of a source that is not known here. A record without an id, a time or valid JSON is
 * poison. A record of an unknown kind, or of none, is an event.
 */
export function eventReader(members: EventMembers): (record: Buffer) => AuditEvent | Poison {
  const plain = plainReader(members);
  return (record) => {
    if (plain?.reader.end(record, 0) !== record.length) return parsedItem(record, members);
    return plain.event(record, plain.reader.values(record)) ?? parsedItem(record, members);
  };
}

/**
 * Reads answers of an API.
 * @returns a reader of one answer: `what` begins the message of an error, `inspect` sees the answer's envelope first. It throws a
 * ProtocolError when the answer is not JSON or has no records where they should be
 */
export function pageReader(members: EventMembers, { items: path, leaveOut, join }: PageLayout) {
  const plain = plainReader(members);
  const lists = Object.keys(join?.lists ?? {});

  return (body: Buffer, what: string, inspect?: (envelope: string) => void): PageAnswer => {
    const scanned = scanAnswer(body, { items: path, lists, inspect }, what, plain?.reader);
    const { items, values, envelope } = scanned;
    const joined = join && joiner(join, scanned.lists);
    const events: AuditEvent[] = [];
    const poison: Poison[] = [];
    let index = 0;
    for (const record of items) {
      const item = plain?.event(record, values[index++]) ?? parsedItem(record, members);
      if (isPoison(item)) poison.push(item);
      else if (leaveOut?.(item.key, (at) => textAt(record, at)) !== true)
        events.push(joined ? withRows(item, joined) : item);
    }
    return { page: { events, poison }, envelope, count: items.length };
  };

  function withRows(event: AuditEvent, joined: (record: Buffer) => Buffer): AuditEvent {
    const record = joined(event.record);
    // An id made of the content is that of the line which is exported.
    const read = members.idElse === undefined ? undefined : parsedItem(record, members);
    return read === undefined || isPoison(read) ? { ...event, record } : read;
  }
}

interface PlainReader {
  readonly reader: RecordReader;
  /** The event that a plain record holds; undefined where only the parser can tell. */
  event(record: Buffer, values: readonly string[] | undefined): AuditEvent | undefined;
}

/** Reads without parsing; undefined where members of one list have several formats. */
function plainReader({ id, idElse, time, kind }: EventMembers): PlainReader | undefined {
  const format = time[0]?.format ?? "iso";
  const isUniform = time.every((one) => one.format === format) && id.every((one) => one.format === id[0]?.format);
  if (!isUniform) return undefined;
  const isInteger = id[0]?.format === "integer";
  const wanted = (type: WantedMember["type"], paths: readonly string[]) => paths.map((path) => ({ path, type }));
  const lists = [
    wanted(
      format === "iso" ? "string" : "number",
      time.map(({ path }) => path),
    ),
    wanted("string", kind),
    wanted(
      isInteger ? "number" : "string",
      id.map(({ path }) => path),
    ),
  ];
  const hasId = id.length > 0;
  return {
    reader: recordReader(hasId ? lists : lists.slice(0, 2)),
    event(record, values) {
      if (values === undefined) return undefined;
      const instant = instantFrom(values[0] ?? "", format);
      if (instant === undefined || !isUtf8(record)) return undefined;
      const found = hasId ? idOf(values[2] ?? "", isInteger) : idElse && contentId(record);
      return found === undefined ? undefined : { id: found, time: instant, key: values[1] ?? "", record };
    },
  };
}

function parsedItem(record: Buffer, members: EventMembers): AuditEvent | Poison {
  const value = parsedJson(record);
  if (value === undefined) return { reason: isUtf8(record) ? "not JSON" : "not UTF-8", record };
  if (!isObject(value)) return { reason: "not an object", record };
  const json = compact(record);
  const id = idIn(json, record, members);
  const time = timeIn(json, members);
  const poison = (reason: string): Poison => ({ reason, record, id, time });
  if (!isUtf8(record)) return poison("not UTF-8");
  if (id === undefined) return poison(`no ${members.id.map(({ path }) => path).join(" or ")}`);
  if (time === undefined) return poison(`${members.time.map(({ path }) => path).join(" or ")} is not an instant`);
  const kind = first(
    json,
    members.kind.map((path) => ({ path })),
  )?.value;
  return { id, time, key: (kind === undefined ? undefined : stringOf(kind)) ?? "", record };
}

function idIn(json: Buffer, record: Buffer, { id, idElse }: EventMembers): string | undefined {
  const found = first(json, id);
  if (found === undefined) return idElse && contentId(record);
  const isInteger = found.format === "integer";
  return idOf(isInteger ? found.value : (stringOf(found.value) ?? ""), isInteger);
}

function idOf(sent: string, isInteger: boolean): string | undefined {
  if (isInteger) return /^-?\d+$/.test(sent) ? sent : undefined;
  // A character that was not UTF-8 reads as U+FFFD: such an id is not the one that was sent.
  return sent === "" || sent.includes("\ufffd") ? undefined : sent;
}

const contentId = (record: Buffer): string => createHash("sha256").update(record).digest("hex");

function timeIn(json: Buffer, { time }: EventMembers): EpochMs | undefined {
  const found = first(json, time);
  if (found === undefined) return undefined;
  const text = stringOf(found.value);
  // A number is no instant of ISO 8601, whatever its digits; an epoch may be sent as text.
  return found.format === "iso" && text === undefined ? undefined : instantFrom(text ?? found.value, found.format);
}

/** Of the first of these members that the record has, the value as JSON text. Null counts as not there. */
function first<Member extends { readonly path: string }>(
  json: Buffer,
  members: readonly Member[],
): (Member & { readonly value: string }) | undefined {
  for (const member of members) {
    const value = valueAt(json, member.path);
    if (value !== undefined && value !== "null") return { ...member, value };
  }
  return undefined;
}
