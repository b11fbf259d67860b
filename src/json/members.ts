import { parsedJson } from "./parse.ts";
import {
  BRACE,
  BRACE_END,
  BRACKET,
  BRACKET_END,
  COLON,
  COMMA,
  DEPTH_MAX,
  QUOTE,
  stringEnd,
  valueEnd,
} from "./tokens.ts";

/* Cuts JSON that is known to be valid and compact, as a record is: nothing is parsed into numbers. */

/** A member of an object. */
export interface Member {
  readonly key: string;
  /** JSON, as it was sent. */
  readonly value: string;
  /** Key and value, as they were sent: `"key":value`. */
  readonly text: string;
}

/**
 * The depth that a member's value is said to have. Each value that was scanned has up to `DEPTH_MAX` levels, and what holds it
 * has a few more: an envelope, or a record with rows joined to it.
 */
const DEPTH = -DEPTH_MAX;

/** The text of each element of an array, or of each member of an object. Undefined for anything else. */
export function partsOf(json: string | Buffer): string[] | undefined {
  const bytes = Buffer.isBuffer(json) ? json : Buffer.from(json);
  const slice = slicer(bytes);
  return cut(bytes)?.map(({ from, to }) => slice(from, to));
}

/** The members of an object, in their order, including repeated ones. Undefined for anything else. */
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

/** The text between two bytes. Where all is ASCII, which is usual, nothing is decoded twice. */
function slicer(bytes: Buffer): (from: number, to: number) => string {
  const text = bytes.toString();
  return text.length === bytes.length
    ? (from, to) => text.slice(from, to)
    : (from, to) => bytes.toString("utf8", from, to);
}

/** A part of an object or an array: `valueFrom` is behind a member's colon, and the same as `from` for an element. */
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

/** The value at a dotted path (`EventMembers` says how one is written), as JSON text; undefined where there is none. */
export function valueAt(json: string | Buffer, path: string): string | undefined {
  let value: string | undefined = json.toString();
  for (const name of namesIn(path)) {
    if (value === undefined) return undefined;
    const isElement: boolean = value.startsWith("[") && /^\d+$/.test(name);
    value = isElement ? partsOf(value)?.[Number(name)] : membersOf(value)?.findLast(({ key }) => key === name)?.value;
  }
  return value;
}

/** The names that make up a dotted path. */
export function namesIn(path: string): string[] {
  return path.split(/(?<!\\)\./).map((name) => name.replaceAll("\\.", "."));
}

/** The text at a dotted path: what a string says, or the digits of a number. */
export function textAt(json: string | Buffer, path: string): string | undefined {
  const value = valueAt(json, path);
  return value === undefined || /^-?\d/.test(value) ? value : stringOf(value);
}

/** What a JSON string says; undefined for anything else. */
export function stringOf(json: string): string | undefined {
  if (json.length < 2 || !json.startsWith('"') || !json.endsWith('"')) return undefined;
  if (!json.includes("\\")) return json.slice(1, -1);
  const value = parsedJson(json);
  return typeof value === "string" ? value : undefined;
}

/** A record, cut into the members that have a meaning of their own and all others. */
export interface CutRecord {
  /** What a named member says. A string is taken, null is nothing; any other value is in `rest`, integers as the caller says. */
  readonly text: (name: string) => string | undefined;
  readonly rest: readonly Member[];
}

/**
 * Cuts a record. Of a repeated member the last counts, as it does for a parser; the others are in `rest`. So is a time
 * that is finer than the millisecond which an event keeps of it.
 * @param takesIntegers whether an integer is taken too, by its digits
 */
export function cutRecord(record: Buffer, names: ReadonlySet<string>, takesIntegers = false): CutRecord {
  const rest: Member[] = [];
  const taken = new Map<string, { readonly member: Member; readonly text: string | undefined }>();
  // A record that no source would give is kept too, as one member.
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

/** Members as an object, compact, each as it is in the record; undefined where there is none. */
export function detailsOf(members: readonly Member[]): string | undefined {
  return members.length === 0 ? undefined : `{${members.map(({ text }) => text).join(",")}}`;
}
