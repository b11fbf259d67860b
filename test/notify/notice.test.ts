import { expect, test } from "vitest";
import { LedgerError, RefusedError, TransientError, type ExporterError } from "../../src/errors.ts";
import type { Fact } from "../../src/fact.ts";
import { behindSince, NOTHING_TOLD, noticesOf, type Behind, type Notice, type Told } from "../../src/notify/notice.ts";
import { applyFact, type Status } from "../../src/status/status.ts";
import { epochMs, HOUR_MS, MINUTE_MS } from "../../src/time.ts";
import { committed, fold, LATER, ticked } from "../support/status.ts";
import { statusAt } from "../../src/status/status-at.ts";

/** Tells facts to a status, a minute apart, and looks at it after each. */
function watch(first: readonly Fact[] = [ticked(18)]) {
  let status: Status = fold(first.map((fact) => [LATER, fact]));
  let before: Told = NOTHING_TOLD;
  let behind: Behind;
  let now = LATER;
  const told: Notice[] = [];
  function look(): void {
    const shown = statusAt(status, now).streams[0]!;
    behind = behindSince(behind, shown, now);
    const seen = noticesOf(before, shown, behind, now);
    before = seen.told;
    told.push(...seen.notices);
  }
  return {
    told,
    kinds: () => told.map(({ kind }) => kind),
    tell: (...facts: Fact[]): void => {
      for (const fact of facts) {
        now = epochMs(now + MINUTE_MS);
        status = applyFact(status, fact, now);
        look();
      }
    },
    /** Looks every 15 seconds until so much later. */
    wait: (ms: number): void => {
      for (const end = now + ms; now < end;) {
        now = epochMs(now + 15_000);
        look();
      }
    },
  };
}

const failed = (error: ExporterError): Fact => ({ kind: "tick.failed", stream: "acme", error, durationMs: 1 });
const away = failed(new TransientError("network", "GET /x: reset"));
const refused = failed(new RefusedError("unauthorized", "GET /x: HTTP 401", { hint: "make a new token" }));

test("a refusal is told at once, with what to do; the recovery too", () => {
  const { tell, told } = watch();
  tell(refused);
  expect(told).toMatchObject([
    { kind: "unhealthy", stream: "acme", code: "unauthorized", hint: "make a new token", lagSeconds: 60 },
  ]);
  expect(told[0]?.text).toBe("acme is failing: GET /x: HTTP 401");
  tell(refused, refused, ticked(18));
  expect(told).toMatchObject([{ kind: "unhealthy" }, { kind: "recovered", code: null }]);
});

test("what may pass by itself is told with the fourth tick that fails, not before", () => {
  const { tell, kinds } = watch();
  tell(away, away, away, ticked(18), away, away, away);
  expect(kinds()).toEqual([]);
  tell(away);
  expect(kinds()).toEqual(["unhealthy"]);
});

test("a damaged ledger is told at once, and nothing takes it back", () => {
  const error = new LedgerError("read x: cut", { hint: "restore it" });
  const { tell, wait, told } = watch();
  tell(failed(error), { kind: "stream.stopped", stream: "acme", error });
  wait(2 * HOUR_MS);
  expect(told).toMatchObject([{ kind: "unhealthy", code: "ledger", hint: "restore it" }]);
  expect(told[0]?.text).toBe("acme is stopped: read x: cut");
});

test("what gets worse is told again at once: an outage, then a refusal, then a damaged ledger; what eases is not", () => {
  const error = new LedgerError("read x: cut");
  const { tell, told } = watch();
  tell(away, away, away, away, refused, away, refused, failed(error), {
    kind: "stream.stopped",
    stream: "acme",
    error,
  });
  expect(told.map(({ text }) => text)).toEqual([
    "acme is failing: GET /x: reset",
    "acme is failing: GET /x: HTTP 401",
    "acme is stopped: read x: cut",
  ]);
});

test("a worker that cannot read its ledger is told ten minutes after its limit", () => {
  const { wait, told } = watch([]);
  wait(5 * MINUTE_MS);
  expect(told).toEqual([]);
  wait(6 * MINUTE_MS);
  expect(told.map(({ text }) => text)).toEqual([
    expect.stringMatching(/^acme is behind: the ledger has not been read for 1h40m/),
  ]);
});

test("a comparison that finds something missing is told once, and the next one that does too", () => {
  const compared = (same: number): Fact => ({
    ...{ kind: "reconciled", stream: "acme", span: { from: LATER, to: LATER }, source: 1000, missingIds: [], extra: 0 },
    ...{ same, missing: 1000 - same },
  });
  const { tell, wait, told } = watch();
  tell(compared(1000), compared(999));
  wait(11 * MINUTE_MS);
  expect(told.map(({ kind, text }) => [kind, text])).toEqual([
    ["incomplete", "acme: of the source's events in the span that was compared, the archive has 99.900 %"],
  ]);
  tell(compared(998));
  expect(told).toHaveLength(2);
});

