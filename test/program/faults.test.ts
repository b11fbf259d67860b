import { gunzipSync } from "node:zlib";
import { expect, onTestFinished, test } from "vitest";
import type { FaultOptions } from "../../src/simulator/faults.ts";
import type { SimulatorOptions } from "../../src/simulator/simulator.ts";
import { differenceOf, flawsIn, linesIn, manifestsIn, NO_DIFFERENCE } from "../support/archive.ts";
import { CANARY, minutes, openStage, TEN, type Stage } from "../support/stage.ts";

function expectWhole(stage: Stage): void {
  expect(flawsIn(stage.files())).toEqual([]);
  expect(differenceOf(linesIn(stage.files()), stage.api.history({ from: TEN, to: minutes(60) }))).toEqual(
    NO_DIFFERENCE,
  );
}

const passing: readonly (readonly [string, FaultOptions])[] = [
  ["connections that are reset", { reset: { next: 1 } }],
  ["bodies that are cut half-way", { cutBody: { next: 1 } }],
  ["a storm of 429", { rateLimited: { next: 2 }, retryAfter: 1 }],
  ["a storm of 5xx", { serverError: { next: 2 } }],
];

test.each(passing)("%s cost retries, but no event", async (_, faults) => {
  const stage = await openStage(
    { simulator: { faults, until: minutes(20) }, source: { pageLimit: 50 } },
    onTestFinished,
  );
  const { code, stderr } = await stage.run(["once"]);
  expect(code, stderr).toBe(0);
  expect(stderr).toContain('"fact":"retrying"');
  expectWhole(stage);
});

const lasting: readonly (readonly [string, FaultOptions, code: number, says: RegExp])[] = [
  ["a page for people instead of JSON", { html: 1 }, 76, /audit_events.*JSON/],
  ["JSON that ends in its middle", { truncatedJson: 1 }, 76, /audit_events/],
  ["a cursor that goes round", { cursorLoop: 1 }, 76, /the cursor repeats/],
  ["a workspace that is unpaid", { unpaid: 1 }, 77, /402[^]*unpaid/],
];

test.each(lasting)(
  "%s stop the stream before the window with an error; once fixed, everything is exported",
  async (_, faults, code, says) => {
    const stage = await openStage(
      { simulator: { faults: { ...faults }, until: minutes(20) }, source: { pageLimit: 50 } },
      onTestFinished,
    );
    const failed = await stage.run(["once"]);
    expect(failed.code, failed.stderr).toBe(code);
    expect(failed.stdout).toMatch(says);
    expect(failed.stderr).toMatch(/"level":"error"/);
    expect(manifestsIn(stage.files()).filter(({ window }) => window.to > new Date(minutes(60)).toISOString())).toEqual(
      [],
    );

    for (const name of Object.keys(faults)) stage.api.faults[name as keyof FaultOptions] = undefined;
    const mended = await stage.run(["once"]);
    expect(mended.code, mended.stderr).toBe(0);
    expectWhole(stage);
  },
);

const aside: readonly (readonly [string, FaultOptions, reason: RegExp])[] = [
  ["bytes that are not UTF-8", { invalidUtf8Every: 50 }, /^not UTF-8$/],
  ["items that are no events", { poisonEvery: 50 }, /^(?:no id|not an object|created_at is not an instant)$/],
];

test.each(aside)(
  "%s are quarantined with a warning; the windows are committed, and the exit code is 0",
  async (_, faults, reason) => {
    const stage = await openStage({ simulator: { faults }, source: { pageLimit: 50 } }, onTestFinished);
    const { code, stderr } = await stage.run(["once"]);
    expect(code, stderr).toBe(0);
    expect(stderr).toContain('"fact":"items.quarantined"');
    const files = stage.files();
    expect(flawsIn(files)).toEqual([]);
    const lines = [...files.keys()]
      .filter((key) => key.startsWith("quarantine/"))
      .flatMap((key) => gunzipSync(files.get(key)!).toString().trim().split("\n"))
      .map((line) => JSON.parse(line) as { reason: string; record?: string; recordBase64?: string });
    expect(lines.length).toBeGreaterThan(3);
    expect(lines.filter((line) => !reason.test(line.reason))).toEqual([]);
    const named = manifestsIn(files).flatMap(({ quarantine }) => quarantine);
    expect(named.reduce((sum, object) => sum + object.lines, 0)).toBe(lines.length);
    // Every byte that was sent is in the objects or in quarantine. Equal items without an id are one item.
    const span = { from: TEN, to: minutes(60) };
    const sent = [...stage.api.history(span), ...stage.api.poison(span)].map((bytes) => bytes.toString("latin1"));
    const kept = lines.map(({ record, recordBase64 = "" }) =>
      (record === undefined ? Buffer.from(recordBase64, "base64") : Buffer.from(record)).toString("latin1"),
    );
    expect([...linesIn(files), ...kept].sort()).toEqual([...new Set(sent)].sort());
  },
);

const shapes: readonly (readonly [string, SimulatorOptions])[] = [
  ["a whole minute, over many pages, at one instant", { tieMs: 60_000 }],
  ["the events of each page in no order", { faults: { outOfOrder: true } }],
  ["events that become visible up to ten minutes late", { lateness: { share: 0.02, maxSeconds: 600 } }],
];

test.each(shapes)("%s: each is exported once", async (_, simulator) => {
  const stage = await openStage({ simulator }, onTestFinished);
  const { code, stderr } = await stage.run(["once"]);
  expect(code, stderr).toBe(0);
  expectWhole(stage);
});

test("JSON with line breaks becomes one line for each event, and is otherwise the same byte for byte", async () => {
  const stage = await openStage({ simulator: { pretty: true } }, onTestFinished);
  const { code, stderr } = await stage.run(["once"]);
  expect(code, stderr).toBe(0);
  expectWhole(stage);
});

test("numbers beyond JavaScript's precision keep every digit", async () => {
  const stage = await openStage({}, onTestFinished);
  expect((await stage.run(["once"])).code).toBe(0);
  const numbers = linesIn(stage.files()).flatMap((line) => line.match(/[:[,]-?\d{17,}(?=[,}\]])/g) ?? []);
  const beyond = numbers.filter((number) => String(Number(number.slice(1))) !== number.slice(1));
  expect(beyond.length).toBeGreaterThan(0);
  expectWhole(stage);
});

test("no output, document or object has the token, whatever fails and at every log level", async () => {
  const stage = await openStage(
    { simulator: { faults: { serverError: { next: 1 }, reset: { next: 1 }, rateLimited: { next: 1 } } } },
    onTestFinished,
  );
  const env = { LOG_LEVEL: "trace" };
  const outputs = [await stage.run(["once"], { env }), await stage.run(["check"], { env })];
  stage.api.access.token = "revoked";
  stage.write({ ...stage.settings, streams: [{ ...(stage.settings["streams"] as object[])[0], name: "other" }] });
  for (const command of ["once", "check", "status"]) outputs.push(await stage.run([command], { env }));
  expect(outputs.map(({ code }) => code)).toEqual([0, expect.any(Number), 77, 77, 0]);
  for (const { stdout, stderr } of outputs) {
    expect(stdout).not.toContain(CANARY);
    expect(stderr).not.toContain(CANARY);
    // The query, which shows the filter, is not there either.
    expect(stderr).not.toContain("start_time=");
  }
  const written = [...stage.files()]
    .map(([key, bytes]) => key + bytes.toString("latin1"))
    .concat(linesIn(stage.files()));
  expect(written.filter((text) => text.includes(CANARY))).toEqual([]);
});
