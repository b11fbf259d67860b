import { expect, test } from "vitest";
import { LedgerError, RefusedError, TransientError } from "../../src/errors.ts";
import type { Fact } from "../../src/fact.ts";
import { applyFact, initialStatus, type Status } from "../../src/status/status.ts";
import { DAY_MS, epochMs, HOUR_MS, MINUTE_MS } from "../../src/time.ts";
import { committed, described, fold, LATER, ticked } from "../support/status.ts";
import { START } from "../support/world.ts";
import { statusAt } from "../../src/status/status-at.ts";

const refused = new RefusedError("forbidden", "GET /x: HTTP 403", { hint: "the token needs a scope" });
const failed = (error: RefusedError | TransientError = refused): Fact => ({
  ...{ kind: "tick.failed", stream: "acme", error, durationMs: 9 },
});
const one = (status: Status, now = LATER) => statusAt(status, now).streams[0]!;
const until = (sequence: number) => committed(sequence).window.to;

test("committed windows are counted, and a failure stays until a success", () => {
  expect(one(fold([]), START)).toMatchObject({
    state: "starting",
    exportedUntil: null,
    lagSeconds: null,
    nextTick: null,
  });
  const healthy = fold([
    [LATER, committed(18)],
    [LATER, ticked(18)],
  ]);
  expect(one(healthy)).toMatchObject({
    ...{ state: "ok", why: null, hint: null, exportedUntil: "2026-11-01T01:30:00Z", lagSeconds: 0, failure: null },
    head: { sequence: 18, sha256: "ab".repeat(32) },
    totals: { windows: 1, events: 5, late: 0, quarantined: 0, gaps: 0, bytes: 100 },
  });
  const failing = applyFact(healthy, failed(), epochMs(LATER + MINUTE_MS));
  expect(one(failing)).toMatchObject({
    ...{ state: "failing", why: "GET /x: HTTP 403", hint: "the token needs a scope", failedTicks: 1 },
    ...{ lastTick: "2026-11-01T01:31:00Z", lastSuccess: "2026-11-01T01:30:00Z", failure: { code: "forbidden" } },
  });
  expect(one(applyFact(failing, ticked(18), LATER))).toMatchObject({ state: "ok", failure: null, failedTicks: 0 });
});

test("a status is immutable", () => {
  const before = fold([[LATER, committed(1)]]);
  const shown = JSON.stringify(statusAt(before, LATER));
  applyFact(applyFact(before, committed(2), LATER), failed(), LATER);
  expect(JSON.stringify(statusAt(before, LATER))).toBe(shown);
});

test("the lag grows with the time, and above its limit the stream is behind", () => {
  const status = fold([[LATER, ticked(18)]]);
  expect(one(status, epochMs(LATER + 30 * MINUTE_MS))).toMatchObject({ state: "ok", lagSeconds: 1800 });
  expect(one(status, epochMs(LATER + 31 * MINUTE_MS))).toMatchObject({
    ...{ state: "behind", lagSeconds: 1860, lagLimitSeconds: 1800 },
    why: "exported until 2026-11-01T01:30:00Z: 31m behind, the limit is 30m",
    hint: "look in the log for what the worker is waiting for",
  });
});

test("a stream that catches up for the first time is behind, and its hint says that it is catching up", () => {
  const found: Fact = { kind: "head.found", stream: "acme", sequence: 0, sha256: null, exportedUntil: undefined };
  const now = epochMs(START + 30 * DAY_MS);
  const begun = fold([[now, found]]);
  expect(one(begun, now)).toMatchObject({
    state: "behind",
    why: expect.stringMatching(/^nothing exported yet: /) as string,
  });
  const going = applyFact(begun, committed(1), now);
  expect(one(going, now)).toMatchObject({
    ...{ state: "behind", lagSeconds: 30 * 86_400 - 300 },
    hint: "catching up: nothing to do while the lag shrinks",
  });
  // Nothing was committed since: it is stuck.
  const later = epochMs(now + HOUR_MS);
  expect(one(going, later).hint).toBe("look in the log for what the worker is waiting for");
});

