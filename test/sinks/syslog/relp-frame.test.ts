import fc from "fast-check";
import { expect, test } from "vitest";
import { frameAround, frameReader, nextTxnr, type RelpFrame } from "../../../src/sinks/syslog/relp.ts";

const anyFrame: fc.Arbitrary<RelpFrame> = fc.record({
  txnr: fc.integer({ min: 0, max: 999_999_999 }),
  command: fc.constantFrom("rsp", "serverclose", "open"),
  // Text of any length in octets, with newlines, spaces and digits that look like a head.
  data: fc.oneof(fc.constant(""), fc.string({ unit: "grapheme", minLength: 1 }), fc.constant("1 rsp 6 200 OK\n")),
});

const octetsOf = ({ txnr, command, data }: RelpFrame) => {
  const [before, after] = frameAround(txnr, command, Buffer.byteLength(data));
  return Buffer.concat([before, Buffer.from(data), after]);
};

test("frames are read back from pieces of any size", () => {
  fc.assert(
    fc.property(fc.array(anyFrame, { maxLength: 20 }), fc.array(fc.integer({ min: 1, max: 30 })), (frames, sizes) => {
      const octets = Buffer.concat(frames.map(octetsOf));
      const read = frameReader("relp://test");
      const found: RelpFrame[] = [];
      let at = 0;
      for (const size of sizes) {
        found.push(...read(octets.subarray(at, at + size)));
        at = Math.min(octets.length, at + size);
      }
      found.push(...read(octets.subarray(at)));
      expect(found).toEqual(frames);
    }),
  );
});

test("a frame is returned as soon as its last octet has arrived, and not before", () => {
  const read = frameReader("relp://test");
  const octets = Buffer.from("12 rsp 6 200 OK\n");
  const counts = [...octets].map((octet) => read(Buffer.of(octet)).length);
  expect(counts).toEqual([...Array.from({ length: octets.length - 1 }, () => 0), 1]);
});

test.each([
  ["another protocol", "HTTP/1.1 400 Bad Request\r\n"],
  ["a TLS alert", "\x15\x03\x03\0\x02\x02\x28"],
  ["a number that is too long", "1234567890 rsp 0\n"],
  ["a command that is too long", `1 ${"r".repeat(33)} 0\n`],
  ["data after the length 0", "1 rsp 0 x\n"],
  ["no data after another length", "1 rsp 6\n"],
  ["data that is longer than its length", "1 rsp 6 200 OKAY\n"],
  ["data longer than any answer", "1 rsp 999999 x"],
])("%s is not RELP", (_, text) => {
  const read = frameReader("relp://test");
  expect(() => read(Buffer.from(text, "latin1"))).toThrow("read an answer from relp://test: not RELP");
});

test("the number of a frame after 999,999,999 is 1, not 0", () => {
  expect([1, 999_999_998, 999_999_999].map(nextTxnr)).toEqual([2, 999_999_999, 1]);
});
