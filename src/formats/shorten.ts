import { membersOf, partsOf, type Member } from "../json/members.ts";

/** The size of a text. It grows with the text, and the size of two joined texts is the sum of their sizes. */
export type Measure = (text: string) => number;

/** A part of something that is too large. */
export interface Part<Self> {
  readonly size: number;
  /** As much of it as fits into `max`; undefined if it must be left out. A part without this function is never shortened. */
  readonly shrink?: ((max: number) => Self | undefined) | undefined;
}

/**
 * Shortens parts or leaves them out, the largest first, until `excess` is saved. Returns the parts in their order, with
 * undefined for each that is left out; returns undefined if too little can be saved.
 */
export function shortenLargest<P extends Part<P>>(parts: readonly P[], excess: number): (P | undefined)[] | undefined {
  const shortened: (P | undefined)[] = [...parts];
  const largestFirst = [...parts.entries()].sort(([, one], [, other]) => other.size - one.size);
  let left = excess;
  for (const [place, part] of largestFirst) {
    if (left <= 0) break;
    if (part.shrink === undefined) continue;
    const shorter = part.shrink(part.size - left);
    left -= part.size - (shorter?.size ?? 0);
    shortened[place] = shorter;
  }
  return left <= 0 ? shortened : undefined;
}

/** The longest beginning of a text that fits into `max`, cut between characters. */
export function beginning(text: string, max: number, measure: Measure): string {
  if (measure(text) <= max) return text;
  let [fits, exceeds] = [0, text.length];
  while (exceeds - fits > 1) {
    const middle = (fits + exceeds) >> 1;
    if (measure(text.slice(0, middle)) <= max) fits = middle;
    else exceeds = middle;
  }
  // Not between the halves of a surrogate pair.
  if (/[\ud800-\udbff]/.test(text.charAt(fits - 1))) fits--;
  return text.slice(0, Math.max(fits, 0));
}

/**
 * As much of a compact JSON value as fits into `max`, as JSON: the beginning of a string, the first items of an array, the
 * members of an object with the largest ones shortened or left out. Undefined if nothing of it fits.
 */
export function shortenedJson(json: string, max: number, measure: Measure): string | undefined {
  if (measure(json) <= max) return json;
  switch (json.charAt(0)) {
    case '"': {
      const text = wholeEscapes(beginning(json.slice(1, -1), max - measure('""'), measure));
      return text === "" ? undefined : `"${text}"`;
    }
    case "[":
      return shortenedArray(json, max, measure);
    case "{":
      return shortenedMembers(membersOf(json) ?? [], max, measure);
    default:
      // A number that is cut would be another number.
      return undefined;
  }
}

function shortenedArray(json: string, max: number, measure: Measure): string | undefined {
  const kept: string[] = [];
  let size = measure("[]") - measure(",");
  for (const item of partsOf(json) ?? []) {
    size += measure(item) + measure(",");
    if (size > max) break;
    kept.push(item);
  }
  return kept.length === 0 ? undefined : `[${kept.join(",")}]`;
}

/** The members as a JSON object that fits into `max`. Members for which `isFixed` is true stay as they are. */
export function shortenedMembers(
  members: readonly Member[],
  max: number,
  measure: Measure,
  isFixed: (member: Member) => boolean = () => false,
): string | undefined {
  const comma = measure(",");
  const partOf = (text: string, head: string, value: string, canShrink: boolean): JsonPart => ({
    text,
    size: measure(text) + comma,
    shrink: canShrink
      ? (maxSize) => {
          const shorter = shortenedJson(value, maxSize - measure(head) - comma, measure);
          return shorter === undefined ? undefined : partOf(head + shorter, head, shorter, true);
        }
      : undefined,
  });
  // If a key occurs more than once, its last member counts. The others are dropped: none of them must become the last.
  const lastMembers = [...new Map(members.map((member) => [member.key, member])).values()];
  const parts = lastMembers.map((member) => {
    const { text, value } = member;
    return partOf(text, text.slice(0, text.length - value.length), value, !isFixed(member));
  });
  const size = parts.reduce((sum, part) => sum + part.size, measure("{}") - comma);
  const kept = shortenLargest(parts, size - max)?.flatMap((part) => part?.text ?? []);
  return kept === undefined || kept.length === 0 ? undefined : `{${kept.join(",")}}`;
}

interface JsonPart extends Part<JsonPart> {
  readonly text: string;
}

/** The content of a JSON string that was cut, without an incomplete escape at its end, or half a surrogate pair of escapes. */
function wholeEscapes(text: string): string {
  const whole = withoutEnd(text, /\\(?:u[0-9a-fA-F]{0,3})?$/);
  return withoutEnd(whole, /\\u[dD][89abAB][0-9a-fA-F]{2}$/);
}

/** The text without the escape that `end` finds at its end, unless the backslash of that escape is itself escaped. */
function withoutEnd(text: string, end: RegExp): string {
  const found = end.exec(text.slice(-ESCAPE_CHARS))?.[0].length;
  if (found === undefined) return text;
  const at = text.length - found;
  let slashes = 0;
  while (text[at - 1 - slashes] === "\\") slashes++;
  return slashes % 2 === 0 ? text.slice(0, at) : text;
}

const ESCAPE_CHARS = 6;
