import { once } from "node:events";
import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { readAhead } from "../../src/export/read-ahead.ts";
import type { AuditEvent, Source } from "../../src/source.ts";
import { epochMs, HOUR_MS, MINUTE_MS, SECOND_MS, type EpochMs, type Span } from "../../src/time.ts";
import { memorySource, never, START } from "../support/world.ts";

const MIB = 1024 * 1024;
const hour: Span = { from: START, to: epochMs(START + HOUR_MS) };
const after = (ms: number): EpochMs => epochMs(START + ms);

/** One record for all: only its length counts here. */
const large = Buffer.alloc(16 * 1024, "x");
const events = (count: number, timeOf: (index: number) => EpochMs, record = large): AuditEvent[] =>
  Array.from({ length: count }, (_, index) => ({
    id: String((index * 7919) % count).padStart(8, "0"),
    time: timeOf(index),
    key: "user_login",
    record,
  }));

/** The same source, which counts its requests and the bytes that were given and not handed over yet. */
function counted(history: readonly AuditEvent[], pageSize: number) {
  const source = memorySource(history, { pageSize });
  const seen = { requests: 0, spans: 0, given: 0, takenAtMost: 0, held: 0, peak: 0 };
  const pages: Source["pages"] = async function* ({ from, to }, signal) {
    seen.spans++;
    let mine = 0;
    try {
      for await (const page of source.pages({ from, to }, signal)) {
        seen.requests++;
        for (const { time, record } of page.events) if (time >= from && time < to) mine += record.length;
        seen.peak = Math.max(seen.peak, seen.held + mine);
        yield page;
      }
      seen.held += mine;
    } finally {
      seen.given += mine;
    }
  };
  return { source: { ...source, pages }, seen };
}

async function readAll(source: Source, parallel: number, span: Span, onChunk: (bytes: number) => Promise<void>) {
  const found: AuditEvent[] = [];
  for await (const chunk of readAhead(source, parallel).read(span, [], never)) {
    found.push(...chunk.events);
    await onChunk(chunk.events.reduce((sum, { record }) => sum + record.length, 0));
  }
  return found.map(({ time, id }) => `${time} ${id}`);
}

const inOrder = (history: readonly AuditEvent[]) =>
  history.map(({ time, id }) => `${time} ${id}`).sort((one, other) => (one < other ? -1 : 1));

test.each([
  { name: "one hour", history: events(12_000, (index) => after(index * 300)), parallel: 1, most: 4 + 8 },
  { name: "one hour", history: events(12_000, (index) => after(index * 300)), parallel: 8, most: 16 + 8 },
  { name: "one second", history: events(12_000, (index) => after(Math.floor(index / 12))), parallel: 1, most: 4 + 8 },
  { name: "one second", history: events(12_000, (index) => after(Math.floor(index / 12))), parallel: 8, most: 16 + 8 },
])("a burst of 187 MiB in $name is read $parallel at once with at most $most MiB held", async (given) => {
  const { source, seen } = counted(given.history, 50);
  const found = await readAll(source, given.parallel, hour, async (bytes) => {
    // A slow consumer is not flooded: what is fetched meanwhile is bounded.
    for (let turns = 0; turns < 50; turns++) await turn();
    seen.held -= bytes;
  });
  expect(found).toEqual(inOrder(given.history));
  // The bound, and one page for each parallel fetch.
  expect(seen.peak).toBeLessThan(given.most * MIB + given.parallel * 50 * large.length);
});

test("an instant with more events than may be held is read several times: in order of ids, each event once", async () => {
  const history = events(5000, () => after(1234));
  const { source, seen } = counted(history, 50);
  const chunks: number[] = [];
  const found = await readAll(source, 2, hour, async (bytes) => void chunks.push(bytes));
  expect(found).toEqual(inOrder(history));
  expect(Math.max(...chunks)).toBeLessThanOrEqual(32 * MIB);
  expect(seen.requests).toBeGreaterThan(200);
});

test("a span far ahead waits instead of piling up, and continues when its turn comes", async () => {
  const history = events(12_000, (index) => after(index * 300));
  const { source, seen } = counted(history, 50);
  const reading = readAhead(source, 4).read(hour, [], never);
  await reading.next();
  // Nothing more is read, so the requests under way come to rest.
  for (let turns = 0, last = -1; turns < 200 || last !== seen.requests; turns++) {
    last = seen.requests;
    await turn();
  }
  const resting = seen.requests;
  expect(resting).toBeLessThan(100);
  for await (const chunk of reading) expect(chunk.poison).toEqual([]);
  expect(seen.requests).toBeGreaterThanOrEqual(240);
});

test("empty spans hold nothing, but at most a few hundred of them are fetched ahead", async () => {
  const { source, seen } = counted([], 50);
  const years = Array.from({ length: 5000 }, (_, index): Span => {
    const from = after(index * HOUR_MS);
    return { from, to: epochMs(from + HOUR_MS) };
  });
  const reading = readAhead(source, 16).read(hour, years.slice(1), never);
  await reading.next();
  for (let turns = 0, last = -1; turns < 200 || last !== seen.spans; turns++) {
    last = seen.spans;
    await turn();
  }
  expect(seen.spans).toBeGreaterThan(16);
  expect(seen.spans).toBeLessThan(300);
});