test("a damaged ledger stops a stream, whatever the rest of its status", () => {
  const error = new LedgerError("read x: cut", { hint: "restore it" });
  const stopped = fold([
    [LATER, ticked(18)],
    [LATER, { kind: "tick.failed", stream: "acme", error, durationMs: 1 }],
    [LATER, { kind: "stream.stopped", stream: "acme", error }],
  ]);
  const shown = statusAt(stopped, epochMs(LATER + DAY_MS), () => LATER).streams[0];
  expect(shown).toMatchObject({ state: "stopped", why: "read x: cut", hint: "restore it", nextTick: null });
});

test("the running window is shown while it is running", () => {
  const { window } = committed(19);
  const started: Fact = { kind: "window.started", stream: "acme", type: "window", sequence: 19, window };
  const at = fold([[LATER, started]]);
  const running = { sequence: 19, kind: "window", from: "2026-11-01T01:30:00Z", to: "2026-11-01T01:35:00Z" };
  expect(one(at).running).toEqual({ ...running, since: "2026-11-01T01:30:00Z" });
  for (const end of [committed(19), ticked(19), failed()]) expect(one(applyFact(at, end, LATER)).running).toBeNull();
});

test("a repair does not move the checkpoint", () => {
  const repair = committed(19, { type: "repair", window: { from: START, to: epochMs(START + 5 * MINUTE_MS) } });
  const status = fold([
    [LATER, committed(18)],
    [LATER, repair],
  ]);
  expect(one(status)).toMatchObject({ exportedUntil: "2026-11-01T01:30:00Z", head: { sequence: 19 } });
});

test("a failure that repeats is counted, and only the last ten are kept", () => {
  let status = fold([
    [START, failed()],
    [LATER, failed()],
  ]);
  expect(one(status).errors).toMatchObject([
    { code: "forbidden", count: 2, firstTime: "2026-11-01T00:00:00Z", time: "2026-11-01T01:30:00Z" },
  ]);
  for (let count = 0; count < 20; count++) {
    status = applyFact(status, failed(new TransientError("network", `GET /${count}: reset`)), LATER);
  }
  const { errors } = one(status);
  expect(errors).toHaveLength(10);
  expect(errors.at(-1)).toMatchObject({ message: "GET /19: reset", count: 1 });
});

test("the status says when the source deletes the oldest event not yet exported", () => {
  const status = fold([[LATER, ticked(18)]], [described("acme", { retentionMs: 90 * DAY_MS })]);
  expect(one(status, epochMs(LATER + DAY_MS)).retention).toEqual({
    ...{ until: "2027-01-30T01:30:00Z", leftSeconds: 89 * 86_400 },
  });
  expect(one(fold([[LATER, ticked(18)]])).retention).toBeNull();
});

test("the completeness is that of the last comparison, until a comparison fails", () => {
  const span = { from: START, to: LATER };
  const compared: Fact = {
    ...{ kind: "reconciled", stream: "acme", span, source: 8, same: 6, missing: 2, missingIds: [], extra: 0 },
  };
  const status = fold([[LATER, compared]]);
  expect(one(status)).toMatchObject({ completeness: 0.75, reconciledAt: "2026-11-01T01:30:00Z" });
  const next = applyFact(status, { kind: "reconcile.failed", stream: "acme", error: refused }, LATER);
  expect(one(next)).toMatchObject({ completeness: null, reconciledAt: null, errors: [{ stage: "reconcile" }] });
});

test("without a worker no stream is starting, and there is no next run", () => {
  const found: Fact = { kind: "head.found", stream: "acme", sequence: 18, sha256: "ab", exportedUntil: until(18) };
  const status = applyFact(initialStatus("1.2.3", [described("acme")]), found, LATER);
  const document = statusAt(status, LATER, () => LATER);
  expect(document).toMatchObject({
    startedAt: null,
    streams: [{ state: "ok", nextTick: null, head: { sequence: 18 } }],
  });
  expect(one(status, epochMs(LATER + DAY_MS)).hint).toBe("start the worker");
});

