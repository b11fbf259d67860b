import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ProtocolError, RefusedError, TransientError } from "../../src/errors.ts";
import { parseRetryAfter, RETRY_AFTER_MAX_MS, retryDelayMs, withRetry, type OnRetry } from "../../src/http/retry.ts";
import { HOUR_MS } from "../../src/time.ts";

const never = new AbortController().signal;
const quick = { attempts: 4, baseMs: 1, capMs: 2 };
const unheard: OnRetry = () => undefined;
const outage = (retryAfterMs = 0) => new TransientError("unavailable", "GET /: HTTP 503", { retryAfterMs });

/** Fails with each of `errors` in turn, then succeeds; counts its calls. */
function failing(...errors: readonly Error[]): { work: () => Promise<string>; calls: () => number } {
  let calls = 0;
  return {
    work: async () => {
      const error = errors[calls++];
      if (error !== undefined) throw error;
      return "done";
    },
    calls: () => calls,
  };
}

describe("the wait before a retry", () => {
  test("doubles up to the cap", () => {
    const policy = { attempts: 9, baseMs: 1000, capMs: 30_000 };
    const longest = [1, 2, 3, 4, 5, 6, 7].map((attempt) => retryDelayMs(attempt, policy, 0, 1));
    expect(longest).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
  });

  test("is random from zero to that, so that workers do not retry in step", () => {
    expect(retryDelayMs(3, { attempts: 9, baseMs: 1000, capMs: 30_000 }, 0, 0)).toBe(0);
    expect(retryDelayMs(3, { attempts: 9, baseMs: 1000, capMs: 30_000 }, 0, 0.25)).toBe(1000);
  });

  test("is at least what the server asked for, and at most one hour", () => {
    const policy = { attempts: 9, baseMs: 1000, capMs: 30_000 };
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2000 }), fc.nat(), (attempt, retryAfterMs) => {
        const delayMs = retryDelayMs(attempt, policy, retryAfterMs);
        expect(delayMs).toBeGreaterThanOrEqual(Math.min(retryAfterMs, HOUR_MS));
        expect(delayMs).toBeLessThanOrEqual(HOUR_MS);
      }),
    );
  });
});

describe("a Retry-After", () => {
  const nowMs = Date.UTC(2026, 10, 20, 10, 0, 0);

  test.each([
    ["7", 7000],
    [" 7 ", 7000],
    ["0", 0],
    ["1.5", 1500],
    ["Fri, 20 Nov 2026 10:00:30 GMT", 30_000],
    ["Fri, 20 Nov 2026 09:00:00 GMT", 0],
    ["Fri, 20 Nov 2099 10:00:30 GMT", RETRY_AFTER_MAX_MS],
    ["99999999999", RETRY_AFTER_MAX_MS],
    ["9".repeat(400), RETRY_AFTER_MAX_MS],
    ["soon", 0],
    ["", 0],
    [undefined, 0],
  ])("%j", (header, expected) => {
    expect(parseRetryAfter(header, nowMs)).toBe(expected);
  });
});

describe("work that is retried", () => {
  test("ends with the first success, and reports each failure before it", async () => {
    const { work, calls } = failing(outage(), outage(3));
    const told: [number, number][] = [];
    const result = await withRetry(work, quick, never, (_error, attempt, delayMs) => told.push([attempt, delayMs]));
    expect(result).toBe("done");
    expect(calls()).toBe(3);
    expect(told.map(([attempt]) => attempt)).toEqual([1, 2]);
    expect(told[1]![1]).toBeGreaterThanOrEqual(3);
  });

  test("ends with the last error when no attempts are left", async () => {
    const errors = [outage(), outage(), outage(), outage(), outage()];
    const { work, calls } = failing(...errors);
    await expect(withRetry(work, quick, never, unheard)).rejects.toBe(errors[3]);
    expect(calls()).toBe(4);
  });

  test.each([
    ["a refusal", new RefusedError("forbidden", "GET /: HTTP 403")],
    ["a broken contract", new ProtocolError("GET /: not JSON")],
    ["a bug", new TypeError("undefined is not a function")],
  ])("is not tried again after %s", async (_name, error) => {
    const { work, calls } = failing(error);
    await expect(withRetry(work, quick, never, unheard)).rejects.toBe(error);
    expect(calls()).toBe(1);
  });

  test("ends at once when aborted during the wait", async () => {
    const stop = new AbortController();
    const { work, calls } = failing(outage(HOUR_MS));
    const tried = withRetry(work, quick, stop.signal, () => setImmediate(() => stop.abort()));
    await expect(tried).rejects.toMatchObject({ name: "AbortError" });
    expect(calls()).toBe(1);
  });

  test("fails with the reason of the abort, not with the error that the abort caused", async () => {
    const stop = new AbortController();
    const reason = new Error("stopping");
    const work = async () => {
      stop.abort(reason);
      throw outage();
    };
    await expect(withRetry(work, quick, stop.signal, unheard)).rejects.toBe(reason);
  });
});
