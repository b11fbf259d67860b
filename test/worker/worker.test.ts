import { expect, test } from "vitest";
import {
  ConfigError,
  exitCodeOf,
  LedgerError,
  ProtocolError,
  RefusedError,
  TransientError,
  worstExitCode,
} from "../../src/errors.ts";
import type { Fact } from "../../src/fact.ts";
import { epochMs } from "../../src/time.ts";
import { runTick, work } from "../../src/worker/worker.ts";
import { eventsOver, manifestsIn, never, START, world, type WorldOptions } from "../support/world.ts";

// Our clock is real here, so the source's clock is set to two hours after the start.
const clockOffsetMs = START + 2 * 3_600_000 - Date.now();
const history = eventsOver(START, epochMs(START + 3_600_000), 30);

function stage(name: string, options: WorldOptions = {}) {
  const facts: Fact[] = [];
  const { pipeline, files } = world(history, { source: { clockOffsetMs }, ...options });
  return {
    pipeline: { ...pipeline, name, observe: (fact: object) => facts.push({ ...fact, stream: name } as Fact) },
    files,
    facts,
  };
}

const kinds = (facts: readonly Fact[]) => facts.map(({ kind }) => kind);

test("a finished tick is observed with its totals and the head", async () => {
  const { pipeline, facts, files } = stage("one");
  expect(await runTick(pipeline, never)).toBeUndefined();
  const manifests = manifestsIn(files);
  expect(facts.at(-1)).toMatchObject({ kind: "tick.done", windows: manifests.length, events: 30 });
  const { head } = facts.at(-1) as Extract<Fact, { kind: "tick.done" }>;
  expect(head).toEqual({ sequence: manifests.length, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string });
});

test("a failed tick is observed once, and resolves with its error", async () => {
  const effect = (what: string) => {
    if (what === "request") throw new ProtocolError("GET /x: not JSON");
  };
  const { pipeline, facts } = stage("one", { effect });
  const error = await runTick(pipeline, never);
  expect(error).toBeInstanceOf(ProtocolError);
  expect(kinds(facts).filter((kind) => kind === "tick.failed")).toHaveLength(1);
});

test("a bug is thrown, never observed as a failed tick", async () => {
  const effect = (what: string) => {
    if (what === "request") throw new TypeError("undefined is not a function");
  };
  const { pipeline, facts } = stage("one", { effect });
  await expect(runTick(pipeline, never)).rejects.toThrow(TypeError);
  expect(kinds(facts)).not.toContain("tick.failed");
  await expect(
    work([{ pipeline: stage("one", { effect }).pipeline, schedule: "* * * * *" }], () => undefined, never),
  ).rejects.toThrow(TypeError);
});

test("an abort is not a failure: the tick throws its reason, the worker ends with 0", async () => {
  const stop = new AbortController();
  const effect = (what: string) => {
    if (what === "request") stop.abort(new Error("stop"));
  };
  const { pipeline, facts } = stage("one", { effect });
  await expect(runTick(pipeline, stop.signal)).rejects.toThrow("stop");
  expect(await work([{ pipeline, schedule: "* * * * *" }], () => undefined, stop.signal)).toBe(0);
  expect(kinds(facts)).not.toContain("tick.failed");
});

test("after a stop during a tick, what it did until then is reported, with its totals and the head", async () => {
  const stop = new AbortController();
  const one = stage("one");
  const { pipeline, facts, files } = one;
  const observe = (fact: { kind: string }) => {
    if (fact.kind === "window.committed") stop.abort(new Error("stop"));
    return pipeline.observe(fact);
  };
  expect(
    await work([{ pipeline: { ...pipeline, observe }, schedule: "* * * * *" }], () => undefined, stop.signal, never),
  ).toBe(0);
  expect(manifestsIn(files)).toHaveLength(1);
  expect(facts.at(-1)).toMatchObject({
    kind: "tick.done",
    windows: 1,
    head: { sequence: 1, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string },
  });
});

test.each([
  ["the ledger is damaged", new LedgerError("cut"), 74],
  ["a bug", new TypeError("undefined is not a function"), undefined],
])("an error after the stop was requested still counts: %s", async (_, error, code) => {
  const stop = new AbortController();
  const effect = (what: string) => {
    if (!what.startsWith("create ledger/manifests/")) return;
    stop.abort(new Error("stop"));
    throw error;
  };
  const { pipeline, facts } = stage("one", { effect });
  const ended = work([{ pipeline, schedule: "* * * * *" }], () => undefined, stop.signal);
  if (code === undefined) await expect(ended).rejects.toBe(error);
  else expect(await ended).toBe(code);
  if (code !== undefined) expect(facts.at(-1)).toMatchObject({ kind: "tick.failed", error: { code: "ledger" } });
});

