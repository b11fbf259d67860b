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

/* The only place where JSON becomes events. */

/** The layout of one API's answers. */
export interface PageLayout {
  /** The dotted path of the array of records; `""`: the answer itself is that array. */
  readonly items: string;
  /** Whether an event is not exported, by its kind and its texts at dotted paths. */
  readonly leaveOut?: ((kind: string, text: (path: string) => string | undefined) => boolean) | undefined;
  readonly join?: Join | undefined;
}

/** A parsed answer. */
export interface PageAnswer {
  readonly page: Page;
  /** The answer's JSON without its records. */
  readonly envelope: string;
  /** The number of records. */
  readonly count: number;
}

/**
 * Reads one record, as a source sends it or as it is in a line of the `raw` format. It needs only the names of the members, so
 * it also reads the archive of a source that this version does not know. A record without an id, a time or valid JSON is
 * poison. A record of an unknown kind, or without a kind, is an event.
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
 * @returns a reader of one answer. `what` is the start of error messages. `inspect` is called with the envelope first, and may
 * throw. The reader throws a ProtocolError when the answer is not JSON, or has no array of records at the path
 */
export function pageReader(members: EventMembers, { items: path, leaveOut, join }: PageLayout) {
  const plain = plainReader(members);
  // A record that came with white space between its tokens may be plain without it.
  const read = eventReader(members);
  const lists = Object.keys(join?.lists ?? {});

  return (body: Buffer, what: string, inspect?: (envelope: string) => void): PageAnswer => {
    const scanned = scanAnswer(body, { items: path, lists, inspect }, what, plain?.reader);
    const { items, values, envelope } = scanned;
    const joined = join && joiner(join, scanned.lists);
    const events: AuditEvent[] = [];
    const poison: Poison[] = [];
    let index = 0;
    for (const record of items) {
      const item = plain?.event(record, values[index++]) ?? read(record);
      if (isPoison(item)) poison.push(item);
      else if (leaveOut?.(item.key, (at) => textAt(record, at)) !== true)
        events.push(joined ? withRows(item, joined) : item);
    }
    return { page: { events, poison }, envelope, count: items.length };
  };

  function withRows(event: AuditEvent, joined: (record: Buffer) => Buffer): AuditEvent {
    const record = joined(event.record);
    // The hash of the content is the hash of the exported line.
    const read = members.idElse === undefined ? undefined : parsedItem(record, members);
    return read === undefined || isPoison(read) ? { ...event, record } : read;
  }
}

interface PlainReader {
  readonly reader: RecordReader;
  /** The event in a plain record; undefined when the record needs the parser. */
  event(record: Buffer, values: readonly string[] | undefined): AuditEvent | undefined;
}

/** Reads without parsing; undefined if the members of one list have different formats. */
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
  // Bytes that are not UTF-8 are decoded as U+FFFD: the id would differ from the one that was sent.
  return sent === "" || sent.includes("\ufffd") ? undefined : sent;
}

const contentId = (record: Buffer): string => createHash("sha256").update(record).digest("hex");

function timeIn(json: Buffer, { time }: EventMembers): EpochMs | undefined {
  const found = first(json, time);
  if (found === undefined) return undefined;
  const text = stringOf(found.value);
  // A JSON number is never an ISO 8601 instant, but an epoch may be sent as a string.
  return found.format === "iso" && text === undefined ? undefined : instantFrom(text ?? found.value, found.format);
}

/** The first of these members that the record has, with its value as JSON text. Null counts as missing. */
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
