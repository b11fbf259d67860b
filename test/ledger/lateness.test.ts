import { expect, test } from "vitest";
import { boundFor, latenessHistogram } from "../../src/ledger/lateness.ts";
import { DAY_MS, MINUTE_MS } from "../../src/time.ts";

test("lateness is counted under the smallest bound that holds it; empty bounds are left out", () => {
  const histogram = latenessHistogram();
  for (const minutes of [0.5, 1, 1.01, 14, 59, 61]) histogram.add(minutes * MINUTE_MS);
  histogram.add(8 * DAY_MS);
  expect(histogram.counts()).toEqual({ "1m": 2, "2m": 1, "15m": 1, "1h": 1, "6h": 1, more: 1 });
});

test("histograms add up", () => {
  const histogram = latenessHistogram();
  histogram.addCounts({ "5m": 2, more: 1 });
  histogram.addCounts({ "5m": 3 });
  expect(histogram.counts()).toEqual({ "5m": 5, more: 1 });
});

test("the bound that would have caught a share of all events, including those in time", () => {
  expect(boundFor(0.999, {}, 1000)).toBe("0s");
  expect(boundFor(0.999, { "5m": 1 }, 1000)).toBe("0s");
  expect(boundFor(0.999, { "5m": 9, "15m": 1 }, 1000)).toBe("5m");
  expect(boundFor(0.999, { "5m": 9, "15m": 2 }, 1000)).toBe("15m");
  expect(boundFor(0.999, { more: 5 }, 1000)).toBeUndefined();
});
