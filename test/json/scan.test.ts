import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ProtocolError } from "../../src/errors.ts";
import { scanAnswer } from "../../src/json/scan.ts";
import { compact } from "../../src/json/tokens.ts";

const scanText = (text: string) => scanAnswer(Buffer.from(text), { items: "data" });
const linesOf = (items: readonly Buffer[]) => items.map((item) => item.toString());
const refusal = (body: string | Buffer): ProtocolError => {
  try {
    scanAnswer(Buffer.from(body), { items: "data" }, "GET /audit_events");
  } catch (error) {
    expect(error).toBeInstanceOf(ProtocolError);
    return error as ProtocolError;
  }
  throw new Error("was taken for an answer");
};

describe("an answer is cut into items and envelope", () => {
  test("the envelope is the answer as sent, with the array empty", () => {
    const { envelope, items } = scanText('{ "data": [ {"id":"a"}, {"id":"b"} ], "meta": {"next": "x"} }');
    expect(envelope).toBe('{ "data": [], "meta": {"next": "x"} }');
    expect(linesOf(items)).toEqual(['{"id":"a"}', '{"id":"b"}']);
  });

  test("numbers, escapes, key order and duplicate keys are unchanged", () => {
    const item = String.raw`{"z":9007199254740993,"a":1.10,"b":-0,"c":1E400,"a":"\u0041\/","\u0062":[]}`;
    expect(linesOf(scanText(`{"data":[${item}]}`).items)).toEqual([item]);
  });

  test("brackets, quotes and commas inside strings are text", () => {
    const item = String.raw`{"text":"]}, \"data\":[\\","more":"\\\""}`;
    expect(linesOf(scanText(`{"text":"\\"data\\":[","data":[${item}, 1]}`).items)).toEqual([item, "1"]);
  });

  test("an item of several lines becomes one line, and its strings keep their spaces", () => {
    const { items } = scanText('{"data":[\r\n\t{\n "a" : [ 1 ,\n2 ] , "b c" : "d  e" }\n]}');
    expect(linesOf(items)).toEqual(['{"a":[1,2],"b c":"d  e"}']);
  });

  test("a compact item is not copied", () => {
    const body = Buffer.from('{"data":[ {"id":"a b"} ,7 ]}');
    for (const item of scanAnswer(body, { items: "data" }).items) expect(item.buffer).toBe(body.buffer);
  });

  test("a member with the same name further down is unchanged", () => {
    expect(linesOf(scanText('{"meta":{"data":[1]},"data":[{"data":[2]}]}').items)).toEqual(['{"data":[2]}']);
  });

  test("a key written with escapes is the same key", () => {
    expect(linesOf(scanText(String.raw`{"d\u0061ta":[1]}`).items)).toEqual(["1"]);
  });

  test("an item that is not JSON is unchanged and has no effect on its neighbours", () => {
    expect(linesOf(scanText('{"data":[{"id":tru},1 \n 2,"a" "b",{"id":"ok"}]}').items)).toEqual([
      '{"id":tru}',
      "1 2",
      '"a" "b"',
      '{"id":"ok"}',
    ]);
  });
});

