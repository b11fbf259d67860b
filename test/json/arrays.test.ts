import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ProtocolError } from "../../src/errors.ts";
import { scanAnswer } from "../../src/json/scan.ts";

function scanText(text: string, ...members: readonly string[]) {
  const { envelope, lists: arrays } = scanAnswer(Buffer.from(text), { lists: members }, "POST /query");
  return { envelope, arrays: Object.fromEntries([...arrays].map(([name, items]) => [name, items.map(String)])) };
}

describe("several arrays of one answer", () => {
  test("are cut out wherever they are, and the envelope is the rest as sent", () => {
    const text = '{ "b": [ {"n" : 1.10}, 9007199254740993 ], "status": "ok", "a": [], "more": [1], "next": "x" }';
    expect(scanText(text, "a", "b", "c")).toEqual({
      envelope: '{ "b": [], "status": "ok", "a": [], "more": [1], "next": "x" }',
      arrays: { a: [], b: ['{"n":1.10}', "9007199254740993"] },
    });
  });

  test("are optional: other values, and arrays further down, stay in the envelope", () => {
    const text = '{"a":null,"b":{"c":[1]},"c":"[]"}';
    expect(scanText(text, "a", "b", "c")).toEqual({ envelope: text, arrays: {} });
  });

  test("may have items that are not JSON or not UTF-8, without effect on the others", () => {
    const body = Buffer.from('{"a":["?"],"b":[tru,{"id":"ok"}]}');
    body[body.indexOf("?")] = 0xff;
    const { envelope, lists: arrays } = scanAnswer(body, { lists: ["a", "b"] });
    expect(envelope).toBe('{"a":[],"b":[]}');
    expect(arrays.get("a")).toEqual([Buffer.from([0x22, 0xff, 0x22])]);
    expect(arrays.get("b")!.map(String)).toEqual(["tru", '{"id":"ok"}']);
  });

  test.each([
    ["", /is empty/],
    ["[]", /not a JSON object/],
    ["<html>", /is HTML/],
    ['{"a":[]} x', /has more data after its end/],
    [String.raw`{"a":[],"\u0061":[]}`, /has "a" twice/],
    ['{"a":[1,]}', /there is a trailing comma/],
    ['{"a":[],"n":tru}', /not a JSON object/],
  ])("refuses %j", (text, message) => {
    expect(() => scanText(text, "a", "b")).toThrow(ProtocolError);
    expect(() => scanText(text, "a", "b")).toThrow(message);
  });

  test("refuses an answer truncated at any byte", () => {
    const text = String.raw`{"a":[{"id":"a\"b"},1],"n":"x","b":["é"]}`;
    const body = Buffer.from(text);
    for (let length = 0; length < body.length; length++) {
      expect(() => scanAnswer(body.subarray(0, length), { lists: ["a", "b"] })).toThrow(ProtocolError);
    }
  });

  test("have the items that JSON.parse reads, compact, in any document", () => {
    const list = fc.array(fc.jsonValue(), { maxLength: 4 });
    fc.assert(
      fc.property(list, fc.jsonValue(), list, fc.integer({ min: 0, max: 4 }), (a, n, b, space) => {
        const { envelope, arrays } = scanText(JSON.stringify({ a, n, b }, null, space), "b", "a");
        expect(arrays).toEqual({ a: a.map((item) => JSON.stringify(item)), b: b.map((item) => JSON.stringify(item)) });
        expect(JSON.parse(envelope)).toEqual(JSON.parse(JSON.stringify({ a: [], n, b: [] })));
      }),
    );
  });
});
