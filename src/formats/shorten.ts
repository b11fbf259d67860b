import { membersOf, partsOf, type Member } from "../json/members.ts";

/** How much room a text takes. It grows with the text, and of two texts one behind the other it is the sum. */
export type Measure = (text: string) => number;

/** A part of something that is too large. */
export interface Part<Self> {
  readonly size: number;
  /** As much of it as has at most that size; undefined where it must be left out. Not there: it stays as it is. */
  readonly shrink?: ((max: number) => Self | undefined) | undefined;
}

/**
 * Shortens the largest parts, or leaves them out, the largest first, until `excess` is saved. Each part in its place, undefined
 * where it is left out; undefined for the whole where too little can be saved.
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

/** The longest beginning of a text that takes at most `max`, on whole characters. */
export function beginning(text: string, max: number, measure: Measure): string {
  if (measure(text) <= max) return text;
  let [fits, exceeds] = [0, text.length];
  while (exceeds - fits > 1) {
    const middle = (fits + exceeds) >> 1;
    if (measure(text.slice(0, middle)) <= max) fits = middle;
    else exceeds = middle;
  }
  // Not between the halves of a pair.
  if (/[\ud800-\udbff]/.test(text.charAt(fits - 1))) fits--;
  return text.slice(0, Math.max(fits, 0));
}

/**
 * As much of some compact JSON as takes at most `max`, and still JSON: of a string its beginning, of an array its first
 * items, of an object its members, the largest of them shortened or left out. Undefined where nothing of it fits.
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
      // Half a number is another number.
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

/** The members as an object of at most that size; those that `stays` says stay as they are. */
export function shortenedMembers(
  members: readonly Member[],
  max: number,
  measure: Measure,
  stays: (member: Member) => boolean = () => false,
): string | undefined {
  const comma = measure(",");
  const partOf = (text: string, head: string, value: string, isFixed: boolean): JsonPart => ({
    text,
    size: measure(text) + comma,
    shrink: isFixed
      ? undefined
      : (most) => {
          const shorter = shortenedJson(value, most - measure(head) - comma, measure);
          return shorter === undefined ? undefined : partOf(head + shorter, head, shorter, false);
        },
  });
  // Of a doubled member the last counts, and only that one may be seen, whatever happens to it.
  const counting = [...new Map(members.map((member) => [member.key, member])).values()];
  const parts = counting.map((member) => {
    const { text, value } = member;
    return partOf(text, text.slice(0, text.length - value.length), value, stays(member));
  });
  const size = parts.reduce((sum, part) => sum + part.size, measure("{}") - comma);
  const kept = shortenLargest(parts, size - max)?.flatMap((part) => part?.text ?? []);
  return kept === undefined || kept.length === 0 ? undefined : `{${kept.join(",")}}`;
}

interface JsonPart extends Part<JsonPart> {
  readonly text: string;
}

/** The inside of a JSON string that was cut, without the piece of an escape at its end, or the first half of a pair of them. */
function wholeEscapes(text: string): string {
  const whole = withoutEnd(text, /\\(?:u[0-9a-fA-F]{0,3})?$/);
  return withoutEnd(whole, /\\u[dD][89abAB][0-9a-fA-F]{2}$/);
}

/** Without the escape that `end` finds at the end, if its backslash is not itself the end of one. */
function withoutEnd(text: string, end: RegExp): string {
  const found = end.exec(text.slice(-ESCAPE_CHARS))?.[0].length;
  if (found === undefined) return text;
  const at = text.length - found;
  let slashes = 0;
  while (text[at - 1 - slashes] === "\\") slashes++;
  return slashes % 2 === 0 ? text.slice(0, at) : text;
}

const ESCAPE_CHARS = 6;
