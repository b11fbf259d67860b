import { parsedJson } from "./parse.ts";

/** Cuts JSON that is known to be valid, and without white space between its tokens, as a record is: nothing is parsed into numbers. */

const [QUOTE = 0, COMMA = 0, BRACE = 0, BRACE_END = 0, BRACKET = 0, BRACKET_END = 0] = Buffer.from('",{}[]');

/** A member of an object. */
export interface Member {
  readonly key: string;
  /** JSON, as it stands there. */
  readonly value: string;
  /** Key and value, as they stand there: `"key":value`. */
  readonly text: string;
}

/** The text of each element of an array, of each member of an object. Undefined for what is neither. */
export function partsOf(json: string): string[] | undefined {
  const parts: string[] = [];
  let depth = 0;
  let from = 1;
  for (let at = 0; at < json.length; at++) {
    switch (json.charCodeAt(at)) {
      case QUOTE:
        at = stringEnd(json, at);
        break;
      case BRACE:
      case BRACKET:
        depth++;
        break;
      case BRACE_END:
      case BRACKET_END:
        if (--depth > 0) break;
        if (depth < 0 || at !== json.length - 1) return undefined;
        if (at > from) parts.push(json.slice(from, at));
        return parts;
      case COMMA:
        if (depth !== 1) break;
        parts.push(json.slice(from, at));
        from = at + 1;
    }
  }
  return undefined;
}

/** The members of an object, in their order, doubled ones too. Undefined for what is none. */
export function membersOf(json: string): Member[] | undefined {
  const parts = json.startsWith("{") ? partsOf(json) : undefined;
  const members = parts?.map((text): Member | undefined => {
    const end = stringEnd(text, 0) + 1;
    const key = stringOf(text.slice(0, end));
    return key === undefined || text[end] !== ":" ? undefined : { key, value: text.slice(end + 1), text };
  });
  return members?.every((member) => member !== undefined) === true ? members : undefined;
}

/** The value at a dotted path (`EventMembers` says how one is written), as JSON text; undefined where there is none. */
export function valueAt(json: string, path: string): string | undefined {
  let value: string | undefined = json;
  for (const name of namesIn(path)) {
    if (value === undefined) return undefined;
    value = value.startsWith("[")
      ? /^\d+$/.test(name)
        ? partsOf(value)?.[Number(name)]
        : undefined
      : membersOf(value)?.findLast(({ key }) => key === name)?.value;
  }
  return value;
}

/** The names that make up a dotted path. */
export function namesIn(path: string): string[] {
  return path.split(/(?<!\\)\./).map((name) => name.replaceAll("\\.", "."));
}

/** What a JSON string says; undefined for what is none. */
export function stringOf(json: string): string | undefined {
  if (json.length < 2 || !json.startsWith('"') || !json.endsWith('"')) return undefined;
  if (!json.includes("\\")) return json.slice(1, -1);
  const value = parsedJson(json);
  return typeof value === "string" ? value : undefined;
}

/** Where the string that opens at `from` closes; the end of the text where it does not. */
function stringEnd(json: string, from: number): number {
  for (let end = json.indexOf('"', from + 1); end >= 0; end = json.indexOf('"', end + 1)) {
    let slashes = 0;
    while (json[end - 1 - slashes] === "\\") slashes++;
    if (slashes % 2 === 0) return end;
  }
  return json.length;
}

/** A record, cut into the members that have a meaning of their own and all others. */
export interface CutRecord {
  /** What a named member says. A string is taken, null is nothing; any other value stands in `rest`. */
  readonly text: (name: string) => string | undefined;
  readonly rest: readonly Member[];
}

/**
 * Cuts a record. Of a doubled member the last counts, as it does for a parser; the others stand in `rest`. So does a time
 * that is finer than the millisecond which an event keeps of it.
 */
export function cutRecord(record: Buffer, names: ReadonlySet<string>): CutRecord {
  const json = record.toString();
  const rest: Member[] = [];
  const taken = new Map<string, { readonly member: Member; readonly text: string | undefined }>();
  // A record that no source would give is kept too, as one member.
  for (const member of membersOf(json) ?? [whole(json)]) {
    const { key, value } = member;
    const text = names.has(key) ? stringOf(value) : undefined;
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

/** Members as an object, compact, each as it stands in the record; undefined where there is none. */
export function detailsOf(members: readonly Member[]): string | undefined {
  return members.length === 0 ? undefined : `{${members.map(({ text }) => text).join(",")}}`;
}
