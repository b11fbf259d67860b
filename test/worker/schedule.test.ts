import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { cronAlarm, longestSpanMs, nextRing } from "../../src/worker/schedule.ts";
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
])("the longest that three waits of %s in a row take is found, nights and weekends included", (expression, span) => {
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
])("%s rings next after 10:01 of a Friday at %s", (expression, ring) => {
  expect(nextRing(expression, at("2026-11-20T10:01:00Z"))).toBe(at(ring));
  expect(nextRing(expression, epochMs(at(ring) - 1))).toBe(at(ring));
  expect(nextRing(expression, at(ring))).toBeGreaterThan(at(ring));
  // As after a clock that was set back.
  expect(nextRing(expression, at("2026-11-20T10:01:00Z"))).toBe(at(ring));
});

test("what never comes, a 31st that is a first Monday, does not ring", () => {
  expect(nextRing("0 0 31 1 1#1", at("2026-11-20T10:01:00Z"))).toBeUndefined();
});

describe("an alarm", () => {
  /** The clock that people set, and that goes on while the machine sleeps; the timers' time does neither. */
  let aheadMs = 0;
  const timers = () => epochMs(at("2026-11-20T10:00:30Z") + performance.now());
  const clock = () => epochMs(timers() + aheadMs);
  let heard: string[] = [];
  let stop = new AbortController();
  let ended: Promise<unknown> = Promise.resolve();

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"], now: 0 });
    [aheadMs, heard, stop] = [0, [], new AbortController()];
  });
  afterEach(async () => {
    stop.abort(new Error("enough"));
    await expect(ended).rejects.toThrow("enough");
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
  });

  /** Listens from now on; each ring is heard with the clock's time. */
  function listen(expressions: Record<string, string>): void {
    const alarm = cronAlarm(new Map(Object.entries(expressions)), clock);
    ended = (async () => {
      for (;;) {
        const names = await alarm.next(stop.signal);
        heard.push(`${new Date(clock()).toISOString().slice(11, 19)} ${[...names].join(" ")}`);
      }
    })();
    ended.catch(() => undefined);
  }
  const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

  test("rings at each time of each expression, once", async () => {
    listen({ tick: "*/5 * * * *", reconcile: "10 * * * *" });
    await pass(16 * MINUTE_MS);
    expect(heard).toEqual(["10:05:00 tick", "10:10:00 tick reconcile", "10:15:00 tick"]);
  });

  test("rings by the new time within a minute after the clock was set back", async () => {
    listen({ tick: "*/5 * * * *" });
    await pass(5 * MINUTE_MS);
    aheadMs = -3 * HOUR_MS;
    await pass(10 * MINUTE_MS);
    expect(heard).toEqual(["10:05:00 tick", "07:10:00 tick", "07:15:00 tick"]);
  });

  test("rings once for all that was slept through, within a minute after waking", async () => {
    listen({ tick: "*/5 * * * *" });
    await pass(MINUTE_MS);
    aheadMs = 8 * HOUR_MS;
    await pass(MINUTE_MS);
    expect(heard).toHaveLength(1);
    expect(heard[0]).toMatch(/^18:0[12]:/);
    await pass(3 * MINUTE_MS);
    expect(heard.slice(1)).toEqual(["18:05:00 tick"]);
  });

  test("does not ring twice for one instant when the clock is corrected by a little", async () => {
    listen({ tick: "*/5 * * * *" });
    await pass(4 * MINUTE_MS + 31 * SECOND_MS);
    aheadMs = -5 * SECOND_MS;
    await pass(4 * MINUTE_MS);
    expect(heard).toEqual(["10:05:00 tick"]);
    await pass(MINUTE_MS + 5 * SECOND_MS);
    expect(heard).toEqual(["10:05:00 tick", "10:10:00 tick"]);
  });

  test("does not ring at once when the next time is years away", async () => {
    listen({ tick: "0 0 29 2 *" });
    await pass(40 * MINUTE_MS);
    expect(heard).toEqual([]);
  });
});
