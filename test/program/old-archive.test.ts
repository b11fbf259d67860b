import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { recordedApi, type History, type RecordedApi } from "../support/recorded-api.ts";
import { run } from "../support/program.ts";

const FIXTURE = fileURLToPath(new URL("../fixtures/archive-0.1", import.meta.url));
const STREAMS = ["pachca-acme", "pachca-cef", "uipath-acme"];
const history = JSON.parse(readFileSync(join(FIXTURE, "history.json"), "utf8")) as History;
const key = join(FIXTURE, "signing.pub");
const saidThen = (name: string) => readFileSync(join(FIXTURE, name), "utf8");

type Line = Readonly<Record<string, unknown>>;
const linesOf = (stdout: string) =>
  stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);

test.each([
  ["verify.json", []],
  ["verify-with-key.json", ["--public-key", key]],
])("verify of each folder, without a configuration, says what version 0.1 said: %s", async (name, flags) => {
  const said: string[] = [];
  for (const stream of STREAMS) {
    const { code, stdout, stderr } = await run(["verify", join(FIXTURE, "archive", stream), "--json", ...flags]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    said.push(stdout);
  }
  expect(said.join("")).toBe(saidThen(name));
});

let folder: string;
let api: RecordedApi;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "siem-export-old-"));
  cpSync(FIXTURE, folder, { recursive: true });
  api = await recordedApi(history);
});
afterAll(async () => {
  await api.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Without a token unless it is given: only what calls the source needs one. */
const call = (args: readonly string[], tokens: Readonly<Record<string, string>> = {}) =>
  run([...args, "--config", join(folder, "exporter.yaml")], {
    cwd: folder,
    env: { FIXTURE: folder, HTTP_PROXY: api.url, ...tokens },
  });
const withTokens = (args: readonly string[]) => call(args, { PACHCA_TOKEN: "p", UIPATH_TOKEN: "u" });

const reconciled = async (stream: string, to: string) => {
  const span = ["--from", "2025-03-03T00:00:00Z", "--to", to];
  const { code, stdout, stderr } = await withTokens(["reconcile", "-s", stream, ...span, "--json"]);
  expect({ stream, code, stderr }).toEqual({ stream, code: 0, stderr: "" });
  return linesOf(stdout)[0];
};
const whole = { missing: 0, missingIds: [], extra: 0, extraIds: [], repaired: null };

test.each([
  ["verify.json", []],
  ["verify-with-key.json", ["--public-key", key]],
])("verify by configuration says what version 0.1 said: %s", async (name, flags) => {
  const { code, stdout, stderr } = await call(["verify", "--json", ...flags]);
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: saidThen(name), stderr: "" });
});

test("the configuration of version 0.1 passes check, which warns only that Pachca no longer keeps what comes next", async () => {
  api.setClock(new Date().toISOString());
  const { code, stdout, stderr } = await withTokens(["check", "--json"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const odd = linesOf(stdout).filter(({ state }) => state !== "ok");
  expect(odd.map(({ stream, state, what }) => ({ stream, state, what }))).toEqual(
    ["pachca-acme", "pachca-cef"].map((stream) => ({
      ...{ stream, state: "warning", what: "next to export: 2025-03-03T11:00:00Z" },
    })),
  );
});

test("the quarantine of version 0.1 can be listed, and gc finds nothing to remove", async () => {
  const listed = await call(["quarantine", "list", "--json"]);
  expect({ code: listed.code, stderr: listed.stderr }).toEqual({ code: 0, stderr: "" });
  expect(linesOf(listed.stdout).map(({ stream, reason }) => `${String(stream)}: ${String(reason)}`)).toEqual([
    "pachca-acme: not an object",
    "pachca-acme: no id",
    "pachca-acme: larger than batch.maxEventBytes (1024)",
    "pachca-acme: created_at is not an instant",
    "pachca-acme: not UTF-8",
    "uipath-acme: no event_id",
  ]);
  expect(await call(["gc", "--json"])).toMatchObject({ code: 0, stdout: "", stderr: "" });
});

test("reconcile finds nothing missing and nothing extra in an archive of version 0.1", async () => {
  api.setClock(history.clocks.windows.at(-1)!);
  const end = "2025-03-03T11:00:00Z";
  expect(await reconciled("pachca-acme", end)).toMatchObject({ source: 34, same: 34, ...whole });
  expect(await reconciled("pachca-cef", end)).toMatchObject({ source: 4, same: 4, ...whole });
  expect(await reconciled("uipath-acme", end)).toMatchObject({ source: 7, same: 7, ...whole });
});

test("once resumes an archive of version 0.1 without a warning, and the archive verifies and reconciles as a whole", async () => {
  api.setClock(history.clocks.resume);
  const resumed = await withTokens(["once", "--json"]);
  expect(resumed.code, resumed.stderr).toBe(0);
  const levels = resumed.stderr === "" ? [] : linesOf(resumed.stderr).map(({ level }) => level);
  expect(levels.filter((level) => level !== "info" && level !== "debug")).toEqual([]);
  const end = "2025-03-03T13:00:00Z";
  const done = { done: true, windows: 2, quarantined: 0, gaps: 0, exportedUntil: end };
  expect(linesOf(resumed.stdout)).toMatchObject([
    {
      stream: "pachca-acme",
      ...done,
      events: 5,
      late: 1,
      head: expect.stringMatching(/^12 [0-9a-f]{64}$/) as string,
    },
    { stream: "pachca-cef", ...done, events: 3, late: 1, head: expect.stringMatching(/^5 [0-9a-f]{64}$/) as string },
    { stream: "uipath-acme", ...done, events: 2, late: 0, head: expect.stringMatching(/^5 [0-9a-f]{64}$/) as string },
  ]);

  const verified = await call(["verify", "--json", "--public-key", key]);
  expect({ code: verified.code, stderr: verified.stderr }).toEqual({ code: 0, stderr: "" });
  const findings = linesOf(verified.stdout).filter(({ kind }) => kind !== "summary");
  expect(findings).toEqual(linesOf(saidThen("verify.json")).filter(({ kind }) => kind !== "summary"));
  const intact = { errors: 0, isContiguous: true, authenticity: "authenticated", to: end };
  expect(linesOf(verified.stdout).filter(({ kind }) => kind === "summary")).toMatchObject([
    { stream: "pachca-acme", ...intact, windows: 10, repairs: 1, gaps: 2, events: 34, objects: 11, quarantined: 5 },
    { stream: "pachca-cef", ...intact, windows: 5, repairs: 0, gaps: 0, events: 7, objects: 4, quarantined: 0 },
    { stream: "uipath-acme", ...intact, windows: 5, repairs: 0, gaps: 0, events: 8, objects: 4, quarantined: 1 },
  ]);

  expect(await reconciled("pachca-acme", end)).toMatchObject({ source: 39, same: 39, ...whole });
  expect(await reconciled("pachca-cef", end)).toMatchObject({ source: 7, same: 7, ...whole });
  expect(await reconciled("uipath-acme", end)).toMatchObject({ source: 9, same: 9, ...whole });
});