describe("any other answer is a ProtocolError", () => {
  test.each([
    ["", /is empty/],
    [" \n", /is empty/],
    ["upstream timed out", /not a JSON object; it begins with "upstream timed out"/],
    ["[]", /not a JSON object/],
    ['{"data":[]}{"data":[]}', /has more data after its end/],
    ['{"data":[]} x', /has more data after its end/],
    ['{"meta":{}}', /has no "data"/],
    ['{"data":null}', /"data" of the answer is not an array/],
    ['{"data":{}}', /"data" of the answer is not an array/],
    ['{"data":[],"data":[]}', /has "data" twice/],
    [String.raw`{"data":[],"d\u0061ta":[]}`, /has "data" twice/],
    ['{"data":[1,]}', /there is a trailing comma/],
    ['{"data":[,1]}', /a value is missing/],
    ['{"data":[{]}]}', /brackets do not match/],
    ['{"data":[]"meta":1}', /a comma is missing/],
    ['{"data" []}', /a colon is missing/],
    ["{data:[]}", /a key is missing/],
    ['{"data":[],"meta":tru}', /not a JSON object/],
    ['\uFEFF{"data":[]}', /byte order mark/],
  ])("%j", (body, message) => {
    const error = refusal(body);
    expect(error.message).toMatch(message);
    expect(error.message).toMatch(/^GET \/audit_events: /);
  });

  test("a web page is reported as such, with a hint", () => {
    const error = refusal("\r\n<!DOCTYPE html>\n<html><title>Sign in</title></html>");
    expect(error.message).toMatch(/the answer is HTML/);
    expect(error.hint).toMatch(/baseUrl/);
  });

  test("the part in the message is short and printable", () => {
    const error = refusal(Buffer.concat([Buffer.from([0, 7, 27, 255]), Buffer.from("secret ".repeat(100))]));
    // eslint-disable-next-line no-control-regex
    expect(error.message).not.toMatch(/[\0-\x1f]/);
    expect(error.message.length).toBeLessThan(140);
  });

  test("an envelope that is not UTF-8", () => {
    const body = Buffer.from('{"data":[],"next":"?"}');
    body[body.indexOf("?")] = 0xff;
    expect(refusal(body).message).toMatch(/not UTF-8/);
  });

  test("nesting deeper than the limit, in the items and beside them", () => {
    const deep = (levels: number) => "[".repeat(levels) + "]".repeat(levels);
    expect(scanText(`{"data":[${deep(256)}]}`).items).toHaveLength(1);
    expect(refusal(`{"data":[${deep(257)}]}`).message).toMatch(/deeper than 256/);
    expect(refusal(`{"data":[],"meta":${deep(100_000)}}`).message).toMatch(/deeper than 256/);
  });

  test("an answer truncated at any byte", () => {
    const body = Buffer.from(String.raw`{"data":[{"id":"a\"b","n":[1,2]},{"id":"é"}],"meta":{"next":"x"}}`);
    for (let length = 0; length < body.length; length++) {
      expect(() => scanAnswer(body.subarray(0, length), { items: "data" })).toThrow(ProtocolError);
    }
  });
});

describe("for any document", () => {
  const indent = fc.oneof(fc.integer({ min: 0, max: 10 }), fc.constantFrom("\t", "\r\n", " \t\n"));

  test("the items are those that JSON.parse reads, compact, whatever the indentation", () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), fc.jsonValue(), fc.boolean(), indent, (data, meta, dataFirst, space) => {
        const document = dataFirst ? { data, meta } : { meta, data };
        const { envelope, items } = scanText(JSON.stringify(document, null, space));
        expect(linesOf(items)).toEqual(data.map((item) => JSON.stringify(item)));
        expect(JSON.parse(envelope)).toEqual(JSON.parse(JSON.stringify({ ...document, data: [] })));
      }),
    );
  });

  test("a compact record is equal to the output of JSON.stringify", () => {
    fc.assert(
      fc.property(fc.jsonValue(), indent, (value, space) => {
        const text = ` ${JSON.stringify(value, null, space)}\n`;
        expect(compact(Buffer.from(text)).toString()).toBe(JSON.stringify(value));
      }),
    );
  });

  test("a damaged answer is refused, or JSON.parse reads the same from it", () => {
    const damage = fc.constantFrom(...Array.from('{}[],:" \\\n1ae'), "\0", "é");
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), indent, fc.nat(), fc.nat(2), damage, (data, space, place, gone, put) => {
        const whole = JSON.stringify({ data, meta: { next: "x" } }, null, space);
        const at = place % whole.length;
        const text = whole.slice(0, at) + put + whole.slice(at + gone);
        let parsed: unknown[];
        try {
          parsed = scanText(text).items.map((item): unknown => JSON.parse(item.toString()));
        } catch (error) {
          expect(error instanceof ProtocolError || error instanceof SyntaxError).toBe(true);
          return;
        }
        expect((JSON.parse(text) as { data: unknown }).data).toEqual(parsed);
      }),
      { numRuns: 2000 },
    );
  });

  test("any bytes lead to an answer or a ProtocolError, and it terminates", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.array(fc.constantFrom(...Buffer.from('{}[],:"\\ \ndat1')), { maxLength: 60 }),
    );
    fc.assert(
      fc.property(bytes, fc.boolean(), (noise, framed) => {
        const body = Buffer.from([
          ...Buffer.from(framed ? '{"data":[' : ""),
          ...noise,
          ...Buffer.from(framed ? "]}" : ""),
        ]);
        try {
          scanAnswer(body, { items: "data" });
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolError);
        }
        expect(compact(body).length).toBeLessThanOrEqual(body.length);
      }),
      { numRuns: 2000 },
    );
  });
});
