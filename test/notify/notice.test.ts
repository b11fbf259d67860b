import { expect, test } from "vitest";
import { LedgerError, RefusedError, TransientError, type ExporterError } from "../../src/errors.ts";
import type { Fact } from "../../src/fact.ts";
import {
  behindSince,
  NOTHING_REPORTED,
  noticesOf,
  type Behind,
  type Notice,
  type Reported,
} from "../../src/notify/notice.ts";
import { applyFact, type Status } from "../../src/status/status.ts";
import { epochMs, HOUR_MS, MINUTE_MS } from "../../src/time.ts";
import { committed, fold, LATER, ticked } from "../support/status.ts";
import { statusAt } from "../../src/status/status-at.ts";

/** Adds facts to a status, a minute apart, and collects the notices after each one. */
function watch(first: readonly Fact[] = [ticked(18)]) {
  let status: Status = fold(first.map((fact) => [LATER, fact]));
  let before: Reported = NOTHING_REPORTED;
  let behind: Behind;
  let now = LATER;
  const notices: Notice[] = [];
  function check(): void {
    const shown = statusAt(status, now).streams[0]!;
    behind = behindSince(behind, shown, now);
    const due = noticesOf(before, shown, behind, now);
    before = due.reported;
    notices.push(...due.notices);
  }
  return {
    notices,
    kinds: () => notices.map(({ kind }) => kind),
    add: (...facts: Fact[]): void => {
      for (const fact of facts) {
        now = epochMs(now + MINUTE_MS);
        status = applyFact(status, fact, now);
        check();
      }
    },
    /** Checks every 15 seconds for this long. */
    wait: (ms: number): void => {
      for (const end = now + ms; now < end;) {
        now = epochMs(now + 15_000);
        check();
      }
    },
  };
}

const failed = (error: ExporterError): Fact => ({ kind: "tick.failed", stream: "acme", error, durationMs: 1 });
const outage = failed(new TransientError("network", "GET /x: reset"));
const refused = failed(new RefusedError("unauthorized", "GET /x: HTTP 401", { hint: "make a new token" }));

test("a refusal is reported at once with what to do, and so is the recovery", () => {
  const { add, notices } = watch();
  add(refused);
  expect(notices).toMatchObject([
    { kind: "unhealthy", stream: "acme", code: "unauthorized", hint: "make a new token", lagSeconds: 60 },
  ]);
  expect(notices[0]?.text).toBe("acme is failing: GET /x: HTTP 401");
  add(refused, refused, ticked(18));
  expect(notices).toMatchObject([{ kind: "unhealthy" }, { kind: "recovered", code: null }]);
});

test("a temporary failure is reported with the fourth failed run in a row, not before", () => {
  const { add, kinds } = watch();
  add(outage, outage, outage, ticked(18), outage, outage, outage);
  expect(kinds()).toEqual([]);
  add(outage);
  expect(kinds()).toEqual(["unhealthy"]);
});

test("a damaged ledger is reported at once, and no recovery follows", () => {
  const error = new LedgerError("read x: cut", { hint: "restore it" });
  const { add, wait, notices } = watch();
  add(failed(error), { kind: "stream.stopped", stream: "acme", error });
  wait(2 * HOUR_MS);
  expect(notices).toMatchObject([{ kind: "unhealthy", code: "ledger", hint: "restore it" }]);
  expect(notices[0]?.text).toBe("acme is stopped: read x: cut");
});

test("a higher severity is reported at once: an outage, then a refusal, then a damaged ledger; a lower one is not", () => {
  const error = new LedgerError("read x: cut");
  const { add, notices } = watch();
  add(outage, outage, outage, outage, refused, outage, refused, failed(error), {
    kind: "stream.stopped",
    stream: "acme",
    error,
  });
  expect(notices.map(({ text }) => text)).toEqual([
    "acme is failing: GET /x: reset",
    "acme is failing: GET /x: HTTP 401",
    "acme is stopped: read x: cut",
  ]);
});

test("a worker that cannot read its ledger is reported ten minutes after its limit", () => {
  const { wait, notices } = watch([]);
  wait(5 * MINUTE_MS);
  expect(notices).toEqual([]);
  wait(6 * MINUTE_MS);
  expect(notices.map(({ text }) => text)).toEqual([
    expect.stringMatching(/^acme is behind: the ledger has not been read for 1h40m/),
  ]);
});

test("each comparison that finds missing events is reported once", () => {
  const compared = (same: number): Fact => ({
    ...{ kind: "reconciled", stream: "acme", span: { from: LATER, to: LATER }, source: 1000, missingIds: [], extra: 0 },
    ...{ same, missing: 1000 - same },
  });
  const { add, wait, notices } = watch();
  add(compared(1000), compared(999));
  wait(11 * MINUTE_MS);
  expect(notices.map(({ kind, text }) => [kind, text])).toEqual([
    ["incomplete", "acme: the archive has only 99.900 % of the source's events in the compared time span"],
  ]);
  add(compared(998));
  expect(notices).toHaveLength(2);
});

