import { isUtf8 } from "node:buffer";
import { ProtocolError } from "../errors.ts";
import { compact, isSpace, type RecordReader } from "./record.ts";

/**
 * An audit event is a handful of levels deep. Whoever reads the lines later may walk them by recursion, and a document
 * made of brackets alone must not end them.
 */
const DEPTH_MAX = 256;

/** How much of an answer that is no JSON is shown. */
const SHOWN_CHARS = 40;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const BRACKET = 0x5b;
const BRACKET_END = 0x5d;
const BRACE = 0x7b;
const BRACE_END = 0x7d;
const SPACE = 0x20;
const TAB = 0x09;
const NEWLINE = 0x0a;
const RETURN = 0x0d;

/** An API answer, cut into the items of one array and the rest. */
export interface ScannedArray {
  /** The answer's text with that array emptied, `…"data":[]…`: valid JSON. */
  readonly envelope: string;
  /**
   * Each item's bytes as received, but for the white space between its tokens, which is gone: one item is one line. An
   * item's own JSON is not checked beyond its brackets and quotes: whoever parses it does.
   */
  readonly items: readonly Buffer[];
  /** Of each item, what the reader of records found; undefined where it found nothing, or there is no reader. */
  readonly strings: readonly (readonly string[] | undefined)[];
}

/**
 * Cuts the array `member` of the top-level object out of an answer, byte by byte: number literals, escapes, key order and
 * duplicate keys stay as they were sent. `what` begins the message of an error.
 *
 * @throws ProtocolError when the answer is not JSON, cut, followed by something else, too deep, or has no such array
 */
export function scanArray(body: Buffer, member: string, what = "read the answer", reader?: RecordReader): ScannedArray {
  const scanner = scan(body, what);
  const opening = scanner.space();
  if (opening === undefined) throw new ProtocolError(`${what}: the answer is empty`);
  if (opening !== BRACE) throw notJson(body, what);
  scanner.step();
  let array: { from: number; to: number } | undefined;
  const items: Buffer[] = [];
  const strings: (readonly string[] | undefined)[] = [];
  let first = true;
  while (scanner.more(BRACE_END, first)) {
    first = false;
    const key = scanner.key();
    if (key !== member) {
      scanner.value();
      continue;
    }
    if (array !== undefined) throw new ProtocolError(`${what}: the answer has "${member}" twice`);
    if (scanner.space() !== BRACKET) throw new ProtocolError(`${what}: "${member}" of the answer is not an array`);
    const from = scanner.step();
    while (scanner.more(BRACKET_END, items.length === 0)) {
      const plain = reader && scanner.plain(reader);
      items.push(plain ?? scanner.value());
      strings.push(plain && reader.strings(body));
    }
    array = { from, to: scanner.at() - 1 };
  }
  if (scanner.space() !== undefined) throw scanner.wrong("goes on after its end");
  if (array === undefined) throw new ProtocolError(`${what}: the answer has no "${member}"`);
  const envelope = Buffer.concat([body.subarray(0, array.from), body.subarray(array.to)]);
  return { envelope: checked(envelope, body, what), items, strings };
}

export interface Scanner {
  /** Skips white space; the byte that follows, undefined at the end. */
  space(): number | undefined;
  /** Steps over one byte; where we are then. */
  step(): number;
  at(): number;
  /** True when another element follows, after its comma; false after `close`, which is stepped over. */
  more(close: number, first: boolean): boolean;
  /** Reads a member's key and its colon. */
  key(): string;
  /** Steps over one value; its bytes, on one line. */
  value(): Buffer;
  /** The same for a plain record; undefined, and no step, for anything else. */
  plain(reader: RecordReader): Buffer | undefined;
  wrong(how: string): ProtocolError;
}

