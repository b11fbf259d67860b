import { expect, test } from "vitest";
import { longestWaitMs, nextRing } from "../src/schedule.ts";
import { DAY_MS, epochMs, HOUR_MS, MINUTE_MS } from "../src/time.ts";

test.each([
  ["*/5 * * * *", 5 * MINUTE_MS],
  ["* * * * *", MINUTE_MS],
  ["7,9 * * * *", 58 * MINUTE_MS],
  ["0 * * * *", HOUR_MS],
  ["30 3 * * *", DAY_MS],
  ["0 3 * * 1-5", 3 * DAY_MS],
  ["*/10 9-16 * * 1-5", 2 * DAY_MS + 16 * HOUR_MS + 10 * MINUTE_MS],
])("the longest wait of %s is found, nights and weekends included", (expression, wait) => {
  expect(longestWaitMs(expression)).toBe(wait);
});

test("the next ring is in the future, on its minute, and known without looking again", () => {
  const next = nextRing();
  const now = epochMs(Date.now());
  const ring = next("*/5 * * * *", now) ?? 0;
  expect(ring).toBeGreaterThan(now);
  expect(ring % (5 * MINUTE_MS)).toBe(0);
  expect(ring - now).toBeLessThanOrEqual(5 * MINUTE_MS + 1000);
  expect(next("*/5 * * * *", now)).toBe(ring);
});