test.each([1, 4, 10, 100])(
  "of %i streams each shows its last day, and one that is shown in full its last week",
  (count) => {
    const names = Array.from({ length: count }, (_, index) => `s${index}`);
    const week = Array.from({ length: 7 * 24 }, (_, index) => {
      const from = epochMs(START + index * HOUR_MS);
      return committed(index + 1, { window: { from, to: epochMs(from + HOUR_MS) } });
    });
    const now = epochMs(START + 7 * DAY_MS);
    const status = fold(
      names.map((stream) => [now, { kind: "past.read", stream, committed: week }] as const),
      names.map((stream) => described(stream)),
    );
    const { streams } = statusAt(status, now, undefined, names.at(-1));
    for (const { hours, last24Hours } of streams) {
      expect(hours.length).toBeGreaterThanOrEqual(25);
      expect(last24Hours).toMatchObject({ windows: 23, events: 115 });
    }
    expect(streams.at(-1)?.hours).toHaveLength(168);
    expect(statusAt(status, now).streams[0]?.hours).toHaveLength(168);
    expect(JSON.stringify(streams).length).toBeLessThan(600_000);
  },
);

test("a slow clock hides neither the lag nor the retention left, and is a warning", () => {
  const status = fold(
    [[LATER, ticked(18, { clockOffsetMs: 20 * MINUTE_MS })]],
    [described("acme", { retentionMs: 90 * DAY_MS })],
  );
  expect(one(status)).toMatchObject({
    ...{ state: "ok", lagSeconds: 1200, clockOffsetSeconds: 1200, retention: { leftSeconds: 90 * 86_400 - 1200 } },
    ...{ why: "this machine's clock is 20m behind the source's clock", hint: expect.stringContaining("NTP") as string },
  });
  expect(one(status, epochMs(LATER + 11 * MINUTE_MS))).toMatchObject({ state: "behind", lagSeconds: 1860 });
  // The offset stays known when a run did not ask for it; a few seconds are not worth a warning.
  expect(one(applyFact(status, ticked(19), LATER)).clockOffsetSeconds).toBe(1200);
  expect(one(applyFact(status, ticked(19, { clockOffsetMs: -3000 }), LATER))).toMatchObject({
    why: null,
    lagSeconds: -300,
  });
});

test("a worker that cannot read its ledger is starting until its lag limit has passed, then behind", () => {
  const minutes = (count: number) => one(fold([]), epochMs(START + count * MINUTE_MS));
  expect(minutes(30)).toMatchObject({ state: "starting" });
  expect(minutes(31)).toMatchObject({
    ...{
      state: "behind",
      lagSeconds: null,
      why: "the ledger has not been read for 31m: the first run has not finished yet",
    },
  });
});

test("totals count the windows after the start of the worker, those of another worker too, but none from before", () => {
  const gap = (sequence: number) => committed(sequence, { type: "gap", events: 0 });
  const read = (...windows: Fact[]): Fact => ({
    ...{ kind: "past.read", stream: "acme", committed: windows as Extract<Fact, { kind: "window.committed" }>[] },
  });
  const found: Fact = { kind: "head.found", stream: "acme", sequence: 2, sha256: "ab", exportedUntil: until(2) };
  const begun = fold([[LATER, found]]);
  expect(one(begun).isPastRead).toBe(false);
  const known = applyFact(begun, read(committed(1), gap(2)), LATER);
  expect(one(known)).toMatchObject({ isPastRead: true, gaps: { count: 1 }, totals: { windows: 0, gaps: 0 } });
  const later = applyFact(known, read(gap(3), committed(4)), LATER);
  expect(one(later)).toMatchObject({ gaps: { count: 2, seconds: 600 }, totals: { windows: 2, gaps: 1 } });
});
