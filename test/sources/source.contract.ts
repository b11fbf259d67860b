import { describe, expect, test } from "vitest";
import { ExporterError } from "../../src/errors.ts";
import { isPoison, type AuditEvent, type Source } from "../../src/source.ts";
import { epochMs, type EpochMs, type Span } from "../../src/time.ts";

/** The token that `open` gives the source. It must not appear anywhere. */
export const CONTRACT_TOKEN = "contract-canary-0123456789";

export interface Happened {
  readonly id: string;
  readonly time: EpochMs;
}

/** The state that a test wants an API to have. */
export interface ApiState {
  /** All events in its log, oldest first. */
  readonly history: readonly Happened[];
  /** `away`: 503. `refusing`: 401. `cut`: each body is truncated. `nonsense`: 200 with a web page. */
  readonly mood: "well" | "away" | "refusing" | "cut" | "nonsense";
}

const never = new AbortController().signal;
const FROM = Date.UTC(2026, 10, 20, 10);
const span: Span = { from: epochMs(FROM), to: epochMs(FROM + 300_000) };

/** Digits, for APIs with integer ids: too many for a JavaScript number. */
const idAt = (index: number) => String(1_152_922_976_252_290_800n + BigInt(index));

/** `count` events, evenly over the five minutes of `span`, with neighbours outside, and several in one millisecond. */
function pachcaHistory(count: number): Happened[] {
  const inside = Array.from({ length: count }, (_, index) => ({
    id: idAt(index),
    time: epochMs(FROM + Math.floor((index * 300_000) / count / 3) * 3),
  }));
  const outside = [-3_600_000, 3_600_000].map((away) => ({
    id: idAt(count + (away > 0 ? 1 : 2)),
    time: epochMs(FROM + away),
  }));
  return [...outside.slice(0, 1), ...inside, ...outside.slice(1)];
}

const isIn = (span: Span) => (event: Happened) => event.time >= span.from && event.time < span.to;
const idsOf = (events: readonly Happened[]) => [...new Set(events.map(({ id }) => id))].sort();

async function eventsOf(source: Source, span: Span, signal: AbortSignal = never): Promise<AuditEvent[]> {
  const events: AuditEvent[] = [];
  for await (const page of source.pages(span, signal)) {
    expect(page.poison).toEqual([]);
    events.push(...page.events);
  }
  return events;
}

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** The behaviour of every source. `open` opens a source for a test, with that test's own server. */
export function sourceContract(name: string, open: (state: ApiState) => Promise<Source>): void {
  describe(`${name}, as a source`, () => {
    const well = (count: number) => open({ history: pachcaHistory(count), mood: "well" });

    test("returns every event of a span, from many pages", async () => {
      const events = (await eventsOf(await well(230), span)).filter(isIn(span));
      expect(idsOf(events)).toEqual(idsOf(pachcaHistory(230).filter(isIn(span))));
    });

    test("returns each event with its own time", async () => {
      const times = new Map(pachcaHistory(60).map(({ id, time }) => [id, time]));
      for (const { id, time } of await eventsOf(await well(60), span)) expect(time).toBe(times.get(id));
    });

    test("returns no events for a quiet span", async () => {
      const quiet = { from: epochMs(FROM + 600_000), to: epochMs(FROM + 900_000) };
      expect((await eventsOf(await well(60), quiet)).filter(isIn(quiet))).toEqual([]);
    });

    test("loses nothing between two adjacent spans", async () => {
      const source = await well(120);
      const middle = pachcaHistory(120)[60]!.time;
      const halves = [
        { from: span.from, to: middle },
        { from: middle, to: span.to },
      ];
      const parts = await Promise.all(halves.map(async (half) => (await eventsOf(source, half)).filter(isIn(half))));
      expect(idsOf(parts.flat())).toEqual(idsOf(pachcaHistory(120).filter(isIn(span))));
      expect(parts.flat()).toHaveLength(120);
    });

    test("returns each event as one line, and reads the same event from it", async () => {
      const source = await well(60);
      for (const event of await eventsOf(source, span)) {
        expect(event.record.includes("\n")).toBe(false);
        expect(JSON.parse(event.record.toString())).toBeTypeOf("object");
        expect(source.read(Buffer.from(event.record))).toEqual(event);
      }
    });

    test.each(["", "null", "7", "[]", "{}", '{"id":7}', "{", "\u0000"])("reads %j as poison", async (text) => {
      const record = Buffer.from(text);
      const item = (await well(0)).read(record);
      expect(isPoison(item)).toBe(true);
      expect(item.record).toEqual(record);
    });

    test("can be interrupted and called again", async () => {
      const source = await well(120);
      for await (const page of source.pages(span, never)) if (page.events.length > 0) break;
      expect((await eventsOf(source, span)).filter(isIn(span))).toHaveLength(120);
    });

    test("throws the reason of an abort, before a request and between two requests", async () => {
      const source = await well(120);
      const reason = new Error("stopping");
      await expect(eventsOf(source, span, AbortSignal.abort(reason))).rejects.toBe(reason);
      const stop = new AbortController();
      const read = async () => {
        for await (const _ of source.pages(span, stop.signal)) stop.abort(reason);
      };
      await expect(read()).rejects.toBe(reason);
    });

    test.each([
      ["away", ["TransientError"]],
      ["refusing", ["RefusedError"]],
      ["cut", ["TransientError"]],
      ["nonsense", ["ProtocolError"]],
    ] as const)("throws, and does not end normally, when the API is %s", async (mood, names) => {
      const source = await open({ history: pachcaHistory(60), mood });
      const error: unknown = await eventsOf(source, span).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(ExporterError);
      expect(names).toContain((error as ExporterError).name);
      expect(String((error as ExporterError).stack)).not.toContain(CONTRACT_TOKEN);
    });

    test("knows the API's clock to a few seconds, even before the first request", async () => {
      const source = await well(1);
      expect(Math.abs(await source.clockOffsetMs(never))).toBeLessThan(10_000);
      await eventsOf(source, span);
      expect(Math.abs(await source.clockOffsetMs(never))).toBeLessThan(10_000);
    });

    test("has an identity that is plain JSON and does not contain the token", async () => {
      const source = await well(0);
      const text = JSON.stringify([source.identity, source.selection]);
      expect(text).not.toContain(CONTRACT_TOKEN);
      expect(JSON.parse(text)).toEqual([source.identity, source.selection]);
    });

    test("passes the preflight when all is well", async () => {
      const findings = await all((await well(60)).check(never));
      expect(findings.length).toBeGreaterThan(0);
      expect(findings.filter(({ state }) => state === "failed")).toEqual([]);
    });

    test.each(["away", "refusing", "cut", "nonsense"] as const)(
      "fails the preflight, without throwing, when the API is %s",
      async (mood) => {
        const findings = await all((await open({ history: [], mood })).check(never));
        expect(findings.map(({ state }) => state)).toContain("failed");
        expect(JSON.stringify(findings)).not.toContain(CONTRACT_TOKEN);
      },
    );

    test("throws the reason of an abort from the preflight", async () => {
      const reason = new Error("stopping");
      const source = await well(0);
      await expect(all(source.check(AbortSignal.abort(reason)))).rejects.toBe(reason);
    });
  });
}
