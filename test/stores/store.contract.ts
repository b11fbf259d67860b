import { randomBytes } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import type { Entry, Store } from "../../src/store.ts";
import { storeUnder } from "../../src/store.ts";

const never = new AbortController().signal;

/** What every store does. Each call of `make` gives a new, empty store. */
export function storeContract(name: string, make: () => Promise<Store>): void {
  describe(`${name}, as a store`, () => {
    let store: Store;
    beforeAll(async () => {
      store = await make();
    });

    test("returns the bytes that it was given, whatever they are", async () => {
      const bytes = Buffer.concat([Buffer.from([0, 255, 10, 13, 0x1f, 0x8b, 0xc3, 0x28]), randomBytes(5000)]);
      expect(await store.create("ids/000000000001-1a2b3c4d.bin", bytes, never)).toBe(true);
      expect(await store.read("ids/000000000001-1a2b3c4d.bin", never)).toEqual(bytes);
    });

    test("keeps an object without bytes", async () => {
      expect(await store.create("empty.json", Buffer.alloc(0), never)).toBe(true);
      expect(await store.read("empty.json", never)).toEqual(Buffer.alloc(0));
    });

    test("keeps an object of eight megabytes whole", async () => {
      const bytes = randomBytes(8 * 1024 * 1024);
      expect(await store.create("data/big.ndjson.gz", bytes, never)).toBe(true);
      const read = await store.read("data/big.ndjson.gz", never);
      expect(read?.equals(bytes)).toBe(true);
    });

    test("has no bytes for a missing object, also if part of its key is another object", async () => {
      expect(await store.read("manifests/000000000099.json", never)).toBeUndefined();
      await store.create("plans/000000000001.json", Buffer.from("{}"), never);
      expect(await store.read("plans/000000000001.json/deeper.json", never)).toBeUndefined();
    });

    test("never overwrites what was created", async () => {
      expect(await store.create("manifests/once.json", Buffer.from("first"), never)).toBe(true);
      expect(await store.create("manifests/once.json", Buffer.from("second"), never)).toBe(false);
      expect(await store.create("manifests/once.json", Buffer.from("first"), never)).toBe(false);
      expect(String(await store.read("manifests/once.json", never))).toBe("first");
    });

    test("of sixteen concurrent creations, exactly one wins, and its bytes are kept", async () => {
      for (let round = 0; round < 3; round++) {
        const key = `manifests/race-${round}.json`;
        const tries = Array.from({ length: 16 }, (_, number) =>
          createWithRetries(store, key, Buffer.from(`${number}`.repeat(1000))),
        );
        const created = await Promise.all(tries);
        expect(created.filter(Boolean)).toHaveLength(1);
        expect(String(await store.read(key, never))).toBe(`${created.indexOf(true)}`.repeat(1000));
      }
    });

    test("replaces an object, or creates it if it is missing", async () => {
      await store.replace("checkpoint.json", Buffer.from("a longer first text"), never);
      expect(String(await store.read("checkpoint.json", never))).toBe("a longer first text");
      await store.replace("checkpoint.json", Buffer.from("second"), never);
      expect(String(await store.read("checkpoint.json", never))).toBe("second");
    });

    test("lists the keys that start with the prefix and sort after a key, with sizes and times", async () => {
      const inside = storeUnder(store, "listing/");
      const keys = [
        "data/dt=2026-11-20/hour=09/000000000041-0000.ndjson.gz",
        "data/dt=2026-11-20/hour=10/000000000042-0000.ndjson.gz",
        "data/dt=2026-11-20/hour=10/000000000042-0001.ndjson.gz",
        "data/dt=2026-11-21/hour=00/000000000043-0000.ndjson.gz",
        "database.json",
        "manifests/000000000041.json",
      ];
      await Promise.all(keys.map((key, index) => inside.create(key, Buffer.alloc(index + 1), never)));

      expect(await keysOf(inside, "")).toEqual(keys);
      expect(await keysOf(inside, "data/")).toEqual(keys.slice(0, 4));
      expect(await keysOf(inside, "data")).toEqual(keys.slice(0, 5));
      expect(await keysOf(inside, "data/dt=2026-11-20/hour=10/000000000042-")).toEqual(keys.slice(1, 3));
      expect(await keysOf(inside, "data/", keys[1])).toEqual(keys.slice(2, 4));
      expect(await keysOf(inside, "data/", "data/dt=2026-11-20/hour=10")).toEqual(keys.slice(1, 4));
      expect(await keysOf(inside, "manifests/", "manifests/000000000041.json")).toEqual([]);
      expect(await keysOf(inside, "nothing/here/")).toEqual([]);

      const [entry] = await entriesOf(inside, "data/dt=2026-11-21/");
      expect(entry).toMatchObject({ key: keys[3], bytes: 4 });
      expect(Math.abs(entry!.modified - Date.now())).toBeLessThan(600_000);
    });

    test("lists more objects than one answer holds", { timeout: 120_000 }, async () => {
      const keys = Array.from({ length: 1005 }, (_, index) => `many/plans/${String(index).padStart(12, "0")}.json`);
      for (let start = 0; start < keys.length; start += 40) {
        await Promise.all(keys.slice(start, start + 40).map((key) => store.create(key, Buffer.from("{}"), never)));
      }
      expect(await keysOf(store, "many/")).toEqual(keys);
      expect(await keysOf(store, "many/", keys[1001])).toEqual(keys.slice(1002));
    });

    test("can be probed more than once, and the probe leaves one object", async () => {
      await store.probe("ledger/probe", never);
      await store.probe("ledger/probe", never);
      expect(await keysOf(store, "ledger/")).toEqual(["ledger/probe"]);
    });

    test("passes its preflight, the first time and again", async () => {
      const inside = storeUnder(store, "checked/");
      for (const round of ["new", "again"]) {
        const findings = await collect(inside.check("probe", never));
        expect(
          findings.map(({ state }) => state),
          round,
        ).toEqual(findings.map(() => "ok"));
        expect(findings.length, round).toBeGreaterThanOrEqual(3);
      }
    });

    test("after an abort, does nothing and rejects with the signal's reason", async () => {
      const reason = new Error("asked to stop");
      const aborted = AbortSignal.abort(reason);
      await expect(store.create("aborted.json", Buffer.from("x"), aborted)).rejects.toBe(reason);
      await expect(store.replace("aborted.json", Buffer.from("x"), aborted)).rejects.toBe(reason);
      await expect(store.read("empty.json", aborted)).rejects.toBe(reason);
      await expect(entriesOf(store, "", undefined, aborted)).rejects.toBe(reason);
      await expect(store.probe("aborted-probe", aborted)).rejects.toBe(reason);
      expect(await keysOf(store, "aborted")).toEqual([]);
    });
  });
}

/** A store may answer a concurrent creation with "try again", but not forever. */
async function createWithRetries(store: Store, key: string, bytes: Buffer): Promise<boolean> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await store.create(key, bytes, never);
    } catch (error) {
      if ((error as Error).name !== "TransientError" || attempt === 10) throw error;
    }
  }
}

export async function entriesOf(
  store: Store,
  prefix: string,
  after?: string,
  signal: AbortSignal = never,
): Promise<Entry[]> {
  return collect(store.list(prefix, after, signal));
}

export async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const collected: Item[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}

/** The keys of a listing, sorted, because no store promises an order. */
export async function keysOf(store: Store, prefix: string, after?: string): Promise<string[]> {
  return (await entriesOf(store, prefix, after)).map(({ key }) => key).sort();
}