test("a stream with a damaged ledger stops, the others continue, and the exit code is 74", async () => {
  const stop = new AbortController();
  const broken = stage("broken");
  broken.files.set("ledger/manifests/000000000001.json", Buffer.from("{"));
  const well = stage("well");
  const seen: Fact[] = [];
  const ended = work(
    [broken, well].map(({ pipeline }) => ({
      pipeline: {
        ...pipeline,
        observe: (fact: object) => {
          if ((fact as Fact).kind === "tick.done") setImmediate(() => stop.abort(new Error("enough")));
        },
      },
      schedule: "0 0 1 1 *",
    })),
    (fact) => seen.push(fact),
    stop.signal,
  );
  expect(await ended).toBe(74);
  expect(seen.filter(({ kind }) => kind === "stream.stopped")).toMatchObject([{ stream: "broken" }]);
  expect(manifestsIn(well.files).length).toBeGreaterThan(0);
});

test.each([
  [new TransientError("network", "x"), 75],
  [new RefusedError("forbidden", "x"), 77],
  [new RefusedError("not_found", "x"), 69],
  [new ProtocolError("x"), 76],
  [new LedgerError("x"), 74],
  [new ConfigError("x"), 78],
  [new TypeError("x"), 70],
])("the exit code says what happened: %s", (error, code) => {
  expect(exitCodeOf(error)).toBe(code);
  expect(worstExitCode([0, code, 0])).toBe(code);
});

test("of several exit codes the most urgent one counts", () => {
  expect(worstExitCode([])).toBe(0);
  expect(worstExitCode([0, 0])).toBe(0);
  expect(worstExitCode([75, 69, 77, 76, 74, 70])).toBe(70);
  expect(worstExitCode([75, 69, 77, 76, 74])).toBe(74);
  expect(worstExitCode([75, 69, 77])).toBe(77);
});

/** Works until the facts satisfy `isEnough`; resolves with the exit code. */
async function workUntil(
  one: ReturnType<typeof stage>,
  isEnough: (facts: readonly Fact[]) => boolean,
): Promise<number> {
  const stop = new AbortController();
  const { pipeline, facts } = one;
  const observe = (fact: object) => {
    const count = pipeline.observe(fact);
    if (isEnough(facts)) stop.abort(new Error("enough"));
    return count;
  };
  const everySecond = "* * * * * *";
  const reconcile = { schedule: everySecond, spanMs: 2 * 3_600_000 };
  return work([{ pipeline: { ...pipeline, observe }, schedule: everySecond, reconcile }], () => undefined, stop.signal);
}

const countOf = (facts: readonly Fact[], kind: Fact["kind"]) => facts.filter((fact) => fact.kind === kind).length;

test("a failed comparison is reported, and the stream continues", async () => {
  const one = stage("test");
  await runTick(one.pipeline, never);
  for (const key of [...one.files.keys()]) if (/\/ids\/0{11}1-|^data\/.*\/0{11}1-/.test(key)) one.files.delete(key);
  const isEnough = (facts: readonly Fact[]) => {
    const failed = facts.findIndex(({ kind }) => kind === "reconcile.failed");
    return failed >= 0 && countOf(facts.slice(failed), "tick.done") >= 2;
  };
  expect(await workUntil(one, isEnough)).toBe(0);
  expect(one.facts.find(({ kind }) => kind === "reconcile.failed")).toMatchObject({ error: { code: "ledger" } });
  expect(kinds(one.facts)).not.toContain("stream.stopped");
});

test("a scheduled comparison runs even if the tick beside it fails", async () => {
  const whole = stage("test");
  await runTick(whole.pipeline, never);
  // Ticks fail at their plans; comparisons need no plan.
  const effect = (what: string) => {
    if (what.startsWith("create ledger/plans/")) throw new TransientError("network", "made to fail");
  };
  const later = { clockOffsetMs: clockOffsetMs + 3_600_000 };
  const one = stage("test", { files: whole.files, effect, source: later });
  expect(await workUntil(one, (facts) => countOf(facts, "tick.failed") > 1 && countOf(facts, "reconciled") > 0)).toBe(
    0,
  );
  expect(one.facts.find(({ kind }) => kind === "reconciled")).toMatchObject({ source: 30, same: 30, missing: 0 });
});
