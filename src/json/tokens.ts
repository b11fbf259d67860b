/* The scanner of JSON bytes. It has a strict mode for compact JSON, and a loose mode that only matches brackets and quotes. */

export const QUOTE = 0x22;
export const BACKSLASH = 0x5c;
export const COMMA = 0x2c;
export const COLON = 0x3a;
export const BRACKET = 0x5b;
export const BRACKET_END = 0x5d;
export const BRACE = 0x7b;
export const BRACE_END = 0x7d;
const MINUS = 0x2d;
const SPACE = 0x20;
const TAB = 0x09;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const PLUS = 0x2b;
const POINT = 0x2e;
const ZERO = 0x30;
const SMALL_E = 0x65;
const SMALL_U = 0x75;

/** For each byte, whether it ends a run of plain characters in a string. */
const SPECIAL = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte < 0x20 || byte === QUOTE || byte === BACKSLASH ? 1 : 0,
);
const ESCAPES = new Set(Buffer.from('"\\/bfnrt'));

/**
 * Audit events have only a few levels. Readers of the lines may recurse, and a document of nothing but brackets must not crash
 * them.
 */
export const DEPTH_MAX = 256;

/**
 * Where the value that begins at `at` ends; -1 if a parser would not accept it, if it has white space between tokens, or if it
 * is deeper than `DEPTH_MAX`. Does not check UTF-8.
 * @param depth the depth of the value: 0 for a document
 */
export function valueEnd(json: Buffer, at: number, depth = 0): number {
  switch (json[at]) {
    case QUOTE:
      return stringEnd(json, at + 1);
    case BRACE:
      return depth === DEPTH_MAX ? -1 : membersEnd(json, at + 1, depth + 1);
    case BRACKET:
      return depth === DEPTH_MAX ? -1 : elementsEnd(json, at + 1, depth + 1);
    case 0x74:
      return wordEnd(json, at, "true");
    case 0x66:
      return wordEnd(json, at, "false");
    case 0x6e:
      return wordEnd(json, at, "null");
    default:
      return numberEnd(json, at);
  }
}

/** The position after the closing quote of the string whose first character is at `at`; -1 if the string is not valid. */
export function stringEnd(json: Buffer, at: number): number {
  for (; ; at++) {
    const byte = json[at] ?? 0;
    if (SPECIAL[byte] === 0) continue;
    if (byte === QUOTE) return at + 1;
    if (byte !== BACKSLASH) return -1;
    const escape = json[++at] ?? 0;
    if (escape === SMALL_U) {
      if (!/^[0-9a-f]{4}$/i.test(json.toString("latin1", at + 1, at + 5))) return -1;
      at += 4;
    } else if (!ESCAPES.has(escape)) return -1;
  }
}

/** The same for a string without escapes; -1 for other strings. */
export function plainStringEnd(json: Buffer, at: number): number {
  while (SPECIAL[json[at] ?? 0] === 0) at++;
  return json[at] === QUOTE ? at + 1 : -1;
}

function membersEnd(json: Buffer, at: number, depth: number): number {
  if (json[at] === BRACE_END) return at + 1;
  for (; ; at++) {
    if (json[at] !== QUOTE) return -1;
    const colon = stringEnd(json, at + 1);
    if (colon < 0 || json[colon] !== COLON) return -1;
    at = valueEnd(json, colon + 1, depth);
    if (at < 0) return -1;
    if (json[at] === BRACE_END) return at + 1;
    if (json[at] !== COMMA) return -1;
  }
}

function elementsEnd(json: Buffer, at: number, depth: number): number {
  if (json[at] === BRACKET_END) return at + 1;
  for (; ; at++) {
    at = valueEnd(json, at, depth);
    if (at < 0) return -1;
    if (json[at] === BRACKET_END) return at + 1;
    if (json[at] !== COMMA) return -1;
  }
}

function wordEnd(json: Buffer, at: number, word: string): number {
  for (let index = 0; index < word.length; index++) if (json[at + index] !== word.charCodeAt(index)) return -1;
  return at + word.length;
}

