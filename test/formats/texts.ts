import fc from "fast-check";
import { expect } from "vitest";
import type { Kind, Meaning, Vocabulary } from "../../src/vocabulary.ts";
import { isPoison, type AuditEvent, type Poison } from "../../src/source.ts";
import type { LineSource } from "../../src/formats/define.ts";
import { epochMs } from "../../src/time.ts";

/** Inputs for each property. */
export const RUNS = 300;

/** Texts that break lines, fields, escapes and encodings, or that look like a field. */
const TROUBLE = [
  ...["\\", "|", "=", "\n", "\r", "\t", " ", '"', "[", "]", "{", "}", "\0", "\x1b", "\x7f", "\x85", "\u2028", "\ufeff"],
  ...["\\n", "\\=", "\\\\", " src=", "\tsrc=", "cs1=", "|x09|", "Жук", "😀", "👩‍💻", "\ud83d", "\ude00", "\ufffd"],
];

/** Any text, sometimes a very long one. */
export const anyText: fc.Arbitrary<string> = fc.oneof(
  { weight: 12, arbitrary: fc.array(fc.oneof(fc.constantFrom(...TROUBLE), fc.string()), { maxLength: 8 }).map(joined) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom("x", "Ж", "😀", "\\", "=", "a\n"), fc.integer({ min: 30, max: 5000 }), fc.string())
      .map(([unit, times, end]) => unit.repeat(times) + end),
  },
);

function joined(parts: readonly string[]): string {
  return parts.join("");
}

const address = fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom("10.0.0.1:443", "fe80::1%eth0"), anyText);
const party = fc.record(
  { id: anyText, name: anyText, type: fc.oneof(fc.constantFrom("User", "Chat"), anyText) },
  { requiredKeys: [] },
);

/** A JSON object, compact. */
const details = fc
  .dictionary(anyText, fc.oneof(fc.jsonValue(), anyText), { maxKeys: 6 })
  .map((value) => JSON.stringify(value));

export const anyMeaning: fc.Arbitrary<Meaning> = fc.record(
  { actor: party, target: party, address, userAgent: anyText, details },
  { requiredKeys: [] },
);

export const anyKind: fc.Arbitrary<Kind> = fc.record(
  {
    name: anyText,
    category: fc.constantFrom("authentication", "other"),
    severity: fc.integer({ min: 0, max: 10 }),
    outcome: fc.constantFrom("success" as const, "failure" as const),
  },
  { requiredKeys: ["name", "category", "severity"] },
);

export const anyEvent: fc.Arbitrary<AuditEvent> = fc.record({
  id: fc.oneof(fc.uuid(), anyText),
  key: fc.oneof(fc.constantFrom("user_login", ""), anyText),
  time: fc.integer({ min: -8.64e15, max: 8.64e15 }).map(epochMs),
  record: fc.constant(Buffer.from("{}")),
});

/** A vocabulary in which each event has this kind and this meaning. */
export function vocabularyWith(kind: Kind, means: Meaning): Vocabulary {
  return { product: { vendor: "A|B\\C", name: "Audit\nlog", version: "1.0" }, kind: () => kind, describe: () => means };
}

/** A text as a line shows it: half a surrogate pair as U+FFFD, and control characters, except those in `kept`, as pictures. */
export function shown(text: string, kept = ""): string {
  return Array.from(Buffer.from(text).toString(), (character) => {
    const code = character.codePointAt(0)!;
    if (kept.includes(character) || (code >= 0x20 && code !== 0x7f)) return character;
    return String.fromCodePoint(code === 0x7f ? 0x2421 : 0x2400 + code);
  }).join("");
}

/** Whether `part` is a part of `whole`: the beginning of a string, the first items of an array, some members of an object. */
export function isSomeOf(part: unknown, whole: unknown): boolean {
  if (typeof part === "string") return typeof whole === "string" && whole.startsWith(part);
  if (Array.isArray(part)) {
    return Array.isArray(whole) && part.every((item, at) => JSON.stringify(item) === JSON.stringify(whole[at]));
  }
  if (typeof part !== "object" || part === null) return Object.is(part, whole);
  if (typeof whole !== "object" || whole === null) return false;
  return Object.entries(part).every(
    ([key, value]) => Object.hasOwn(whole, key) && isSomeOf(value, (whole as Record<string, unknown>)[key]),
  );
}

/** Expects that `read`, which was read from `line`, is the same event, with the line as its record. */
export function expectSame(read: AuditEvent | Poison, { id, time, key }: AuditEvent, line: Buffer): void {
  expect(isPoison(read) ? read.reason : { id: read.id, time: read.time, key: read.key }).toEqual({ id, time, key });
  expect(read.record).toBe(line);
}

/** A source with this vocabulary. It cannot read JSON. */
export function sourceWith(vocabulary: Vocabulary): LineSource {
  return { vocabulary, read: (record) => ({ reason: "not JSON", record }) };
}
