import { parsedJson } from "./parse.ts";
import {
  BRACE,
  BRACE_END,
  BRACKET,
  BRACKET_END,
  COLON,
  COMMA,
  DEPTH_MAX,
  plainStringEnd,
  QUOTE,
  stringEnd,
  valueEnd,
} from "./tokens.ts";

/* Cuts JSON that is known to be valid and compact, as records are. Numbers are not parsed, so they keep their digits. */

/** A member of an object. */
export interface Member {
  readonly key: string;
  /** The value's JSON as sent. */
  readonly value: string;
  /** Key and value as sent: `"key":value`. */
  readonly text: string;
}

/**
 * The depth at which the values of members are scanned. A scanned value has up to `DEPTH_MAX` levels, and an envelope or a record
 * with joined rows adds a few more.
 */
const DEPTH = -DEPTH_MAX;

/** The JSON of each element of an array, or of each member of an object. Undefined for other values. */
export function partsOf(json: string | Buffer): string[] | undefined {
  const bytes = Buffer.isBuffer(json) ? json : Buffer.from(json);
  const slice = slicer(bytes);
  return cut(bytes)?.map(({ from, to }) => slice(from, to));
}

/** The members of an object in order, including repeated ones. Undefined for other values. */
export function membersOf(json: string | Buffer): Member[] | undefined {
  const bytes = Buffer.isBuffer(json) ? json : Buffer.from(json);
  if (bytes[0] !== BRACE) return undefined;
  const slice = slicer(bytes);
  return cut(bytes)?.map(({ from, valueFrom, to }) => ({
    key: stringOf(slice(from, valueFrom - 1)) ?? "",
    value: slice(valueFrom, to),
    text: slice(from, to),
  }));
}

/** The text between two bytes. If all is ASCII, which is usual, nothing is decoded twice. */
function slicer(bytes: Buffer): (from: number, to: number) => string {
  const text = bytes.toString();
  return text.length === bytes.length
    ? (from, to) => text.slice(from, to)
    : (from, to) => bytes.toString("utf8", from, to);
}

/** A member or an element: `valueFrom` is after a member's colon, and equal to `from` for an element. */
interface Cut {
  readonly from: number;
  readonly valueFrom: number;
  readonly to: number;
}

function cut(json: Buffer): Cut[] | undefined {
  const isObject = json[0] === BRACE;
  if (!isObject && json[0] !== BRACKET) return undefined;
  const close = isObject ? BRACE_END : BRACKET_END;
  const cuts: Cut[] = [];
  if (json.length === 2 && json[1] === close) return cuts;
  for (let from = 1; ;) {
    let valueFrom = from;
    if (isObject) {
      const colon = json[from] === QUOTE ? stringEnd(json, from + 1) : -1;
      if (colon < 0 || json[colon] !== COLON) return undefined;
      valueFrom = colon + 1;
    }
    const to = valueEnd(json, valueFrom, DEPTH);
    if (to < 0) return undefined;
    cuts.push({ from, valueFrom, to });
    from = to + 1;
    if (json[to] === close) return from === json.length ? cuts : undefined;
    if (json[to] !== COMMA) return undefined;
  }
}

/** The value at a dotted path (see `EventMembers`), as JSON text; undefined if there is none. */
export function valueAt(json: string | Buffer, path: string): string | undefined {
  let value: Buffer | undefined = typeof json === "string" ? Buffer.from(json) : json;
  for (const name of namesIn(path)) value = value && partAt(value, name);
  return value?.toString();
}

/** The value of a member, or an element of an array by its number. It decodes nothing: each record without a kind passes here. */
function partAt(json: Buffer, name: string): Buffer | undefined {
  const wanted = Buffer.from(name);
  const isNamed = ({ from, valueFrom }: Cut): boolean => {
    const [start, end] = [from + 1, valueFrom - 2];
    if (plainStringEnd(json, start) < 0) return stringOf(json.toString("utf8", from, valueFrom - 1)) === name;
    return end - start === wanted.length && json.compare(wanted, 0, wanted.length, start, end) === 0;
  };
  const cuts = cut(json);
  const found = json[0] === BRACE ? cuts?.findLast(isNamed) : cuts?.[/^\d+$/.test(name) ? Number(name) : -1];
  return found && json.subarray(found.valueFrom, found.to);
}

/** The names in a dotted path. */
export function namesIn(path: string): string[] {
  if (!path.includes(".")) return [path];
  return path.split(/(?<!\\)\./).map((name) => name.replaceAll("\\.", "."));
}

/** The text at a dotted path: the value of a string, or the digits of a number. */
export function textAt(json: string | Buffer, path: string): string | undefined {
  const value = valueAt(json, path);
  return value === undefined || /^-?\d/.test(value) ? value : stringOf(value);
}

/** The value of a JSON string; undefined for other JSON. */
export function stringOf(json: string): string | undefined {
  if (json.length < 2 || !json.startsWith('"') || !json.endsWith('"')) return undefined;
  if (!json.includes("\\")) return json.slice(1, -1);
  const value = parsedJson(json);
  return typeof value === "string" ? value : undefined;
}

/** A record, cut into its named members and all others. */
export interface CutRecord {
  /** The text of a named member, if it is a string (or an integer, with `takesIntegers`). Null has none; other values are in `rest`. */
  readonly text: (name: string) => string | undefined;
  readonly rest: readonly Member[];
}

/**
 * Cuts a record. Of a repeated member the last one counts, as in a parser; the others are in `rest`. So is a time with finer
 * fractions than milliseconds, because an event's time is truncated to them.
 * @param takesIntegers whether integers are texts too, by their digits
 */
export function cutRecord(record: Buffer, names: ReadonlySet<string>, takesIntegers = false): CutRecord {
  const rest: Member[] = [];
  const taken = new Map<string, { readonly member: Member; readonly text: string | undefined }>();
  // A record that no source sends is kept too, as one member.
  for (const member of membersOf(record) ?? [whole(record.toString())]) {
    const { key, value } = member;
    const isDigits = takesIntegers && /^-?\d+$/.test(value);
    const text = names.has(key) ? (isDigits ? value : stringOf(value)) : undefined;
    if (!names.has(key) || (text === undefined && value !== "null") || FINE_TIME.test(value)) {
      rest.push(member);
      continue;
    }
    const earlier = taken.get(key);
    if (earlier !== undefined) rest.push(earlier.member);
    taken.set(key, { member, text });
  }
  return { text: (name) => taken.get(name)?.text, rest };
}

const FINE_TIME = /^"\d{4}-\d\d-\d\d.\d\d:\d\d:\d\d\.\d{4,}/;

function whole(json: string): Member {
  const value = JSON.stringify(json);
  return { key: "record", value, text: `"record":${value}` };
}

/** Members as one compact object, each as in the record; undefined if there are none. */
export function detailsOf(members: readonly Member[]): string | undefined {
  return members.length === 0 ? undefined : `{${members.map(({ text }) => text).join(",")}}`;
}
