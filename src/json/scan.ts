import { isUtf8 } from "node:buffer";
import { ProtocolError } from "../errors.ts";
import { parsedJson } from "./parse.ts";
import type { RecordReader } from "./record.ts";
import {
  BRACE,
  BRACE_END,
  BRACKET,
  BRACKET_END,
  COLON,
  COMMA,
  compact,
  DEPTH_MAX,
  isSpace,
  looseEnd,
  looseStringEnd,
  QUOTE,
} from "./tokens.ts";

/** How much of an answer that is not JSON an error message shows. */
const SHOWN_CHARS = 40;

/** The arrays to cut out of an answer. Paths are dotted. */
export interface Layout {
  /** The required array; `""`: the answer itself is that array. */
  readonly items?: string | undefined;
  /** Optional arrays. Other values at these paths stay in the envelope. */
  readonly lists?: readonly string[] | undefined;
  /** Called with the envelope before a missing array becomes an error, because the answer may be a refusal. */
  readonly inspect?: ((envelope: string) => void) | undefined;
}

/** An API answer, cut into the items of its arrays and the rest. */
export interface ScannedAnswer {
  /** The answer's text with these arrays empty, `…"data":[]…`: valid JSON. */
  readonly envelope: string;
  /**
   * Each item's bytes as received, without the white space between tokens: one item is one line. Only the brackets and quotes
   * of an item are checked.
   */
  readonly items: readonly Buffer[];
  /** With a record reader: what it found in each item; undefined for items that are not plain. */
  readonly values: readonly (readonly string[] | undefined)[];
  /** The items of each list that the answer has. */
  readonly lists: ReadonlyMap<string, readonly Buffer[]>;
}

/**
 * Cuts arrays out of an answer in one pass, byte by byte. Number literals, escapes, key order and repeated keys stay as sent.
 * `what` is the start of error messages.
 *
 * @throws ProtocolError when the answer is not JSON, is truncated, has more data after its end, is nested too deep, has an array
 * twice, or does not have the required array
 */
export function scanAnswer(
  body: Buffer,
  { items: path, lists: paths = [], inspect }: Layout,
  what = "read the answer",
  reader?: RecordReader,
): ScannedAnswer {
  const scanner = scan(body, what);
  let items: Buffer[] = [];
  const values: (readonly string[] | undefined)[] = [];
  const lists = new Map<string, readonly Buffer[]>();
  const wanted = path === undefined ? paths : [path, ...paths];
  /** The first byte of the value of each wanted member, and of each member that contains one. */
  const openings = new Map<string, number | undefined>();
  const rest: Buffer[] = [];
  let from = 0;

  /** Reads the array that begins here, and empties it in the envelope. */
  function array(records?: RecordReader): Buffer[] {
    const found: Buffer[] = [];
    rest.push(body.subarray(from, scanner.step()));
    while (scanner.more(BRACKET_END, found.length === 0)) {
      const plain = records && scanner.plain(records);
      found.push(plain ?? scanner.value());
      if (records !== undefined) values.push(plain && records.values(body));
    }
    from = scanner.at() - 1;
    return found;
  }

  function object(prefix: string): void {
    scanner.step();
    for (let first = true; scanner.more(BRACE_END, first); first = false) {
      const key = prefix + scanner.key();
      const isWanted = wanted.includes(key);
      const isOnTheWay = wanted.some((one) => one.startsWith(`${key}.`));
      if (!isWanted && !isOnTheWay) {
        scanner.value();
        continue;
      }
      if (openings.has(key)) throw new ProtocolError(`${what}: the answer has "${key}" twice`);
      const opening = scanner.space();
      openings.set(key, opening);
      if (isWanted && opening === BRACKET) {
        if (key === path) items = array(reader);
        else lists.set(key, array());
      } else if (isOnTheWay && opening === BRACE) object(`${key}.`);
      else scanner.value();
    }
  }

  const isBare = path === "";
  const opening = scanner.space();
  if (opening === undefined) throw new ProtocolError(`${what}: the answer is empty`);
  if (opening !== (isBare ? BRACKET : BRACE)) throw notJson(body, what, isBare);
  if (isBare) items = array(reader);
  else object("");
  if (scanner.space() !== undefined) throw scanner.wrong("has more data after its end");
  rest.push(body.subarray(from));
  const envelope = checked(Buffer.concat(rest), body, what, isBare);
  inspect?.(envelope);
  if (path !== undefined && !isBare && openings.get(path) !== BRACKET) {
    const how = openings.has(path) ? `"${path}" of the answer is not an array` : `the answer has no "${path}"`;
    throw new ProtocolError(`${what}: ${how}`);
  }
  return { envelope, items, values, lists };
}

