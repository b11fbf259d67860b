import { expect, test } from "vitest";
import { LedgerError, RefusedError, TransientError } from "../../src/errors.ts";
import type { Fact } from "../../src/fact.ts";
import { errorMembers, factLog, logger, withoutSecrets } from "../../src/observe/log.ts";
import { epochMs, MINUTE_MS } from "../../src/time.ts";
import { START } from "../support/world.ts";

type Line = Record<string, unknown> & { level: string; error?: Record<string, unknown> };

function logOf(level = "trace") {
  const lines: Line[] = [];
  const clock = { nowMs: 0 };
  const log = logger(level, { write: (text) => void lines.push(JSON.parse(text) as Line) });
  return { observe: factLog(log, () => clock.nowMs), lines, clock };
}

const done = (windows: number): Fact => ({
  ...{
    kind: "tick.done",
    stream: "acme",
    windows,
    events: 5,
    ...{ late: 0, quarantined: 0, gaps: 0 },
    bytes: 7,
    durationMs: 9,
  },
  ...{ exportedUntil: START, head: { sequence: 1, sha256: "ab" } },
});

const failed = (error = new TransientError("network", "GET /x: reset")): Fact => ({
  ...{ kind: "tick.failed", stream: "acme", error, durationMs: 9 },
});

const committed = (minute: number): Fact => ({
  ...{
    kind: "window.committed",
    type: "window",
    quarantined: 0,
    stream: "acme",
    sequence: minute,
    events: 1,
    late: 0,
    objects: 1,
    bytes: 1,
  },
  window: { from: epochMs(START + minute * MINUTE_MS), to: epochMs(START + (minute + 1) * MINUTE_MS) },
  sha256: "ab",
});

test("a line is JSON with a named level, the time in UTC, and readable instants", () => {
  const { observe, lines } = logOf();
  observe(done(1));
  observe(committed(0));
  expect(lines[0]).toMatchObject({ level: "info", fact: "tick.done", exportedUntil: "2026-11-01T00:00:00Z" });
  expect(lines[0]).toMatchObject({ head: "1 ab" });
  expect(lines[0]?.["time"]).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/);
  expect(lines[1]).toMatchObject({ window: "2026-11-01T00:00:00Z/2026-11-01T00:01:00Z" });
});

test("a run that had nothing to do logs nothing at level info", () => {
  const { observe, lines } = logOf("info");
  observe(done(0));
  expect(lines).toEqual([]);
});

test("an outage is a warning three times in a row, then an error; a success resets the count", () => {
  const { observe, lines } = logOf("info");
  for (let count = 0; count < 5; count++) observe(failed());
  observe(done(1));
  observe(failed());
  expect(lines.map(({ level }) => level)).toEqual(["warn", "warn", "warn", "error", "info", "warn"]);
});

test("an error that repeats is logged once, then again after an hour; a different one at once", () => {
  const { observe, lines, clock } = logOf("info");
  const refused = (): Fact => ({
    ...{ kind: "tick.failed", stream: "acme", error: new RefusedError("forbidden", "no"), durationMs: 1 },
  });
  for (let minute = 0; minute <= 60; minute++) {
    observe(refused());
    clock.nowMs += MINUTE_MS;
  }
  expect(lines).toHaveLength(2);
  observe({ kind: "tick.failed", stream: "acme", error: new RefusedError("unauthorized", "no"), durationMs: 1 });
  observe(done(0));
  observe(refused());
  expect(lines.map(({ level }) => level)).toEqual(["error", "error", "error", "info", "error"]);
});

test("a success after a failure is logged, even if it had nothing to do", () => {
  const { observe, lines } = logOf("info");
  observe(done(0));
  observe(failed());
  observe(done(0));
  observe(done(0));
  expect(lines.map(({ level, fact }) => [level, fact])).toEqual([
    ["warn", "tick.failed"],
    ["info", "tick.done"],
  ]);
});

test("a notifier that keeps failing is one warning, until something is sent again", () => {
  const { observe, lines } = logOf("info");
  const failing: Fact = {
    ...{ kind: "notification.failed", notifier: "webhook", what: "gap acme" },
    error: new TransientError("network", "POST to notify.webhook: reset"),
  };
  observe(failing);
  observe(failing);
  observe({ kind: "notification.sent", notifier: "webhook", what: "gap acme" });
  observe(failing);
  expect(lines.map(({ level, fact }) => [level, fact])).toEqual([
    ["warn", "notification.failed"],
    ["warn", "notification.failed"],
  ]);
});

test("a stream with the name of a notifier has failures of its own", () => {
  const { observe, lines } = logOf("info");
  const refused: Fact = {
    ...{ kind: "tick.failed", stream: "webhook", durationMs: 1 },
    error: new RefusedError("forbidden", "no"),
  };
  const failing: Fact = {
    ...{ kind: "notification.failed", notifier: "webhook", what: "gap acme" },
    error: new RefusedError("forbidden", "no"),
  };
  observe(refused);
  observe(failing);
  observe({ kind: "notification.sent", notifier: "webhook", what: "gap acme" });
  observe(refused);
  expect(lines.map(({ fact }) => fact)).toEqual(["tick.failed", "notification.failed"]);
});

test("windows read from the ledger are logged as their number", () => {
  const { observe, lines } = logOf();
  const { kind: _, stream: __, sha256: ___, ...window } = committed(0) as Extract<Fact, { kind: "window.committed" }>;
  observe({ kind: "past.read", stream: "acme", committed: [window, window] });
  expect(lines).toMatchObject([{ fact: "past.read", windows: 2 }]);
  expect(lines[0]).not.toHaveProperty("committed");
});

test("a refusal is an error at once", () => {
  const { observe, lines } = logOf();
  observe({ kind: "tick.failed", stream: "acme", error: new RefusedError("forbidden", "no"), durationMs: 1 });
  observe({ kind: "stream.stopped", stream: "acme", error: new LedgerError("cut", { hint: "restore it" }) });
  expect(lines.map(({ level, error }) => [level, error?.["code"]])).toEqual([
    ["error", "forbidden"],
    ["error", "ledger"],
  ]);
  expect(lines[1]?.error?.["hint"]).toBe("restore it");
});

test("a long catch-up logs one line a minute", () => {
  const { observe, lines, clock } = logOf("info");
  for (let minute = 0; minute < 30; minute++) {
    clock.nowMs += 10_000;
    observe(committed(minute));
  }
  expect(lines.length).toBeGreaterThanOrEqual(4);
  expect(lines.length).toBeLessThanOrEqual(6);
});

test("of an error only members without secrets are logged", () => {
  const cause = Object.assign(new Error("Bearer t0ps3cret"), {
    code: "ECONNRESET",
    options: { headers: { authorization: "Bearer t0ps3cret" } },
  });
  const shown = errorMembers(new TransientError("network", "GET /x: reset", { cause }));
  expect(shown).toMatchObject({ code: "network", cause: { name: "Error", code: "ECONNRESET" } });
  expect(JSON.stringify(shown)).not.toContain("t0ps3cret");
});

test("of a bug the stack is logged, without queries, users and bearer tokens", () => {
  const bug = new TypeError("fetch https://me:t0ps3cret@api.example/x?token=t0ps3cret failed with Bearer t0ps3cret");
  const shown = JSON.stringify(errorMembers(bug));
  expect(shown).toContain("https://api.example/x");
  expect(shown).toContain("log.test.ts");
  expect(shown).not.toContain("t0ps3cret");
  expect(errorMembers("thrown text")).toEqual({ name: "string", message: "not an error" });
  expect(withoutSecrets("a plain text stays")).toBe("a plain text stays");
});
