import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { eventReader } from "../../src/json/event-reader.ts";
import { isPoison, type EventMembers } from "../../src/source.ts";

const PLAIN: EventMembers = {
  id: [{ path: "id", format: "text" }],
  time: [{ path: "at", format: "iso" }],
  kind: ["kind"],
};
const AT = "2026-11-20T10:00:00.000Z";
const readWith = (members: Partial<EventMembers>, text: string) =>
  eventReader({ ...PLAIN, ...members })(Buffer.from(text));

describe("an event is read by the names of its members only", () => {
  test("its id, time and kind are strings", () => {
    const text = `{"id":"a","at":"${AT}","kind":"login"}`;
    expect(readWith({}, text)).toEqual({ id: "a", time: Date.parse(AT), key: "login", record: Buffer.from(text) });
  });

  test("white space and escapes change nothing", () => {
    expect(readWith({}, `{ "i\\u0064" : "\\u0061b",\n "at" : "${AT}", "kind": "x\\/y" }`)).toMatchObject({
      id: "ab",
      key: "x/y",
    });
  });

  test("the last of two members with one name counts", () => {
    expect(readWith({}, `{"id":"a","at":"${AT}","id":"b"}`)).toMatchObject({ id: "b", key: "" });
    expect(readWith({ kind: ["o.k"] }, `{"id":"a","at":"${AT}","o":{"k":"x"},"o":{}}`)).toMatchObject({ key: "" });
  });

  test("an integer id keeps every digit", () => {
    const id = [{ path: "id", format: "integer" }] as const;
    expect(readWith({ id }, `{"id":1152922976252290801,"at":"${AT}"}`)).toMatchObject({ id: "1152922976252290801" });
    for (const wrong of ['"7"', "1.5", "1e3", "true", "{}", "null"]) {
      expect(readWith({ id }, `{"id":${wrong},"at":"${AT}"}`)).toMatchObject({ reason: "no id" });
    }
  });

  test("a record without an id has the hash of its content as id, if its source allows it", () => {
    const text = `{"at":"${AT}","kind":"x"}`;
    expect(readWith({}, text)).toMatchObject({ reason: "no id" });
    const hash = createHash("sha256").update(text).digest("hex");
    expect(readWith({ idElse: "content" }, text)).toMatchObject({ id: hash });
    expect(readWith({ id: [], idElse: "content" }, text)).toMatchObject({ id: hash });
    expect(readWith({ idElse: "content" }, `{"id":"a","at":"${AT}"}`)).toMatchObject({ id: "a" });
    // A damaged id does not count as missing.
    expect(isPoison(readWith({ idElse: "content" }, `{"id":"","at":"${AT}"}`))).toBe(true);
  });

  test.each([
    ["iso", '"2026-11-20T13:00:00.5+03:00"', Date.parse("2026-11-20T10:00:00.500Z")],
    ["iso", "1763632800", undefined],
    ["epoch-seconds", "1763632800", 1763632800000],
    ["epoch-seconds", "1763632800.1239", 1763632800123],
    ["epoch-seconds", '"1763632800"', 1763632800000],
    ["epoch-seconds", "-1", undefined],
    ["epoch-seconds", "1e9", undefined],
    ["epoch-seconds", "1763632800123456", undefined],
    ["epoch-milliseconds", "1763632800123", 1763632800123],
    ["epoch-milliseconds", "1763632800123.9", 1763632800123],
    ["epoch-milliseconds", `"${AT}"`, undefined],
  ] as const)("a time as %s: %s", (format, value, time) => {
    const item = readWith({ time: [{ path: "at", format }] }, `{"id":"a","at":${value}}`);
    expect(item.time).toBe(time);
    expect(isPoison(item)).toBe(time === undefined);
  });

  test("the first member that is present and not null counts, at any depth", () => {
    const members: EventMembers = {
      id: [
        { path: "meta.id", format: "integer" },
        { path: "uuid", format: "text" },
      ],
      time: [
        { path: "action.time", format: "epoch-seconds" },
        { path: "created", format: "iso" },
      ],
      kind: ["targets.0.kind", "details.\\.tag"],
    };
    const read = (value: object) => eventReader(members)(Buffer.from(JSON.stringify(value)));
    expect(read({ meta: { id: 7 }, uuid: "u", action: { time: 1 }, targets: [{ kind: "k" }] })).toMatchObject({
      id: "7",
      time: 1000,
      key: "k",
    });
    expect(read({ meta: [7], uuid: "u", created: AT, targets: [], details: { ".tag": "t" } })).toMatchObject({
      id: "u",
      time: Date.parse(AT),
      key: "t",
    });
    expect(read({ meta: { id: null }, uuid: "u", created: AT, action: null })).toMatchObject({ id: "u", key: "" });
    expect(read({ created: AT })).toMatchObject({ reason: "no meta.id or uuid" });
    expect(read({ uuid: "u", action: { time: "x" }, created: AT })).toMatchObject({
      reason: "action.time or created is not an instant",
    });
  });
});
