import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { cronTimer, longestSpanMs, nextRun } from "../../src/worker/schedule.ts";
import { DAY_MS, epochMs, HOUR_MS, MINUTE_MS, parseInstant, SECOND_MS, type EpochMs } from "../../src/time.ts";

const at = (text: string): EpochMs => parseInstant(text) ?? epochMs(Number.NaN);

test.each([
  ["*/5 * * * *", 15 * MINUTE_MS],
  ["* * * * *", 3 * MINUTE_MS],
  ["7,9 * * * *", 118 * MINUTE_MS],
  ["0 * * * *", 3 * HOUR_MS],
  ["30 3 * * *", 3 * DAY_MS],
  ["0 3 * * 1-5", 5 * DAY_MS],
  ["*/10 9-16 * * 1-5", 2 * DAY_MS + 16 * HOUR_MS + 30 * MINUTE_MS],
  ["*/5 8-18 * * 1-5", 61 * HOUR_MS + 15 * MINUTE_MS],
  ["0 3 1 * *", 92 * DAY_MS],
  ["0 3 1 1 *", (3 * 365 + 1) * DAY_MS],
  ["0 3 31 1 1#1", 0],
])("the longest time of three consecutive waits of %s is found, including nights and weekends", (expression, span) => {
  expect(longestSpanMs(expression, 3)).toBe(span);
});

test.each([
  ["*/5 * * * *", "2026-11-20T10:05:00Z"],
  ["0 * * * *", "2026-11-20T11:00:00Z"],
  ["1 10 * * *", "2026-11-21T10:01:00Z"],
  ["0 9 * * 1-5", "2026-11-23T09:00:00Z"],
  ["30 2 L * *", "2026-11-30T02:30:00Z"],
  ["0 0 29 2 *", "2028-02-29T00:00:00Z"],
  ["*/20 * * * * *", "2026-11-20T10:01:20Z"],
])("%s: the next time after 10:01 of a Friday is %s", (expression, next) => {
  expect(nextRun(expression, at("2026-11-20T10:01:00Z"))).toBe(at(next));
  expect(nextRun(expression, epochMs(at(next) - 1))).toBe(at(next));
  expect(nextRun(expression, at(next))).toBeGreaterThan(at(next));
  // As after the clock was set back.
  expect(nextRun(expression, at("2026-11-20T10:01:00Z"))).toBe(at(next));
});

test("a time that never comes, a 31st that is a first Monday, is undefined", () => {
  expect(nextRun("0 0 31 1 1#1", at("2026-11-20T10:01:00Z"))).toBeUndefined();
});

describe("a cron timer", () => {
  /** `clock` can be set, and keeps running while the machine sleeps; the time of `timers` does neither. */
  let aheadMs = 0;
  const timers = () => epochMs(at("2026-11-20T10:00:30Z") + performance.now());
  const clock = () => epochMs(timers() + aheadMs);
  let seen: string[] = [];
  let stop = new AbortController();
  let ended: Promise<unknown> = Promise.resolve();

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"], now: 0 });
    [aheadMs, seen, stop] = [0, [], new AbortController()];
  });
  afterEach(async () => {
    stop.abort(new Error("enough"));
    await expect(ended).rejects.toThrow("enough");
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
  });

  /** Waits from now on; records the names with the time of the clock. */
  function listen(expressions: Record<string, string>): void {
    const timer = cronTimer(new Map(Object.entries(expressions)), clock);
    ended = (async () => {
      for (;;) {
        const names = await timer.next(stop.signal);
        seen.push(`${new Date(clock()).toISOString().slice(11, 19)} ${[...names].join(" ")}`);
      }
    })();
    ended.catch(() => undefined);
  }
  const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

  test("resolves at each time of each expression, once", async () => {
    listen({ tick: "*/5 * * * *", reconcile: "10 * * * *" });
    await pass(16 * MINUTE_MS);
    expect(seen).toEqual(["10:05:00 tick", "10:10:00 tick reconcile", "10:15:00 tick"]);
  });

  test("uses the new time within a minute after the clock was set back", async () => {
    listen({ tick: "*/5 * * * *" });
    await pass(5 * MINUTE_MS);
    aheadMs = -3 * HOUR_MS;
    await pass(10 * MINUTE_MS);
    expect(seen).toEqual(["10:05:00 tick", "07:10:00 tick", "07:15:00 tick"]);
  });

  test("resolves once for all times that passed during sleep, within a minute after waking", async () => {
    listen({ tick: "*/5 * * * *" });
    await pass(MINUTE_MS);
    aheadMs = 8 * HOUR_MS;
    await pass(MINUTE_MS);
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatch(/^18:0[12]:/);
    await pass(3 * MINUTE_MS);
    expect(seen.slice(1)).toEqual(["18:05:00 tick"]);
  });

  test("does not resolve twice for one time after a small correction of the clock", async () => {
    listen({ tick: "*/5 * * * *" });
    await pass(4 * MINUTE_MS + 31 * SECOND_MS);
    aheadMs = -5 * SECOND_MS;
    await pass(4 * MINUTE_MS);
    expect(seen).toEqual(["10:05:00 tick"]);
    await pass(MINUTE_MS + 5 * SECOND_MS);
    expect(seen).toEqual(["10:05:00 tick", "10:10:00 tick"]);
  });

  test("does not resolve at once when the next time is years away", async () => {
    listen({ tick: "0 0 29 2 *" });
    await pass(40 * MINUTE_MS);
    expect(seen).toEqual([]);
  });
});
