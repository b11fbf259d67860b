/**
 * Deeper records are for the parser, as is whatever else is unusual. The limit keeps the recursion short.
 */
const DEPTH_MAX = 32;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const BRACKET = 0x5b;
const BRACKET_END = 0x5d;
const BRACE = 0x7b;
const BRACE_END = 0x7d;
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

/** Of each byte: whether it ends the run of plain characters in a string. */
const SPECIAL = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte < 0x20 || byte === QUOTE || byte === BACKSLASH ? 1 : 0,
);
const ESCAPES = new Set(Buffer.from('"\\/bfnrt'));

/**
 * Reads plain records in one pass: what a parser would accept, and nothing unusual about it. Nearly every record is plain, and
 * then neither needs to be parsed only to learn a few of its members, nor leaves garbage.
 */
export interface RecordReader {
  /**
   * Where the record that begins at byte `from` ends; -1 when it is not plain: not an object, not JSON, white space between
   * its tokens, an escape in a key, or very deep. Then a parser has to say.
   */
  end(body: Buffer, from: number): number;
  /** Of the record read last, the string values of the members by name; undefined when one is missing or is not a plain string. */
  strings(body: Buffer): readonly string[] | undefined;
}

export function recordReader(names: readonly string[]): RecordReader {
  const wanted = names.map((name) => Buffer.from(name));
  /** Start and end of each member's value, between its quotes; the end is -1 for anything else. */
  const bounds = new Int32Array(names.length * 2);

  /** The record's own members: the last of the same name counts, as for every parser. */
  function own(body: Buffer, from: number): number {
    bounds.fill(-1);
    let at = from + 1;
    if (body[at] === BRACE_END) return at + 1;
    for (;;) {
      if (body[at] !== QUOTE) return -1;
      const keyEnd = stringEnd(body, at + 1);
      if (keyEnd < 0 || body[keyEnd] !== COLON || hasEscape(body, at + 1, keyEnd - 1)) return -1;
      const valueFrom = keyEnd + 1;
      const valueTo = valueEnd(body, valueFrom, 1);
      if (valueTo < 0) return -1;
      const member = memberAt(body, at + 1, keyEnd - 1);
      if (member >= 0) {
        const isPlain = body[valueFrom] === QUOTE && !hasEscape(body, valueFrom, valueTo);
        bounds[member * 2] = valueFrom + 1;
        bounds[member * 2 + 1] = isPlain ? valueTo - 1 : -1;
      }
      at = valueTo + 1;
      if (body[valueTo] === BRACE_END) return at;
      if (body[valueTo] !== COMMA) return -1;
    }
  }

  /** Which of the names stands between these bytes, or -1. */
  function memberAt(body: Buffer, from: number, to: number): number {
    for (let member = 0; member < wanted.length; member++) {
      const name = wanted[member];
      if (name?.length !== to - from) continue;
      let same = 0;
      while (same < name.length && name[same] === body[from + same]) same++;
      if (same === name.length) return member;
    }
    return -1;
  }

  return {
    end: (body, from) => (body[from] === BRACE ? own(body, from) : -1),
    strings(body) {
      const values: string[] = [];
      for (let member = 0; member < names.length; member++) {
        const from = bounds[member * 2] ?? 0;
        const to = bounds[member * 2 + 1] ?? -1;
        if (to < 0) return undefined;
        values.push(body.toString("utf8", from, to));
      }
      return values;
    },
  };
}

/** Behind the quote that closes the string whose first character is at `at`; -1 when it does not end well. */
function stringEnd(body: Buffer, at: number): number {
  for (; ; at++) {
    const byte = body[at] ?? 0;
    if (SPECIAL[byte] === 0) continue;
    if (byte === QUOTE) return at + 1;
    if (byte !== BACKSLASH) return -1;
    const escape = body[++at] ?? 0;
    if (escape === SMALL_U) {
      if (!/^[0-9a-f]{4}$/i.test(body.toString("latin1", at + 1, at + 5))) return -1;
      at += 4;
    } else if (!ESCAPES.has(escape)) return -1;
  }
}

function valueEnd(body: Buffer, at: number, depth: number): number {
  switch (body[at]) {
    case QUOTE:
      return stringEnd(body, at + 1);
    case BRACE:
      return depth === DEPTH_MAX ? -1 : membersEnd(body, at + 1, depth + 1);
    case BRACKET:
      return depth === DEPTH_MAX ? -1 : elementsEnd(body, at + 1, depth + 1);
    case 0x74:
      return wordEnd(body, at, "true");
    case 0x66:
      return wordEnd(body, at, "false");
    case 0x6e:
      return wordEnd(body, at, "null");
    default:
      return numberEnd(body, at);
  }
}

function membersEnd(body: Buffer, at: number, depth: number): number {
  if (body[at] === BRACE_END) return at + 1;
  for (; ; at++) {
    if (body[at] !== QUOTE) return -1;
    const colon = stringEnd(body, at + 1);
    if (colon < 0 || body[colon] !== COLON) return -1;
    at = valueEnd(body, colon + 1, depth);
    if (at < 0) return -1;
    if (body[at] === BRACE_END) return at + 1;
    if (body[at] !== COMMA) return -1;
  }
}

function elementsEnd(body: Buffer, at: number, depth: number): number {
  if (body[at] === BRACKET_END) return at + 1;
  for (; ; at++) {
    at = valueEnd(body, at, depth);
    if (at < 0) return -1;
    if (body[at] === BRACKET_END) return at + 1;
    if (body[at] !== COMMA) return -1;
  }
}

function wordEnd(body: Buffer, at: number, word: string): number {
  for (let index = 0; index < word.length; index++) if (body[at + index] !== word.charCodeAt(index)) return -1;
  return at + word.length;
}

/** RFC 8259, 6: no plus, no leading zero, a digit on either side of the point. */
function numberEnd(body: Buffer, from: number): number {
  let at = body[from] === MINUS ? from + 1 : from;
  const whole = digitsEnd(body, at);
  if (whole === at || (body[at] === ZERO && whole > at + 1)) return -1;
  at = whole;
  if (body[at] === POINT) {
    const fraction = digitsEnd(body, at + 1);
    if (fraction === at + 1) return -1;
    at = fraction;
  }
  if (((body[at] ?? 0) | 0x20) === SMALL_E) {
    const sign = body[at + 1] === MINUS || body[at + 1] === PLUS ? 2 : 1;
    const exponent = digitsEnd(body, at + sign);
    if (exponent === at + sign) return -1;
    at = exponent;
  }
  return at;
}

function digitsEnd(body: Buffer, at: number): number {
  while (isDigit(body[at])) at++;
  return at;
}

const isDigit = (byte = 0): boolean => byte >= ZERO && byte <= 0x39;

function hasEscape(body: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (body[at] === BACKSLASH) return true;
  return false;
}

/**
 * One record on one line: the white space between its tokens is dropped, all else stays byte for byte. White space
 * between two values, which no JSON has, is kept as one space, so that the parser still refuses it.
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