interface Scanner {
  /** Skips white space. Returns the next byte, undefined at the end. */
  space(): number | undefined;
  /** Skips one byte. Returns the position after it. */
  step(): number;
  at(): number;
  /** Skips the comma before the next element, or `close`. Returns whether there is another element. */
  more(close: number, first: boolean): boolean;
  /** Reads a member's key and its colon. */
  key(): string;
  /** Skips one value. Returns its bytes, on one line. */
  value(): Buffer;
  /** The same for a plain record. Returns undefined, and skips nothing, for other values. */
  plain(reader: RecordReader): Buffer | undefined;
  wrong(how: string): ProtocolError;
}

function scan(body: Buffer, what: string): Scanner {
  const end = body.length;
  let at = 0;

  const wrong = (how: string) => new ProtocolError(`${what}: the answer ${how} (byte ${at} of ${end})`);
  const cut = () => new ProtocolError(`${what}: the answer is cut: it ends after ${end} bytes, in the middle`);

  function space(): number | undefined {
    while (isSpace(body[at])) at++;
    return body[at];
  }

  function required(): number {
    const byte = space();
    if (byte === undefined) throw cut();
    return byte;
  }

  function more(close: number, first: boolean): boolean {
    const byte = required();
    if (byte === close) {
      at++;
      return false;
    }
    if (first) return true;
    if (byte !== COMMA) throw wrong("is not JSON: a comma is missing");
    at++;
    if (required() === close) throw wrong("is not JSON: there is a trailing comma");
    return true;
  }

  function key(): string {
    if (required() !== QUOTE) throw wrong("is not JSON: a key is missing");
    const from = at;
    at = looseStringEnd(body, at) ?? end;
    if (at === end) throw cut();
    at++;
    const text = body.toString("utf8", from, at);
    if (required() !== COLON) throw wrong("is not JSON: a colon is missing");
    at++;
    const name = text.includes("\\") ? parsedJson(text) : text.slice(1, -1);
    if (typeof name !== "string") throw new ProtocolError(`${what}: the answer is not JSON: a key is not valid`);
    return name;
  }

  function value(): Buffer {
    required();
    const from = at;
    const found = looseEnd(body, at);
    if (found === "cut") throw cut();
    if (found === "deep") throw wrong(`is nested deeper than ${DEPTH_MAX} levels`);
    if (found === "brackets") throw wrong("is not JSON: its brackets do not match");
    at = found.end;
    if (at === from) throw wrong("is not JSON: a value is missing");
    const bytes = body.subarray(from, at);
    return found.isSpaced ? compact(bytes) : bytes;
  }

  function plain(reader: RecordReader): Buffer | undefined {
    const from = at;
    const to = reader.end(body, from);
    // Data after its last bracket means that it is not a valid element.
    if (to < 0 || (body[to] !== COMMA && body[to] !== BRACKET_END)) return undefined;
    at = to;
    return body.subarray(from, to);
  }

  return { space, step: () => ++at, at: () => at, more, key, value, plain, wrong };
}

/** The envelope as text, after a check that it is JSON: the scanner only checks brackets. */
function checked(envelope: Buffer, body: Buffer, what: string, isBare: boolean): string {
  if (!isUtf8(envelope)) throw new ProtocolError(`${what}: the answer is not UTF-8`);
  const text = envelope.toString("utf8");
  if (parsedJson(text) === undefined) throw notJson(body, what, isBare);
  return text;
}

function notJson(body: Buffer, what: string, isBare: boolean): ProtocolError {
  if (body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf) {
    return new ProtocolError(`${what}: the answer begins with a byte order mark, which JSON must not have`);
  }
  const shown = body
    .toString("utf8", 0, 4 * SHOWN_CHARS)
    .replaceAll(/[^\p{L}\p{N}\p{P}\p{S} ]+/gu, " ")
    .trim()
    .slice(0, SHOWN_CHARS);
  const isHtml = /^(?:<!doctype|<html|<head|<body|<\?xml)/i.test(shown);
  return new ProtocolError(
    `${what}: the answer is ${isHtml ? "HTML, not JSON" : `not a JSON ${isBare ? "array" : "object"}`}; it begins with ${JSON.stringify(shown)}`,
    {
      hint: isHtml ? "the URL is that of a web page: check baseUrl and any proxy in between" : undefined,
    },
  );
}
