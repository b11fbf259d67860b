import { expect, test } from "vitest";
import { ProtocolError } from "../../src/errors.ts";
import { readAhead, type ReadAhead } from "../../src/export/read-ahead.ts";
import type { AuditEvent, Source } from "../../src/source.ts";
import { epochMs, formatSpan, MINUTE_MS, type Span } from "../../src/time.ts";
import { event, eventsOver, memorySource, never, START } from "../support/world.ts";

const minute = (index: number): Span => ({
  from: epochMs(START + index * MINUTE_MS),
  to: epochMs(START + (index + 1) * MINUTE_MS),
});
const spans = (count: number): Span[] => Array.from({ length: count }, (_, index) => minute(index));
const hour = eventsOver(START, minute(60).from, 3000);

async function collect(reader: ReadAhead, span: Span, ahead: Iterable<Span> = [], signal = never) {
  const found: AuditEvent[] = [];
  for await (const { events } of reader.read(span, ahead, signal)) found.push(...events);
  return found.map(({ id }) => id);
}

/** The same source, which records what was requested, and how much at once. */
function watched(source: Source) {
  const requested: string[] = [];
  const load = { now: 0, peak: 0, aborted: 0 };
  const pages: Source["pages"] = async function* (span, signal) {
    requested.push(formatSpan(span));
    load.peak = Math.max(load.peak, ++load.now);
    const abort = () => load.aborted++;
    signal.addEventListener("abort", abort);
    try {
      yield* source.pages(span, signal);
    } finally {
      signal.removeEventListener("abort", abort);
      load.now--;
    }
  };
  return { source: { ...source, pages }, requested, load };
}

const idsWithin = ({ from, to }: Span) => hour.filter(({ time }) => time >= from && time < to).map(({ id }) => id);

test("each span has its own events, once and in order, however much is fetched at once", async () => {
  for (const parallel of [1, 2, 7, 64]) {
    const reader = readAhead(memorySource(hour), parallel);
    const all = spans(60);
    for (const [index, span] of all.entries()) {
      expect(await collect(reader, span, all.slice(index + 1)), formatSpan(span)).toEqual(idsWithin(span));
    }
    reader.close();
  }
});

test("the result does not depend on how the time is cut: one span of an hour equals sixty of a minute", async () => {
  const whole = await collect(readAhead(memorySource(hour), 5), { from: START, to: minute(60).from });
  expect(whole).toEqual(hour.map(({ id }) => id));
});

test("events of one instant come in order of their ids, whatever the pages say", async () => {
  const same = ["c", "a", "b"].map((id) => event(id, START));
  expect(await collect(readAhead(memorySource(same), 3), minute(0))).toEqual(["a", "b", "c"]);
});

test("what is outside of the span is left out: its end belongs to the next span", async () => {
  const edge = [
    event("first", minute(1).from),
    event("last", epochMs(minute(2).from - 1)),
    event("next", minute(2).from),
  ];
  expect(await collect(readAhead(memorySource(edge), 3), minute(1))).toEqual(["first", "last"]);
});

test("at most `parallel` spans are requested at once, and each is requested once", async () => {
  const { source, requested, load } = watched(memorySource(hour));
  const reader = readAhead(source, 4);
  const all = spans(60);
  for (const [index, span] of all.entries()) await collect(reader, span, all.slice(index + 1));
  expect(load.peak).toBeGreaterThan(1);
  expect(load.peak).toBeLessThanOrEqual(4);
  expect(new Set(requested).size).toBe(requested.length);
});

test("reading another span than the next drops what was fetched, and the result is right", async () => {
  const reader = readAhead(memorySource(hour), 4);
  await collect(reader, minute(0), spans(60).slice(1));
  expect(await collect(reader, minute(30), [])).toEqual(idsWithin(minute(30)));
  expect(await collect(reader, minute(1), [])).toEqual(idsWithin(minute(1)));
});

test("a failure ahead is thrown when its turn comes, and not before", async () => {
  const source = memorySource(hour);
  const pages: Source["pages"] = async function* (span, signal) {
    if (span.from < minute(3).to && span.to > minute(3).from) throw new ProtocolError("the third is broken");
    yield* source.pages(span, signal);
  };
  const reader = readAhead({ ...source, pages }, 8);
  const all = spans(6);
  for (const index of [0, 1, 2]) {
    expect(await collect(reader, minute(index), all.slice(index + 1))).toEqual(idsWithin(minute(index)));
  }
  await expect(collect(reader, minute(3), all.slice(4))).rejects.toThrow("the third is broken");
});

test("an abort ends the requests under way, with its reason", async () => {
  const stop = new AbortController();
  const { source } = watched(memorySource(hour));
  const pages: Source["pages"] = async function* (_, signal) {
    yield { events: [], poison: [] };
    await new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason as Error));
      setImmediate(() => stop.abort(new Error("enough")));
    });
  };
  const reader = readAhead({ ...source, pages }, 2);
  await expect(collect(reader, minute(0), [], stop.signal)).rejects.toThrow("enough");
});

test("items that cannot be exported come with their span", async () => {
  const poison = [{ reason: "no id", record: Buffer.from("{}") }];
  const found: string[] = [];
  const reader = readAhead(memorySource([], { poison }), 2);
  for await (const fetched of reader.read(minute(0), [], never)) {
    found.push(...fetched.poison.map(({ reason }) => reason));
  }
  expect(found).toEqual(["no id"]);
});
