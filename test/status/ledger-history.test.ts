import { once } from "node:events";
import { expect, test } from "vitest";
import type { Fact, StreamFact } from "../../src/fact.ts";
import { ledgerHistory, readWindows } from "../../src/status/ledger-history.ts";
import { storeUnder } from "../../src/store.ts";
import { epochMs, HOUR_MS } from "../../src/time.ts";
import { runTick } from "../../src/worker/worker.ts";
import { eventsOver, memoryStore, never, START, world } from "../support/world.ts";

const history = eventsOver(START, epochMs(START + 4 * HOUR_MS), 60);
const windows = { sizeMs: 600_000, catchUpSizeMs: 600_000 };

type PastFact = Extract<Fact, { kind: "past.read" | "past.failed" }>;

/** A worker on the ledger in `files`, whose clock is `hours` after the start, with its ledger history. */
function worker(files: Map<string, Buffer>, hours: number, store = memoryStore(files)) {
  const read: PastFact[] = [];
  const arrivals = new EventTarget();
  const clockOffsetMs = START + hours * HOUR_MS - Date.now();
  const { pipeline } = world(history, { files, source: { clockOffsetMs }, windows });
  const ledgers = new Map([["test", storeUnder(store, "ledger/")]]);
  const observe = ledgerHistory(
    ledgers,
    (fact) => {
      if (fact.kind === "past.read" || fact.kind === "past.failed") read.push(fact);
      arrivals.dispatchEvent(new Event("read"));
    },
    never,
  );
  return {
    pipeline: { ...pipeline, observe: (fact: object) => observe({ ...fact, stream: "test" } as StreamFact) },
    read,
    sequences: () =>
      read.flatMap((fact) => (fact.kind === "past.read" ? fact.committed.map(({ sequence }) => sequence) : [])),
    async reads(count: number) {
      while (read.length < count) await once(arrivals, "read");
    },
  };
}

test("a worker that starts on an empty ledger reads nothing, and does not read its own windows", async () => {
  const one = worker(new Map(), 2);
  await runTick(one.pipeline, never);
  await new Promise((resolve) => setImmediate(resolve));
  expect(one.read).toEqual([]);
});

test("windows committed before the start are read, equal to the facts of their commits", async () => {
  const files = new Map<string, Buffer>();
  const first = world(history, { files, source: { clockOffsetMs: START + 2 * HOUR_MS - Date.now() }, windows });
  await runTick(first.pipeline, never);
  const observed = first.facts.flatMap((fact) => (fact.kind === "window.committed" ? [fact as object] : []));
  const next = worker(files, 2);
  await runTick(next.pipeline, never);
  await next.reads(1);
  const [past] = next.read;
  expect(past?.kind === "past.read" && past.committed.length).toBe(observed.length);
  expect(observed).toMatchObject(past?.kind === "past.read" ? past.committed : []);
});

test("windows that another worker commits are read, and no window is read twice", async () => {
  const files = new Map<string, Buffer>();
  const [one, other] = [worker(files, 1), worker(files, 3)];
  await runTick(one.pipeline, never);
  const own = [...files.keys()].filter((key) => key.startsWith("ledger/manifests/")).length;
  await runTick(other.pipeline, never);
  const all = [...files.keys()].filter((key) => key.startsWith("ledger/manifests/")).length;
  expect(all).toBeGreaterThan(own);
  const later = worker(files, 4);
  // The same worker, whose clock has gone on: it finds the windows of the other, then adds its own.
  const { pipeline } = one;
  await runTick({ ...pipeline, source: later.pipeline.source, reader: later.pipeline.reader }, never);
  await one.reads(1);
  expect(one.sequences()).toEqual(Array.from({ length: all - own }, (_, index) => own + 1 + index));
});

test("of a part of a ledger, exactly the windows of that part are read", async () => {
  const files = new Map<string, Buffer>();
  await runTick(worker(files, 3).pipeline, never);
  const ledger = storeUnder(memoryStore(files), "ledger/");
  const committed = await readWindows(ledger, "test", { first: 10, last: 12 }, never);
  expect(committed.map(({ sequence }) => sequence)).toEqual([10, 11, 12]);
});

test("windows that cannot be read are a fact, and do not affect the export", async () => {
  const files = new Map<string, Buffer>();
  await runTick(worker(files, 2).pipeline, never);
  files.set("ledger/manifests/000000000002.json", Buffer.from("{"));
  const next = worker(files, 3);
  expect(await runTick(next.pipeline, never)).toBeUndefined();
  await next.reads(1);
  expect(next.read).toMatchObject([{ kind: "past.failed", error: { code: "ledger" } }]);
});

test("the limit on concurrent reads holds for all streams together", async () => {
  const files = new Map<string, Buffer>();
  await runTick(worker(files, 4).pipeline, never);
  let [open, most] = [0, 0];
  const store = storeUnder(memoryStore(files), "ledger/");
  const counting = {
    ...store,
    async read(key: string, signal: AbortSignal) {
      most = Math.max(most, ++open);
      await new Promise((resolve) => setImmediate(resolve));
      open--;
      return store.read(key, signal);
    },
  };
  const read: string[] = [];
  const arrivals = new EventTarget();
  const names = ["one", "two", "three"];
  const observe = ledgerHistory(
    new Map(names.map((name) => [name, counting])),
    (fact) => {
      if (fact.kind === "past.read" || fact.kind === "past.failed") read.push(fact.stream);
      arrivals.dispatchEvent(new Event("read"));
    },
    never,
  );
  for (const stream of names) {
    observe({ kind: "head.found", stream, sequence: 20, sha256: "ab", exportedUntil: START });
  }
  while (read.length < 3) await once(arrivals, "read");
  expect(read).toEqual(names);
  expect(most).toBe(8);
});