test("a gap that was in the ledger at the start is not reported; one that another worker adds later is", () => {
  const { add, notices } = watch([
    { kind: "head.found", stream: "acme", sequence: 18, sha256: "ab", exportedUntil: committed(18).window.to },
  ]);
  const read = (sequence: number): Fact => ({
    ...{ kind: "past.read", stream: "acme", committed: [committed(sequence, { type: "gap", quarantined: 1 })] },
  });
  add(read(17));
  expect(notices).toEqual([]);
  add(read(19));
  expect(notices.map(({ kind }) => kind)).toEqual(["gap", "quarantine"]);
});

test("a stream that makes no progress is reported when it has been behind for ten minutes", () => {
  const { wait, kinds, notices } = watch();
  // Its limit is half an hour.
  wait(39 * MINUTE_MS);
  expect(kinds()).toEqual([]);
  wait(3 * MINUTE_MS);
  expect(kinds()).toEqual(["unhealthy"]);
  expect(notices[0]?.text).toMatch(/^acme is behind: exported until .*: 40m behind, the limit is 30m$/);
  wait(5 * HOUR_MS);
  expect(kinds()).toEqual(["unhealthy"]);
});

test("a stream that catches up is not reported, however far behind it is, and neither is its recovery", () => {
  const hoursAgo = (hours: number) => ticked(18, { exportedUntil: epochMs(LATER - hours * HOUR_MS) });
  const { add, wait, kinds } = watch([hoursAgo(40)]);
  for (let hours = 39; hours >= 0; hours--) {
    add(hoursAgo(hours));
    wait(5 * MINUTE_MS);
  }
  expect(kinds()).toEqual([]);
});

test("a stream that catches up and then hangs is reported, measured from where it hangs", () => {
  const hoursAgo = (hours: number) => ticked(18, { exportedUntil: epochMs(LATER - hours * HOUR_MS) });
  const { add, wait, kinds } = watch([hoursAgo(40)]);
  for (let hours = 39; hours >= 20; hours--) {
    add(hoursAgo(hours));
    wait(5 * MINUTE_MS);
  }
  expect(kinds()).toEqual([]);
  wait(6 * MINUTE_MS);
  expect(kinds()).toEqual(["unhealthy"]);
});

test("a stream whose lag grows although it makes progress is reported", () => {
  const { add, wait, kinds } = watch();
  for (let sequence = 19; sequence < 40; sequence++) {
    add(committed(sequence));
    wait(6 * MINUTE_MS);
  }
  expect(kinds()).toEqual(["unhealthy"]);
});

test("a stream that fails and recovers again and again is reported once in ten minutes, and then as it is", () => {
  const { add, wait, kinds } = watch();
  for (let minute = 0; minute < 4; minute++) add(refused, ticked(18));
  expect(kinds()).toEqual(["unhealthy", "recovered"]);
  add(refused);
  wait(10 * MINUTE_MS);
  expect(kinds()).toEqual(["unhealthy", "recovered", "unhealthy"]);
});

test("a recovery is reported when the stream is healthy, not while it catches up", () => {
  const { add, kinds } = watch();
  add(refused, ticked(18, { exportedUntil: epochMs(LATER - 5 * HOUR_MS) }));
  expect(kinds()).toEqual(["unhealthy"]);
  add(ticked(18));
  expect(kinds()).toEqual(["unhealthy", "recovered"]);
});

test("gaps and quarantined items are reported at once, and those of the next ten minutes together", () => {
  const { add, wait, notices } = watch();
  const gap = (sequence: number) => committed(sequence, { type: "gap", events: 0 });
  add(committed(19, { quarantined: 2 }), gap(20), gap(21), gap(22), committed(23, { quarantined: 1 }));
  expect(notices.map(({ kind }) => kind)).toEqual(["quarantine", "gap"]);
  expect(notices[1]?.text).toBe(
    "acme: the events of 1 time span are lost, because the source no longer has them (newest: 2026-11-01T01:35:00Z to 2026-11-01T01:40:00Z)",
  );
  wait(11 * MINUTE_MS);
  expect(notices.map(({ kind, text }) => [kind, /\d+ (?:items?|time spans)/.exec(text)?.[0]])).toEqual([
    ["quarantine", "2 items"],
    ["gap", undefined],
    ["quarantine", "1 item"],
    ["gap", "2 time spans"],
  ]);
  wait(15 * MINUTE_MS);
  expect(notices).toHaveLength(4);
});