export function scan(body: Buffer, what: string): Scanner {
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
    if (required() === close) throw wrong("is not JSON: a comma has nothing after it");
    return true;
  }

  function key(): string {
    if (required() !== QUOTE) throw wrong("is not JSON: a key is missing");
    const from = at;
    at = stringEnd(body, at) ?? end;
    if (at === end) throw cut();
    at++;
    const text = body.toString("utf8", from, at);
    if (required() !== COLON) throw wrong("is not JSON: a colon is missing");
    at++;
    return text.includes("\\") ? unescaped(text) : text.slice(1, -1);
  }

  function unescaped(text: string): string {
    try {
      return String(JSON.parse(text));
    } catch (cause) {
      throw new ProtocolError(`${what}: the answer is not JSON: a key is damaged`, { cause });
    }
  }

  function value(): Buffer {
    required();
    const from = at;
    const found = valueEnd(body, at);
    if (found === "cut") throw cut();
    if (found === "deep") throw wrong(`is nested deeper than ${DEPTH_MAX} levels`);
    if (found === "brackets") throw wrong("is not JSON: its brackets do not match");
    at = found.end;
    if (at === from) throw wrong("is not JSON: a value is missing");
    const bytes = body.subarray(from, at);
    return found.spaced ? compact(bytes) : bytes;
  }

  function plain(reader: RecordReader): Buffer | undefined {
    const from = at;
    const to = reader.end(body, from);
    // Something behind its last bracket makes it something else.
    if (to < 0 || (body[to] !== COMMA && body[to] !== BRACKET_END)) return undefined;
    at = to;
    return body.subarray(from, to);
  }

  return { space, step: () => ++at, at: () => at, more, key, value, plain, wrong };
}

/**
 * Where the value that starts at `from` ends: at the first comma or closing bracket outside it. This loop sees every
 * byte of every page, hence one switch and no calls but for strings.
 */
function valueEnd(
  body: Buffer,
  from: number,
): { readonly end: number; readonly spaced: boolean } | "cut" | "deep" | "brackets" {
  const closers: number[] = [];
  let spaced = false;
  // White space behind the value is not in it, so white space counts only once something follows.
  let gap = false;
  let last = from;
  for (let at = from; ; at++) {
    switch (body[at]) {
      case QUOTE: {
        const end = stringEnd(body, at);
        if (end === undefined) return "cut";
        at = end;
        break;
      }
      case SPACE:
      case NEWLINE:
      case RETURN:
      case TAB:
        gap = true;
        continue;
      case COMMA:
        if (closers.length === 0) return { end: last, spaced };
        break;
      case BRACE:
      case BRACKET:
        if (closers.length === DEPTH_MAX) return "deep";
        closers.push(body[at] === BRACE ? BRACE_END : BRACKET_END);
        break;
      case BRACE_END:
      case BRACKET_END:
        if (closers.length === 0) return { end: last, spaced };
        if (closers.pop() !== body[at]) return "brackets";
        break;
      case undefined:
        return "cut";
    }
    spaced ||= gap;
    last = at + 1;
  }
}

/** Where the string that opens at `from` closes, or undefined when it does not. */
function stringEnd(body: Buffer, from: number): number | undefined {
  for (let at = from + 1; at < body.length; at++) {
    const byte = body[at];
    if (byte === QUOTE) return at;
    if (byte === BACKSLASH) at++;
  }
  return undefined;
}

/** The envelope as text, once it is known to be JSON: the scanner has checked no more than its brackets. */
export function checked(envelope: Buffer, body: Buffer, what: string): string {
  if (!isUtf8(envelope)) throw new ProtocolError(`${what}: the answer is not UTF-8`);
  const text = envelope.toString("utf8");
  try {
    JSON.parse(text);
  } catch (cause) {
    throw notJson(body, what, cause);
  }
  return text;
}

export function notJson(body: Buffer, what: string, cause?: unknown): ProtocolError {
  if (body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf) {
    return new ProtocolError(`${what}: the answer begins with a byte order mark, which JSON must not`, { cause });
  }
  const shown = body
    .toString("utf8", 0, 4 * SHOWN_CHARS)
    .replaceAll(/[^\p{L}\p{N}\p{P}\p{S} ]+/gu, " ")
    .trim()
    .slice(0, SHOWN_CHARS);
  const isHtml = /^(?:<!doctype|<html|<head|<body|<\?xml)/i.test(shown);
  return new ProtocolError(
    `${what}: the answer is ${isHtml ? "HTML, not JSON" : "not a JSON object"}; it begins with ${JSON.stringify(shown)}`,
    {
      cause,
      hint: isHtml ? "the address belongs to a web page: check baseUrl, and any proxy between" : undefined,
    },
  );
}
