import { expect, test } from "vitest";
import {
  ConfigError,
  exitCodeOf,
  LedgerError,
  ProtocolError,
  RefusedError,
  TransientError,
  worstExitCode,
} from "../src/errors.ts";
import type { Fact } from "../src/fact.ts";
import { epochMs } from "../src/time.ts";
import { runTick, work } from "../src/worker.ts";
import { eventsOver, manifestsIn, never, START, world, type WorldOptions } from "./support/world.ts";

// The clock is real here, so the source's is set to two hours after the start.
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

test("a tick that is done is observed with what it came to", async () => {
  const { pipeline, facts, files } = stage("one");
  expect(await runTick(pipeline, never)).toBeUndefined();
  const manifests = manifestsIn(files);
  expect(facts.at(-1)).toMatchObject({ kind: "tick.done", windows: manifests.length, events: 30 });
  expect((facts.at(-1) as { head: string }).head).toMatch(new RegExp(`^${manifests.length} [0-9a-f]{64}$`));
});

test("a tick that fails is observed once, and its error is given back", async () => {
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

test("an abort is no failure: the tick throws its reason, the worker ends with 0", async () => {
  const stop = new AbortController();
  const effect = (what: string) => {
    if (what === "request") stop.abort(new Error("stop"));
  };
  const { pipeline, facts } = stage("one", { effect });
  await expect(runTick(pipeline, stop.signal)).rejects.toThrow("stop");
  expect(await work([{ pipeline, schedule: "* * * * *" }], () => undefined, stop.signal)).toBe(0);
  expect(kinds(facts)).not.toContain("tick.failed");
});

test("a stream with a damaged ledger stops, the others go on, and the exit code is 74 at the end", async () => {
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

test("of several exit codes the one counts that someone must see first", () => {
  expect(worstExitCode([])).toBe(0);
  expect(worstExitCode([0, 0])).toBe(0);
  expect(worstExitCode([75, 69, 77, 76, 74, 70])).toBe(70);
  expect(worstExitCode([75, 69, 77, 76, 74])).toBe(74);
  expect(worstExitCode([75, 69, 77])).toBe(77);
});