test("an abort ends what waits for its turn, with the reason", async () => {
  const stop = new AbortController();
  const { source, seen } = counted(
    events(12_000, (index) => after(index * 300)),
    50,
  );
  const reading = readAhead(source, 4).read(hour, [], stop.signal);
  await reading.next();
  for (let turns = 0; turns < 200; turns++) await turn();
  stop.abort(new Error("enough"));
  await expect(reading.next()).rejects.toThrow("enough");
  const { requests } = seen;
  for (let turns = 0; turns < 50; turns++) await turn();
  expect(seen.requests).toBe(requests);
});

test("a burst at the end of a quiet hour does not cut the quiet part into thousands of spans", async () => {
  const small = Buffer.from("{}");
  const quiet = events(300, (index) => after(index * 11_000), small);
  const burst = events(20_000, (index) => epochMs(hour.to - SECOND_MS + Math.floor(index / 20)), small);
  const history = [...quiet, ...burst.map((event) => ({ ...event, id: `b${event.id}` }))];
  const { source, seen } = counted(history, 50);
  expect(await readAll(source, 16, hour, async () => undefined)).toEqual(inOrder(history));
  expect(seen.requests).toBeLessThan(2 * (history.length / 50));
});

test("a sparse hour takes one request, and a busy one is fetched in parallel from its second page on", async () => {
  const sparse = counted(
    events(40, () => epochMs(hour.to - 1)),
    50,
  );
  await readAll(sparse.source, 16, hour, async () => undefined);
  expect(sparse.seen.requests).toBe(1);

  const gate = new AbortController();
  const open = once(gate.signal, "abort");
  const busy = events(10_000, (index) => after(index * 360), Buffer.from("{}"));
  const source = memorySource(busy, { pageSize: 50 });
  let begun = 0;
  const pages: Source["pages"] = async function* (span, signal) {
    begun++;
    let count = 0;
    for await (const page of source.pages(span, signal)) {
      yield page;
      if (++count === 1) await open;
    }
  };
  const reading = readAhead({ ...source, pages }, 8).read(hour, [], never);
  const first = reading.next();
  for (let turns = 0; turns < 100; turns++) await turn();
  expect(begun).toBeGreaterThanOrEqual(8);
  gate.abort();
  await first;
  await reading.return(undefined);
});

test("a few events a minute: one request for each window", async () => {
  const minutes = Array.from({ length: 30 }, (_, index): Span => {
    const from = after(index * 5 * MINUTE_MS);
    return { from, to: epochMs(from + 5 * MINUTE_MS) };
  });
  const history = events(300, (index) => after(index * 30_000));
  const { source, seen } = counted(history, 50);
  const reader = readAhead(source, 16);
  for (const span of minutes) {
    for await (const chunk of reader.read(span, [], never)) expect(chunk.events.length).toBe(10);
    reader.close();
  }
  expect(seen.spans).toBe(30);
});

test("items that are not events are held within the same bound as events", async () => {
  const size = 100_000;
  let given = 0;
  const pages: Source["pages"] = async function* () {
    for (let page = 0; page < 2; page++) {
      await turn();
      given += 10 * size;
      yield { events: [], poison: Array.from({ length: 10 }, () => ({ reason: "no id", record: Buffer.alloc(size) })) };
    }
  };
  const hours = Array.from({ length: 100 }, (_, index): Span => {
    const from = after(index * HOUR_MS);
    return { from, to: epochMs(from + HOUR_MS) };
  });
  const reading = readAhead({ ...memorySource([]), pages }, 16).read(hour, hours.slice(1), never);
  await reading.next();
  for (let turns = 0, last = -1; turns < 200 || last !== given; turns++) {
    last = given;
    await turn();
  }
  expect(given).toBeGreaterThan(16 * MIB);
  expect(given).toBeLessThan(64 * MIB);
});

test("what is kept of a page does not keep the rest of it in memory", async () => {
  const count = 120_000;
  // As from a source: the records of a page are views of one buffer.
  const history = events(count, () => after(1234), Buffer.alloc(1024));
  const pages: Source["pages"] = async function* () {
    for (let from = 0; from < count; from += 1000) {
      const body = Buffer.alloc(1000 * 1024, "x");
      const part = history.slice(from, from + 1000);
      await turn();
      yield {
        events: part.map((event, index) => ({ ...event, record: body.subarray(index * 1024, (index + 1) * 1024) })),
        poison: [],
      };
    }
  };
  let found = 0;
  const reading = readAhead({ ...memorySource([]), pages }, 1).read({ from: after(1234), to: after(1235) }, [], never);
  for await (const { events: chunk } of reading) {
    found += chunk.length;
    const memory = new Map(chunk.map(({ record }) => [record.buffer, record.buffer.byteLength]));
    expect([...memory.values()].reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(64 * MIB);
  }
  expect(found).toBe(count);
});

test("a span that was abandoned half-way is read from its start the next time", async () => {
  const history = events(5000, (index) => after(index * 700));
  const reader = readAhead(memorySource(history, { pageSize: 50 }), 4);
  for await (const chunk of reader.read(hour, [], never)) if (chunk.events.length > 0) break;
  const found: AuditEvent[] = [];
  for await (const chunk of reader.read(hour, [], never)) found.push(...chunk.events);
  expect(found).toHaveLength(5000);
});