test("a gap that lay in the ledger at the start is no news; one that another worker makes later is", () => {
  const { tell, told } = watch([
    { kind: "head.found", stream: "acme", sequence: 18, sha256: "ab", exportedUntil: committed(18).window.to },
  ]);
  const read = (sequence: number): Fact => ({
    ...{ kind: "past.read", stream: "acme", committed: [committed(sequence, { type: "gap", quarantined: 1 })] },
  });
  tell(read(17));
  expect(told).toEqual([]);
  tell(read(19));
  expect(told.map(({ kind }) => kind)).toEqual(["gap", "quarantine"]);
});

test("a stream that is stuck is told when it has been behind for ten minutes", () => {
  const { wait, kinds, told } = watch();
  // Its limit is half an hour.
  wait(39 * MINUTE_MS);
  expect(kinds()).toEqual([]);
  wait(3 * MINUTE_MS);
  expect(kinds()).toEqual(["unhealthy"]);
  expect(told[0]?.text).toMatch(/^acme is behind: exported until .*: 40m behind, the limit is 30m$/);
  wait(5 * HOUR_MS);
  expect(kinds()).toEqual(["unhealthy"]);
});

test("a stream that catches up is not told, however far behind it is; nor that it is well then", () => {
  const hoursAgo = (hours: number) => ticked(18, { exportedUntil: epochMs(LATER - hours * HOUR_MS) });
  const { tell, wait, kinds } = watch([hoursAgo(40)]);
  for (let hours = 39; hours >= 0; hours--) {
    tell(hoursAgo(hours));
    wait(5 * MINUTE_MS);
  }
  expect(kinds()).toEqual([]);
});

test("a stream that caught up for a while and then hangs is told, measured from where it hangs", () => {
  const hoursAgo = (hours: number) => ticked(18, { exportedUntil: epochMs(LATER - hours * HOUR_MS) });
  const { tell, wait, kinds } = watch([hoursAgo(40)]);
  for (let hours = 39; hours >= 20; hours--) {
    tell(hoursAgo(hours));
    wait(5 * MINUTE_MS);
  }
  expect(kinds()).toEqual([]);
  wait(6 * MINUTE_MS);
  expect(kinds()).toEqual(["unhealthy"]);
});

test("a stream that comes forward more slowly than the time goes by is told", () => {
  const { tell, wait, kinds } = watch();
  for (let sequence = 19; sequence < 40; sequence++) {
    tell(committed(sequence));
    wait(6 * MINUTE_MS);
  }
  expect(kinds()).toEqual(["unhealthy"]);
});

test("a stream that goes to and fro is told of once in ten minutes, and what lasts is told then", () => {
  const { tell, wait, kinds } = watch();
  for (let minute = 0; minute < 4; minute++) tell(refused, ticked(18));
  expect(kinds()).toEqual(["unhealthy", "recovered"]);
  tell(refused);
  wait(10 * MINUTE_MS);
  expect(kinds()).toEqual(["unhealthy", "recovered", "unhealthy"]);
});

test("a recovery is told by a stream that is well, not by one that catches up", () => {
  const { tell, kinds } = watch();
  tell(refused, ticked(18, { exportedUntil: epochMs(LATER - 5 * HOUR_MS) }));
  expect(kinds()).toEqual(["unhealthy"]);
  tell(ticked(18));
  expect(kinds()).toEqual(["unhealthy", "recovered"]);
});

test("gaps and quarantine are told once each, what follows within ten minutes together", () => {
  const { tell, wait, told } = watch();
  const gap = (sequence: number) => committed(sequence, { type: "gap", events: 0 });
  tell(committed(19, { quarantined: 2 }), gap(20), gap(21), gap(22), committed(23, { quarantined: 1 }));
  expect(told.map(({ kind }) => kind)).toEqual(["quarantine", "gap"]);
  expect(told[1]?.text).toBe(
    "acme: a span of time is lost, for the source does not keep those events any more (the newest: 2026-11-01T01:35:00Z to 2026-11-01T01:40:00Z)",
  );
  wait(11 * MINUTE_MS);
  expect(told.map(({ kind, text }) => [kind, /\d+ (?:items?|spans)/.exec(text)?.[0]])).toEqual([
    ["quarantine", "2 items"],
    ["gap", undefined],
    ["quarantine", "1 item"],
    ["gap", "2 spans"],
  ]);
  wait(15 * MINUTE_MS);
  expect(told).toHaveLength(4);
});
