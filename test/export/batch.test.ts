import fc from "fast-check";
import { expect, test } from "vitest";
import { batches } from "../../src/export/batch.ts";
import type { AuditEvent } from "../../src/source.ts";
import { epochMs } from "../../src/time.ts";
import { event, START } from "../support/world.ts";

const PLAN = { seq: 1, kind: "window", from: START, to: epochMs(START + 1), since: START, fingerprint: "" } as const;

async function* pagesOf(pages: readonly (readonly AuditEvent[])[]): AsyncGenerator<readonly AuditEvent[]> {
  for (const page of pages) {
    await Promise.resolve();
    yield page;
  }
}

async function collect(pages: AuditEvent[][], limits: { maxEvents: number; maxBytes: number }, firstPart?: number) {
  const parts: { part: number; events: AuditEvent[] }[] = [];
  for await (const { part, chunks } of batches(pagesOf(pages), PLAN, limits, firstPart)) {
    const events: AuditEvent[] = [];
    for await (const chunk of chunks) events.push(...chunk);
    parts.push({ part, events });
  }
  return parts;
}

const pages = fc.array(fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 9 }), { maxLength: 12 }).map((shape) => {
  let id = 0;
  return shape.map((page) =>
    page.map((padding) => ({ ...event(`id-${id++}`, START), record: Buffer.alloc(padding + 2, "x") })),
  );
});

test("batches keep every event in order, each within both limits, and none is empty", async () => {
  await fc.assert(
    fc.asyncProperty(
      pages,
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 900 }),
      async (given, maxEvents, maxBytes) => {
        const parts = await collect(given, { maxEvents, maxBytes });
        expect(parts.flatMap(({ events }) => events)).toEqual(given.flat());
        expect(parts.map(({ part }) => part)).toEqual(parts.map((_, index) => index));
        for (const { events } of parts) {
          expect(events.length).toBeGreaterThan(0);
          expect(events.length).toBeLessThanOrEqual(maxEvents);
          const bytes = events.reduce((sum, { record }) => sum + record.length + 1, 0);
          if (events.length > 1) expect(bytes).toBeLessThanOrEqual(maxBytes);
        }
        // As large as the limits allow: no batch could have taken the first event of the next.
        parts.slice(1).forEach(({ events: next }, index) => {
          const { events } = parts[index]!;
          const bytes = events.reduce((sum, { record }) => sum + record.length + 1, next[0]!.record.length + 1);
          expect(events.length === maxEvents || bytes > maxBytes).toBe(true);
        });
      },
    ),
  );
});

test("no events make no batch", async () => {
  expect(await collect([], { maxEvents: 5, maxBytes: 500 })).toEqual([]);
  expect(await collect([[], []], { maxEvents: 5, maxBytes: 500 })).toEqual([]);
});

test("an event larger than the limit has a batch of its own", async () => {
  const large = { ...event("large", START), record: Buffer.alloc(1000, "x") };
  const parts = await collect([[event("a", START), large, event("b", START)]], { maxEvents: 9, maxBytes: 200 });
  expect(parts.map(({ events }) => events.map(({ id }) => id))).toEqual([["a"], ["large"], ["b"]]);
});

test("part numbers continue after those of reused objects", async () => {
  const parts = await collect([[event("a", START), event("b", START)]], { maxEvents: 1, maxBytes: 500 }, 3);
  expect(parts.map(({ part }) => part)).toEqual([3, 4]);
});

test("a consumer that ends early ends the reading, too", async () => {
  let isReturned = false;
  async function* endless(): AsyncGenerator<AuditEvent[]> {
    try {
      for (let n = 0; ; n++) {
        await Promise.resolve();
        yield [event(`id-${n}`, START)];
      }
    } finally {
      isReturned = true;
    }
  }
  for await (const { chunks } of batches(endless(), PLAN, { maxEvents: 2, maxBytes: 500 })) {
    for await (const _chunk of chunks) break;
    break;
  }
  expect(isReturned).toBe(true);
});
