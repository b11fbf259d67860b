import fc from "fast-check";
import { expect, test } from "vitest";
import { recordReader } from "../../src/json/record.ts";
import { scanAnswer } from "../../src/json/scan.ts";

const NAMES = ["id", "created_at", "event_key"];
const reader = recordReader(NAMES.map((path) => [{ path, type: "string" }]));

/** What the reader reads from a text that begins with a record, and what the parser reads from the same bytes. */
function bothOf(text: string | Buffer) {
  const body = Buffer.from(text as string);
  const end = reader.end(body, 0);
  return { end, strings: end < 0 ? undefined : reader.values(body), body };
}

function parsed(body: Buffer): Record<string, unknown> | undefined {
  try {
    return JSON.parse(body.toString("utf8")) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

const member = fc.oneof(fc.string({ unit: "binary" }), fc.string(), fc.jsonValue());
const record = fc.tuple(
  fc.dictionary(fc.oneof(fc.constantFrom(...NAMES, "user_agent", "idea"), fc.string()), fc.jsonValue()),
  fc.record({ id: member, created_at: member, event_key: member }, { requiredKeys: [] }),
);

test("a plain record has the members that a parser reads", () => {
  fc.assert(
    fc.property(record, ([some, own]) => {
      const text = JSON.stringify({ ...some, ...own });
      const { end, strings, body } = bothOf(text);
      if (end < 0) return;
      expect(end).toBe(body.length);
      const value = parsed(body);
      const members = NAMES.map((name) => value?.[name]);
      if (strings === undefined) return;
      expect(strings).toEqual(members);
    }),
    { numRuns: 2000 },
  );
});

test("a record with some bytes changed is plain only if a parser still accepts it", () => {
  const change = fc.record({
    at: fc.nat(400),
    byte: fc.constantFrom(...Buffer.from('{}[],:"\\eE+-.0123u \n\x01tfnx\xff')),
  });
  // Ten damaged copies of each record, because creating a record takes longer than checking it.
  const copies = fc.array(fc.array(change, { minLength: 1, maxLength: 3 }), { minLength: 10, maxLength: 10 });
  fc.assert(
    fc.property(record, copies, ([some, own], damages) => {
      for (const changes of damages) {
        const body = Buffer.from(JSON.stringify({ number: -1.5e3, list: [1, true, null], ...some, ...own }));
        for (const { at, byte } of changes) if (at < body.length) body[at] = byte;
        const end = reader.end(body, 0);
        if (end < 0) continue;
        const value = parsed(body.subarray(0, end));
        expect(value).toBeDefined();
        const strings = reader.values(body);
        if (strings !== undefined) expect(strings).toEqual(NAMES.map((name) => value?.[name]));
      }
    }),
    { numRuns: 500 },
  );
});

test.each([
  '{"id":"a"}x',
  '{"id":"a",}',
  '{"id":"a"',
  '{"id":"a}',
  '{"id" :"a"}',
  '{"n":01}',
  '{"n":+1}',
  '{"n":1.}',
  '{"n":.5}',
  '{"n":1e}',
  '{"n":-}',
  '{"n":tru}',
  '{"n":nul}',
  '{"n":"\\x"}',
  '{"n":"\\u12g4"}',
  '{"n":"a\tb"}',
  '{"n":[1,]}',
  '{"n":[1 ,2]}',
  '{"n":{"a"}}',
  '{"i\\u0064":"a"}',
  "[1]",
  '"a"',
  "",
])("%j is left to the parser, or ends where it ends", (text) => {
  const { end, body } = bothOf(text);
  if (end >= 0) expect(parsed(body.subarray(0, end))).toBeDefined();
  else expect(end).toBe(-1);
  expect(end === body.length && end > 0).toBe(false);
});

test("a record with any letters, numbers of any size and escapes in its values is plain", () => {
  const text =
    '{"id":"a-1","created_at":"2026-11-01T00:00:00Z","event_key":"user_login","details":{"имя":"Ёж","n":9007199254740993,' +
    String.raw`"x":[1.10,-0,1E400,{}],"s":"\u0041\"\\/"},"ip":null,"ok":true}`;
  const { end, strings, body } = bothOf(text);
  expect(end).toBe(body.length);
  expect(strings).toEqual(["a-1", "2026-11-01T00:00:00Z", "user_login"]);
});

test("the last of two members with one name counts, and the parser reads one that is not a plain string", () => {
  expect(bothOf('{"id":"a","id":"b","created_at":"","event_key":"k"}').strings).toEqual(["b", "", "k"]);
  for (const last of ["1", "null", '"\\u0041"', "{}"]) {
    expect(bothOf(`{"id":"a","id":${last},"created_at":"","event_key":"k"}`).strings).toBeUndefined();
  }
  expect(bothOf('{"id":"a","event_key":"k"}').strings).toBeUndefined();
});

test("a record that is nested too deep needs the parser", () => {
  const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;
  expect(bothOf(nested(20)).end).toBeGreaterThan(0);
  expect(bothOf(nested(100_000)).end).toBe(-1);
});

test("any answer is cut into the same items with and without a record reader", () => {
  const item = fc.oneof(
    record.map(([some, own]) => JSON.stringify({ ...some, ...own })),
    fc.jsonValue().map((value) => JSON.stringify(value, undefined, 1)),
    fc.constantFrom('{"id":tru}', '{"id":"a"} x', '{"id":"a"}{}', '{"a":1}"b"'),
  );
  fc.assert(
    fc.property(fc.array(item, { maxLength: 5 }), (items) => {
      const body = Buffer.from(`{"data":[${items.join(",")}],"meta":{}}`);
      const without = scanAnswer(body, { items: "data" });
      const read = scanAnswer(body, { items: "data" }, "read", reader);
      expect(read.items.map(String)).toEqual(without.items.map(String));
      expect(read.envelope).toBe(without.envelope);
      expect(read.values).toHaveLength(items.length);
    }),
  );
});
