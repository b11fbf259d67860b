import fc from "fast-check";
import { expect, test } from "vitest";
import { raw } from "../../src/formats/raw.ts";
import type { AuditEvent } from "../../src/source.ts";
import { formatInstant } from "../../src/time.ts";
import { at, memorySource } from "../support/world.ts";
import { anyText, expectSame, RUNS } from "./texts.ts";

const format = raw.of(memorySource([]));

/** Parsed JSON that keeps the digits of numbers. Members are in a map. */
type Tree = { readonly literal: string } | string | Tree[] | Map<string, Tree>;

/** Parses JSON by its grammar (RFC 8259), and nothing after it. Keeps the digits of numbers. */
function parseTree(text: string): Tree {
  let place = 0;
  const take = (expression: RegExp): string => {
    const sticky = new RegExp(expression, "uy");
    sticky.lastIndex = place;
    const found = sticky.exec(text)?.[0];
    if (found === undefined) throw new Error(`no ${String(expression)} at ${text.slice(place, place + 30)}`);
    place += found.length;
    return found;
  };
  const string = (): string =>
    JSON.parse(take(/"(?:[^"\\\p{Cc}]|[\x7f-\x9f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"/u)) as string;
  function value(): Tree {
    switch (text[place]) {
      case '"':
        return string();
      case "[": {
        const items: Tree[] = [];
        for (take(/\[/); text[place] !== "]";) {
          if (items.length > 0) take(/,/);
          items.push(value());
        }
        take(/\]/);
        return items;
      }
      case "{": {
        const members = new Map<string, Tree>();
        let count = 0;
        for (take(/\{/); text[place] !== "}"; count++) {
          if (count > 0) take(/,/);
          const key = string();
          take(/:/);
          members.set(key, value());
        }
        take(/\}/);
        return members;
      }
      default:
        return { literal: take(/-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/) };
    }
  }
  const tree = value();
  if (place !== text.length) throw new Error("there is more text after the JSON");
  return tree;
}

/** Whether `part` is `whole`, or a beginning of it. */
function isBeginning(part: Tree, whole: Tree | undefined): boolean {
  if (typeof part === "string") {
    const isCutPair = typeof whole === "string" && /[\ud800-\udbff]$/.test(part) && part !== whole;
    return typeof whole === "string" && whole.startsWith(part) && !isCutPair;
  }
  if (part instanceof Map) {
    return whole instanceof Map && [...part].every(([key, value]) => isBeginning(value, whole.get(key)));
  }
  if (part instanceof Array) {
    return whole instanceof Array && part.every((item, index) => isEqual(item, whole[index]));
  }
  return isEqual(part, whole);
}

function isEqual(one: Tree, other: Tree | undefined): boolean {
  const plain = (_: string, value: unknown) => (value instanceof Map ? { members: [...value] } : value);
  return JSON.stringify(one, plain) === JSON.stringify(other, plain);
}

/** A JSON string, with each character as it is or as an escape. */
const anyJsonString = fc.tuple(anyText, fc.constantFrom("none", "all", "half")).map(([text, escaped]) => {
  if (escaped === "none") return JSON.stringify(text);
  const units = Array.from({ length: text.length }, (_, index) => text.charCodeAt(index));
  const escape = (unit: number) => `\\u${unit.toString(16).padStart(4, "0")}`;
  const isPlain = (unit: number, index: number) =>
    escaped === "half" && index % 2 === 0 && /[\w а-я]/i.test(String.fromCharCode(unit));
  return `"${units.map((unit, index) => (isPlain(unit, index) ? String.fromCharCode(unit) : escape(unit))).join("")}"`;
});

const { anyJson } = fc.letrec<{ anyJson: string }>((tie) => ({
  anyJson: fc.oneof(
    { maxDepth: 4 },
    anyJsonString,
    fc.constantFrom("9007199254740993", "1.10", "-0", "1E+2", "true", "null"),
    fc.array(tie("anyJson"), { maxLength: 4 }).map((items) => `[${items.join(",")}]`),
    fc
      .array(fc.tuple(anyJsonString, tie("anyJson")), { maxLength: 4 })
      .map((members) => `{${members.map(([key, value]) => `${key}:${value}`).join(",")}}`),
  ),
}));

const time = at("2026-11-20T10:00:00.123Z");

function eventWith(id: string, key: string, before: string, after: string): AuditEvent {
  const own = `"id":${JSON.stringify(id)},"created_at":"${formatInstant(time)}","event_key":${JSON.stringify(key)}`;
  return { id, time, key, record: Buffer.from(`{${before}${own}${after}}`) };
}

/** Members whose names the event's own members do not have. */
const anyMembers = fc.array(fc.tuple(fc.stringMatching(/^[a-z\\"😀]{1,6}$/u), anyJson), { maxLength: 6 });
const written = (members: readonly (readonly [string, string])[], sign: string) =>
  members.map(([key, value]) => `${JSON.stringify(`${sign}${key}`)}:${value}`);

test("a shortened record fits, parses, is marked, and is the same event with beginnings of its values", () => {
  fc.assert(
    fc.property(
      anyMembers,
      anyMembers,
      fc.uuid(),
      fc.integer({ min: 100, max: 9000 }),
      (before, after, id, maxBytes) => {
        const front = written(before, "<").map((member) => `${member},`);
        const back = written(after, ">").map((member) => `,${member}`);
        const event = eventWith(id, "user_login", front.join(""), back.join(""));
        const short = format.shorten(event, maxBytes);
        if (event.record.length <= maxBytes) {
          expect(short).toBe(event.record);
          return;
        }
        const least = Buffer.byteLength('{,"truncated":true}') + eventWith(id, "user_login", "", "").record.length - 2;
        expect(short === undefined).toBe(maxBytes < least);
        if (short === undefined) return;
        expect(short.length).toBeLessThanOrEqual(maxBytes);
        expectSame(format.read(short), event, short);
        const text = new TextDecoder("utf-8", { fatal: true }).decode(short);
        const members = new Map(parseTree(text) as Map<string, Tree>);
        expect(members.get("truncated")).toEqual({ literal: "true" });
        members.delete("truncated");
        expect(isBeginning(members, parseTree(event.record.toString()))).toBe(true);
      },
    ),
    { numRuns: RUNS },
  );
});

test("an event of 9 KB is shortened to 8,192 bytes: its largest member keeps as much as fits", () => {
  const text = "Ж".repeat(4600);
  const rest = '"size":9007199254740993,"factor":1.10,"tags":["a","b"]';
  const event = eventWith("1", "message_created", "", `,"details":{"text":"${text}",${rest}},"ip_address":"10.0.0.7"`);
  const short = format.shorten(event, 8192)!;
  expect(short.length).toBeGreaterThan(8190);
  expect(short.toString()).toMatch(
    /^\{"id":"1",.*,"details":\{"text":"Ж+","size":9007199254740993,"factor":1\.10,"tags":\["a","b"\]\},"ip_address":"10\.0\.0\.7","truncated":true\}$/,
  );
});

test("a text is cut between characters at any limit: never in an escape or a surrogate pair", () => {
  const pieces = [
    "\\\\",
    "\\u00e9",
    "\\ud83d\\ude00",
    "\\\\u0041",
    "\\\\\\\\ud83d",
    "\\n",
    "😀",
    "Ж",
    '\\"',
    "\\ud83d",
    "x",
  ];
  const event = eventWith("1", "k", "", `,"text":"${[...pieces, ...pieces.toReversed()].join("")}${"x".repeat(30)}"`);
  const whole = parseTree(event.record.toString());
  let lines = 0;
  for (let maxBytes = 60; maxBytes < event.record.length; maxBytes++) {
    const short = format.shorten(event, maxBytes);
    if (short === undefined) continue;
    const members = parseTree(short.toString()) as Map<string, Tree>;
    members.delete("truncated");
    expect(isBeginning(members, whole)).toBe(true);
    lines++;
  }
  expect(lines).toBeGreaterThan(120);
});

test("a number that does not fit is left out, because it must not be cut; a list keeps its first items", () => {
  const long = eventWith("1", "k", "", `,"n":${"7".repeat(300)},"is":true`);
  const identity = { id: "1", created_at: "2026-11-20T10:00:00.123Z", event_key: "k" };
  expect(JSON.parse(String(format.shorten(long, 300)))).toEqual({ ...identity, is: true, truncated: true });
  const list = eventWith("1", "k", "", `,"list":[${"12345,".repeat(99)}6],"is":true`);
  const short = { ...identity, list: [12345, 12345, 12345, 12345, 12345], is: true, truncated: true };
  expect(JSON.parse(String(format.shorten(list, JSON.stringify(short).length + 5)))).toEqual(short);
});

test("if the event has a member `truncated`, the mark gets another name", () => {
  const event = eventWith("1", "k", `"truncated":"${"x".repeat(200)}","_truncated":0,`, "");
  const short = JSON.parse(String(format.shorten(event, 200))) as object;
  expect(short).toMatchObject({ truncated: expect.stringMatching(/^x+$/) as string, _truncated: 0, __truncated: true });
});

test("if a key occurs more than once, the last member still counts", () => {
  const event = eventWith("1", "k", '"name":"first",', `,"name":"${"x".repeat(300)}"`);
  for (let maxBytes = 80; maxBytes < 300; maxBytes += 7) {
    const short = format.shorten(event, maxBytes);
    if (short !== undefined) expect((JSON.parse(String(short)) as { name?: string }).name ?? "").toMatch(/^x*$/);
  }
});

test("if the id, the time and the key do not fit, there is no line", () => {
  const event = eventWith("i".repeat(500), "k", "", ',"is":true');
  expect(format.shorten(event, 500)).toBeUndefined();
  expect(format.shorten(event, event.record.length)).toBe(event.record);
});
