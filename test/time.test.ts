import fc from "fast-check";
import { Temporal } from "temporal-polyfill";
import { describe, expect, test } from "vitest";
import {
  compactInstant,
  epochMs,
  formatDuration,
  formatInstant,
  formatSpan,
  parseDuration,
  parseInstant,
} from "../src/time.ts";

/** What Temporal reads, in milliseconds rounded down; undefined if it refuses. */
function oracle(text: string): number | undefined {
  try {
    return Temporal.Instant.from(text).epochMilliseconds;
  } catch {
    return undefined;
  }
}

const pad = (value: number, width = 2) => String(value).padStart(width, "0");
const usually = (max: number, over: number) =>
  fc.oneof({ weight: 20, arbitrary: fc.nat(max) }, { weight: 1, arbitrary: fc.nat(over) });
const zone = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom("Z", "z", "+00:00", "-00:00", "+0530") },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom("+", "-"), usually(23, 99), usually(59, 99)) },
);

/** RFC 3339 texts, most of them valid, some with a field that is zero or too large. Temporal accepts leap seconds, we do not. */
const text = fc
  .record({
    year: fc.integer({ min: 100, max: 9999 }),
    month: usually(13, 99),
    day: usually(31, 99),
    hour: usually(23, 99),
    minute: usually(59, 99),
    second: usually(59, 99).filter((second) => second !== 60),
    fraction: fc.oneof(fc.constant(""), fc.stringMatching(/^\.\d{1,9}$/), fc.stringMatching(/^\.\d{3}$/)),
    zone,
  })
  .map(({ year, month, day, hour, minute, second, fraction, zone }) => {
    const offset = typeof zone === "string" ? zone : `${zone[0]}${pad(zone[1])}:${pad(zone[2])}`;
    const date = `${pad(year, 4)}-${pad(month)}-${pad(day)}`;
    return `${date}T${pad(hour)}:${pad(minute)}:${pad(second)}${fraction}${offset}`;
  });

const instant = fc.integer({ min: Date.UTC(1900, 0), max: Date.UTC(9999, 11, 31) }).map(epochMs);

describe("an instant", () => {
  test("is read as Temporal reads it, and refused where Temporal refuses", () => {
    fc.assert(
      fc.property(text, (text) => {
        expect(parseInstant(text)).toBe(oracle(text));
      }),
      { numRuns: 5000 },
    );
  });

  test("reads the same in the usual form, with more digits of the fraction, and with an offset of zero", () => {
    fc.assert(
      fc.property(instant, (at) => {
        const usual = new Date(at).toISOString();
        expect(parseInstant(usual)).toBe(at);
        expect(parseInstant(usual.replace("Z", "999999Z"))).toBe(at);
        expect(parseInstant(usual.replace("Z", "+00:00"))).toBe(at);
      }),
    );
  });

  test("that was formatted reads back the same", () => {
    fc.assert(
      fc.property(instant, (at) => {
        expect(parseInstant(formatInstant(at))).toBe(at);
      }),
    );
  });

  test("with one character changed is refused, or read as Temporal reads it", () => {
    const other = fc.constantFrom("0", "9", "-", ":", " ", "T", "Z", ".", "x", "٣");
    fc.assert(
      fc.property(instant, fc.nat(23), other, (at, place, put) => {
        const usual = new Date(at).toISOString();
        const text = usual.slice(0, place) + put + usual.slice(place + 1);
        if (/:60\./.test(text) || text.startsWith("0") || text.startsWith("-")) return;
        const read = parseInstant(text);
        if (read !== undefined) expect(read).toBe(oracle(text));
      }),
    );
  });

  test.each([
    "2026-02-30T00:00:00.000Z",
    "2026-02-29T00:00:00.000Z",
    "2026-04-31T00:00:00.000Z",
    "2026-00-10T00:00:00.000Z",
    "2026-13-10T00:00:00.000Z",
    "2026-11-20T24:00:00.000Z",
    "2026-11-20T10:60:00.000Z",
    "2026-11-20T10:00:60.000Z",
    "2026-11-20T10:00:00.000",
    "2026-11-20T10:00:00",
    "2026-11-20",
    "2026-11-20T10:00:00.Z",
    "2026-11-20T10:00:00.1234567890Z",
    " 2026-11-20T10:00:00Z",
    "2026-11-20T10:00:00Z\n",
    "1763632800",
    "",
  ])("%j is refused", (text) => {
    expect(parseInstant(text)).toBeUndefined();
  });

  test("before 1970 stays on its side of a bound, too", () => {
    expect(parseInstant("1969-12-31T23:59:59.9999Z")).toBe(-1);
    expect(parseInstant("1969-12-31T23:59:59.9991Z")).toBe(-1);
  });

  test("on a leap day is read", () => {
    expect(parseInstant("2024-02-29T12:00:00.500Z")).toBe(Date.UTC(2024, 1, 29, 12, 0, 0, 500));
  });

  test("is written in UTC whatever the machine's time zone, with milliseconds only if they are not zero", () => {
    const at = epochMs(Date.UTC(2026, 10, 20, 10, 5));
    expect(formatInstant(at)).toBe("2026-11-20T10:05:00Z");
    expect(formatInstant(epochMs(at + 7))).toBe("2026-11-20T10:05:00.007Z");
    expect(compactInstant(at)).toBe("20261120T100500Z");
    expect(formatSpan({ from: at, to: epochMs(at + 300_000) })).toBe("2026-11-20T10:05:00Z/2026-11-20T10:10:00Z");
  });
});

describe("a duration", () => {
  test("that was formatted reads back the same", () => {
    fc.assert(
      fc.property(fc.nat({ max: 1e14 }), (durationMs) => {
        expect(parseDuration(formatDuration(durationMs))).toBe(durationMs);
      }),
    );
  });

  test.each([
    ["90s", 90_000],
    ["1h30m", 5_400_000],
    ["250ms", 250],
    ["365d", 31_536_000_000],
    ["0s", 0],
  ])("%s is read", (text, durationMs) => {
    expect(parseDuration(text)).toBe(durationMs);
  });

  test.each(["", "5", "5 m", "-5m", "1.5h", "m", "5M", "1y", `${"9".repeat(20)}d`])("%j is refused", (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });
});
