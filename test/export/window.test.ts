import fc from "fast-check";
import { expect, test } from "vitest";
import { epochMs, HOUR_MS, MINUTE_MS, SECOND_MS, type EpochMs, type Span } from "../../src/time.ts";
import { isSettled, lookbackStart, nextWindow, readyWindows, type WindowPolicy } from "../../src/export/window.ts";
import { at, POLICY, START } from "../support/world.ts";

const policies = fc
  .record({
    size: fc.constantFrom(10, 60, 300, 900, 1800, 3600),
    times: fc.constantFrom(1, 2, 4, 12),
    lagS: fc.integer({ min: 0, max: 600 }),
    startS: fc.integer({ min: 0, max: 200_000 }),
  })
  .map(({ size, times, lagS, startS }): WindowPolicy => {
    const catchUp = size * times;
    return {
      start: epochMs(START + startS * SECOND_MS),
      sizeMs: size * SECOND_MS,
      catchUpSizeMs: (3600 % catchUp === 0 ? catchUp : size) * SECOND_MS,
      lagMs: lagS * SECOND_MS,
      lookbackMs: 0,
    };
  });
const clocks = fc.integer({ min: 0, max: 300_000 * SECOND_MS }).map((ms) => epochMs(START + ms));

test("each window starts where the one before ends, has settled, and ends on the grid", () => {
  fc.assert(
    fc.property(policies, clocks, (policy, now) => {
      let from: EpochMs = policy.start;
      // One assertion for all of them: there are thousands.
      const wrong: Span[] = [];
      for (const window of readyWindows(policy.start, now, policy)) {
        const fits = window.from === from && window.to > window.from && window.to % policy.sizeMs === 0;
        if (!fits || !isSettled(window, now, policy)) wrong.push(window);
        from = window.to;
      }
      expect(wrong).toEqual([]);
      // No ready window was left out: the next end on the grid has not settled.
      expect((Math.floor(from / policy.sizeMs) + 1) * policy.sizeMs + policy.lagMs).toBeGreaterThan(now);
    }),
  );
});

test("a later clock only adds windows, whatever ticks there were in between", () => {
  fc.assert(
    fc.property(policies, fc.array(clocks, { minLength: 1, maxLength: 6 }), (policy, ticks) => {
      const rising = [...ticks].sort((one, other) => one - other);
      let from: EpochMs = policy.start;
      for (const now of rising) for (const window of readyWindows(from, now, policy)) from = window.to;
      const atOnce = [...readyWindows(policy.start, rising.at(-1)!, policy)].at(-1)?.to ?? policy.start;
      expect(from).toBe(atOnce);
    }),
  );
});

test("a window's bounds do not depend on the time of the tick", () => {
  const first = nextWindow(START, at("2026-11-01T00:07:00Z"), POLICY);
  const later = nextWindow(START, at("2026-11-01T00:59:59Z"), POLICY);
  expect(first).toEqual({ from: START, to: at("2026-11-01T00:05:00Z") });
  expect(later).toEqual(first);
});

test("a window is not ready until its end is the lag behind the clock", () => {
  expect(nextWindow(START, at("2026-11-01T00:06:59.999Z"), POLICY)).toBeUndefined();
  expect(nextWindow(START, at("2026-11-01T00:07:00Z"), POLICY)).toBeDefined();
});

test("a catch-up window is used if it begins on its grid and is ready as a whole", () => {
  const now = at("2026-11-01T01:02:00Z");
  expect(nextWindow(START, now, POLICY)).toEqual({ from: START, to: at("2026-11-01T01:00:00Z") });
  expect(nextWindow(START, epochMs(now - 1), POLICY)?.to).toBe(at("2026-11-01T00:05:00Z"));
  expect(nextWindow(at("2026-11-01T00:05:00Z"), at("2026-11-02T00:00:00Z"), POLICY)?.to).toBe(
    at("2026-11-01T00:10:00Z"),
  );
});

test("a start that is not on the grid makes a shorter first window", () => {
  const from = at("2026-11-01T00:03:20Z");
  expect(nextWindow(from, at("2026-11-02T00:00:00Z"), POLICY)).toEqual({ from, to: at("2026-11-01T00:05:00Z") });
});

test("the look-back does not reach before the stream's start", () => {
  expect(lookbackStart(epochMs(START + HOUR_MS), POLICY)).toBe(START + 45 * MINUTE_MS);
  expect(lookbackStart(epochMs(START + 5 * MINUTE_MS), POLICY)).toBe(START);
  // If the configured start is moved forward, a window still reads from its own beginning.
  expect(lookbackStart(START, { ...POLICY, start: epochMs(START + HOUR_MS) })).toBe(START - 0);
});
