import fc from "fast-check";
import { createHash, randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { ID_BYTES, idSet, packId } from "../../src/ledger/ids.ts";

test("a UUID is packed, any other id is the first half of its SHA-256", () => {
  expect(packId("a1b2c3d4-5e6f-7a8b-9c10-d11e12f13a14").toString("hex")).toBe("a1b2c3d45e6f7a8b9c10d11e12f13a14");
  expect(packId("a1b2c3d4-5e6f-7g8h-9i10-j11k12l13m14")).toEqual(
    createHash("sha256").update("a1b2c3d4-5e6f-7g8h-9i10-j11k12l13m14").digest().subarray(0, 16),
  );
  expect(packId("")).toHaveLength(ID_BYTES);
});

test("a set of ids behaves like a set, whatever the ids", () => {
  const ids = fc.oneof(fc.uuid(), fc.string(), fc.constant("00000000-0000-0000-0000-000000000000"));
  fc.assert(
    fc.property(fc.array(ids), fc.array(ids), (added, others) => {
      const set = idSet();
      const oracle = new Set<string>();
      for (const id of added) {
        const key = packId(id).toString("hex");
        expect(set.add(id)).toBe(!oracle.has(key));
        oracle.add(key);
      }
      expect(set.size).toBe(oracle.size);
      for (const id of [...added, ...others]) expect(set.has(id)).toBe(oracle.has(packId(id).toString("hex")));
      expect(set.sorted().toString("hex")).toBe([...oracle].sort().join(""));
    }),
  );
});

test("a packed list that is read again holds the same ids, also many thousands", () => {
  const ids = Array.from({ length: 20_000 }, () => randomUUID());
  const set = idSet();
  for (const id of ids) set.add(id);
  const packed = set.sorted();
  expect(packed).toHaveLength(20_000 * ID_BYTES);
  const again = idSet();
  again.addPacked(packed);
  expect(again.size).toBe(20_000);
  expect(ids.every((id) => again.has(id))).toBe(true);
  expect(again.sorted().equals(packed)).toBe(true);
});

test("a set can be added to after it was sorted", () => {
  const ids = Array.from({ length: 3000 }, () => randomUUID());
  const set = idSet();
  for (const [count, id] of ids.entries()) {
    set.add(id);
    if (count % 500 === 0) set.sorted();
  }
  expect(ids.map((id) => set.add(id))).not.toContain(true);
  expect(set.sorted().toString("hex")).toBe(
    ids
      .map((id) => id.replaceAll("-", ""))
      .sort()
      .join(""),
  );
});

test("a million ids take their 16 bytes, the table of their places, and little else", () => {
  const set = idSet();
  const packed = Buffer.alloc(ID_BYTES);
  const before = process.memoryUsage().rss;
  for (let count = 0; count < 1_000_000; count++) {
    packed.writeUInt32BE(Math.imul(count, 0x9e3779b1) >>> 0, 4);
    set.addPacked(packed);
  }
  expect(set.sorted()).toHaveLength(1_000_000 * ID_BYTES);
  expect(process.memoryUsage().rss - before).toBeLessThan(60e6);
});

test("two sorted lists whose ids alternate are sorted as fast as any", () => {
  const ids = idSet();
  const id = (number: number) => `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;
  const count = 200_000;
  for (let number = 0; number < count; number += 2) ids.add(id(number));
  for (let number = 1; number < count; number += 2) ids.add(id(number));
  const sorted = ids.sorted();
  for (const number of [0, 1, 2, 99_999, count - 1]) {
    expect(sorted.subarray(number * ID_BYTES, (number + 1) * ID_BYTES)).toEqual(packId(id(number)));
  }
});