/** RFC 8259, section 6: no plus sign, no leading zero, a digit on both sides of the point. */
function numberEnd(json: Buffer, from: number): number {
  let at = json[from] === MINUS ? from + 1 : from;
  const whole = digitsEnd(json, at);
  if (whole === at || (json[at] === ZERO && whole > at + 1)) return -1;
  at = whole;
  if (json[at] === POINT) {
    const fraction = digitsEnd(json, at + 1);
    if (fraction === at + 1) return -1;
    at = fraction;
  }
  if (((json[at] ?? 0) | 0x20) === SMALL_E) {
    const sign = json[at + 1] === MINUS || json[at + 1] === PLUS ? 2 : 1;
    const exponent = digitsEnd(json, at + sign);
    if (exponent === at + sign) return -1;
    at = exponent;
  }
  return at;
}

function digitsEnd(json: Buffer, at: number): number {
  while (isDigit(json[at])) at++;
  return at;
}

const isDigit = (byte = 0): boolean => byte >= ZERO && byte <= 0x39;

/** Whether a valid value that begins with this byte is a number. */
export const beginsNumber = (byte: number | undefined): boolean => byte === MINUS || isDigit(byte);

/**
 * Where the value that begins at `from` ends: at the first comma or closing bracket outside it. The value need not be valid.
 * `isSpaced`: it has white space between tokens. This loop reads every byte of records that are not plain, so it is one switch,
 * with calls for strings only.
 */
export function looseEnd(
  json: Buffer,
  from: number,
): { readonly end: number; readonly isSpaced: boolean } | "cut" | "deep" | "brackets" {
  const closers: number[] = [];
  let isSpaced = false;
  // White space after the value is not part of it, so white space counts only when another token follows.
  let gap = false;
  let last = from;
  for (let at = from; ; at++) {
    switch (json[at]) {
      case QUOTE: {
        const end = looseStringEnd(json, at);
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
        if (closers.length === 0) return { end: last, isSpaced };
        break;
      case BRACE:
      case BRACKET:
        if (closers.length === DEPTH_MAX) return "deep";
        closers.push(json[at] === BRACE ? BRACE_END : BRACKET_END);
        break;
      case BRACE_END:
      case BRACKET_END:
        if (closers.length === 0) return { end: last, isSpaced };
        if (closers.pop() !== json[at]) return "brackets";
        break;
      case undefined:
        return "cut";
    }
    isSpaced ||= gap;
    last = at + 1;
  }
}

/** Where the string that opens at `from` closes; undefined if it does not. */
export function looseStringEnd(json: Buffer, from: number): number | undefined {
  for (let at = from + 1; at < json.length; at++) {
    const byte = json[at];
    if (byte === QUOTE) return at;
    if (byte === BACKSLASH) at++;
  }
  return undefined;
}

/**
 * Puts a record on one line: drops white space between tokens, and keeps everything else byte for byte. White space between two
 * values, which is not valid JSON, becomes one space, so that the parser still rejects it.
 */
export function compact(record: Buffer): Buffer {
  const out = Buffer.allocUnsafe(record.length);
  let length = 0;
  let last: number | undefined;
  let inString = false;
  let spaced = false;
  for (let at = 0; at < record.length; at++) {
    const byte = record[at];
    if (inString) {
      out[length++] = byte ?? 0;
      if (byte === BACKSLASH && at + 1 < record.length) out[length++] = record[++at] ?? 0;
      else if (byte === QUOTE) inString = false;
    } else if (isSpace(byte)) {
      spaced = true;
      continue;
    } else {
      if (spaced && length > 0 && !isStructure(last) && !isStructure(byte)) out[length++] = SPACE;
      out[length++] = byte ?? 0;
      if (byte === QUOTE) inString = true;
    }
    spaced = false;
    last = byte;
  }
  return length === record.length ? record : out.subarray(0, length);
}

export function isSpace(byte: number | undefined): boolean {
  return byte === SPACE || byte === NEWLINE || byte === RETURN || byte === TAB;
}

function isStructure(byte: number | undefined): boolean {
  switch (byte) {
    case BRACE:
    case BRACE_END:
    case BRACKET:
    case BRACKET_END:
    case COMMA:
    case COLON:
      return true;
    default:
      return false;
  }
}
