import fc from "fast-check";
import { expect, test } from "vitest";
import { slidingSecond } from "../../src/simulator/limiter.ts";

test("no second has more requests than the limit, and nothing is refused below it", () => {
  const gaps = fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 200 });
  fc.assert(
    fc.property(gaps, fc.integer({ min: 1, max: 8 }), (waits, limit) => {
      const second = slidingSecond();
      const admitted: number[] = [];
      let now = 0;
      for (const wait of waits) {
        now += wait;
        const held = admitted.filter((time) => time > now - 1000).length;
        expect(second.load(now)).toBe(held);
        if (second.waitMs(now, limit) > 0) {
          expect(held).toBe(limit);
          continue;
        }
        expect(held).toBeLessThan(limit);
        second.count(now);
        admitted.push(now);
      }
      expect(second.peak()).toBeLessThanOrEqual(limit);
    }),
  );
});

test("the wait is exact to the millisecond", () => {
  const second = slidingSecond();
  for (const now of [0, 300, 700]) second.count(now);
  expect(second.waitMs(999, 3)).toBe(1);
  expect(second.waitMs(1000, 3)).toBe(0);
  expect(second.waitMs(1000, 2)).toBe(300);
  expect(second.waitMs(1299, 2)).toBe(1);
  expect(second.waitMs(1300, 2)).toBe(0);
});

test("it counts correctly over more requests than it keeps", () => {
  const second = slidingSecond();
  for (let now = 0; now < 50_000; now++) second.count(now);
  expect(second.load(49_999)).toBe(1000);
  expect(second.peak()).toBe(1000);
});
