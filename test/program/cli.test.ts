import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { differenceOf, flawsIn, linesIn, NO_DIFFERENCE } from "../support/archive.ts";
import { run, start } from "../support/program.ts";
import { CANARY, openStage } from "../support/stage.ts";
import { DAY_MS, formatInstant, epochMs, HOUR_MS } from "../../src/time.ts";

const COMMANDS = ["run", "once", "export", "check", "status", "health", "simulate", "demo"];

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "siem-export-cli-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

test("--help prints every command and exit code to stdout, without loading the commands' modules", async () => {
  const startedAt = performance.now();
  const { code, stdout, stderr } = await run(["--help"]);
  expect([code, stderr]).toEqual([0, ""]);
  for (const command of COMMANDS) expect(stdout).toMatch(new RegExp(`^  ${command}\\b`, "m"));
  for (const exitCode of [64, 69, 70, 74, 75, 76, 77, 78]) expect(stdout).toContain(String(exitCode));
  // The whole program with its clients takes four times as long on the same machine.
  expect(performance.now() - startedAt).toBeLessThan(2000);
});

test("each command has its own help, and the version is that of the package", async () => {
  for (const command of COMMANDS) {
    const { code, stdout } = await run([command, "--help"]);
    expect([command, code]).toEqual([command, 0]);
    expect(stdout).toContain(`Usage: siem-export ${command}`);
  }
  const { code, stdout } = await run(["--version"]);
  expect([code, stdout]).toEqual([0, expect.stringMatching(/^\d+\.\d+\.\d+\n$/)]);
});

test.each([
  ["a command that is not there", ["nonesuch"], "nonesuch"],
  ["a flag that is not there", ["run", "--nonesuch"], "--nonesuch"],
  ["no command at all", [], "Usage:"],
  ["a period without its end", ["export", "--stream", "demo", "--from", "2026-11-01T00:00:00Z"], "--to"],
  ["a fault that is not there", ["simulate", "--fault", "nonesuch=1"], "nonesuch"],
  ["a port that is no number", ["simulate", "--port", "many"], "not a number"],
  ["a demo of no duration", ["demo", "--for", "long"], "--for long"],
])("%s is wrong usage: exit code 64, and stderr says what", async (_, args, what) => {
  const { code, stdout, stderr } = await run(args, { cwd: folder() });
  expect([code, stdout]).toEqual([64, ""]);
  expect(stderr).toContain(what);
});

test.each([
  ["a stream that is not in the configuration", ["once", "--stream", "nonesuch"], '"nonesuch"'],
  ["an invalid instant", ["export", "-s", "demo", "--from", "monday", "--to", "2026-11-01T00:00:00Z"], "monday"],
  [
    "a period that ends before it begins",
    ["export", "-s", "demo", "--from", "2026-11-02T00:00:00Z", "--to", "2026-11-01T00:00:00Z"],
    "--to must be later",
  ],
])("%s is wrong usage, too", async (_, args, what) => {
  const stage = await openStage({}, onTestFinished);
  const { code, stdout, stderr } = await stage.run(args);
  expect([code, stdout]).toEqual([64, ""]);
  expect(stderr).toContain(what);
  expect(stage.api.requests).toBe(0);
});

test("a configuration with mistakes is refused with the place of each mistake: exit code 78", async () => {
  const stage = await openStage({ stream: { schedule: "61 * * * *", lga: 1 } }, onTestFinished);
  for (const command of ["run", "once", "status"]) {
    const { code, stdout, stderr } = await stage.run([command]);
    expect([command, code, stdout]).toEqual([command, 78, ""]);
    expect(stderr).toMatch(/exporter\.yaml:\d+:\d+.*lga/);
    expect(stderr).toMatch(/exporter\.yaml:\d+:\d+.*schedule.*minute/);
    expect(stderr).not.toContain(CANARY);
  }
  expect(stage.api.requests).toBe(0);
});

test("a variable that is not set is refused with its place", async () => {
  const stage = await openStage({ source: { token: "${NONESUCH}" } }, onTestFinished);
  const { code, stderr } = await stage.run(["once"]);
  expect(code).toBe(78);
  expect(stderr).toMatch(/exporter\.yaml:\d+:\d+.*NONESUCH/);
});

test("a configuration that is missing or is not YAML is refused", async () => {
  const stage = await openStage({}, onTestFinished);
  const missing = await run(["once", "--config", join(stage.folder, "nonesuch.yaml")]);
  expect([missing.code, missing.stderr]).toEqual([78, expect.stringContaining("nonesuch.yaml")]);
  stage.write("{");
  const broken = await stage.run(["once"]);
  expect([broken.code, broken.stderr]).toEqual([78, expect.stringContaining("exporter.yaml")]);
});

test("a start in the future is refused, and so is a file in place of a folder", async () => {
  const later = formatInstant(epochMs(Math.ceil(Date.now() / HOUR_MS) * HOUR_MS + DAY_MS));
  const stage = await openStage({ windows: { start: later } }, onTestFinished);
  const future = await stage.run(["once"]);
  expect(future.code, future.stderr).toBe(78);
  expect(future.stderr).toContain("windows.start is in the future");

  const other = await openStage({ sink: { type: "file", directory: "exporter.yaml" } }, onTestFinished);
  const blocked = await other.run(["once"]);
  expect(blocked.code, blocked.stderr).toBe(69);
  expect(blocked.stdout).toContain("there is a file instead of a folder, or a folder instead of a file");
});

test("a simulator in its own process prints its address, and once exports its history", async () => {
  const from = epochMs(Math.floor(Date.now() / DAY_MS - 2) * DAY_MS);
  const span = ["--since", formatInstant(from), "--until", formatInstant(epochMs(from + DAY_MS))];
  const shape = ["--seed", "7", "--events-per-day", "3000"];
  const api = start([
    "simulate",
    "--json",
    "--port",
    "0",
    "--no-record-reads",
    "--rate-limit",
    "500",
    ...shape,
    ...span,
    "--token",
    CANARY,
  ]);
  const [line] = await api.saw(/^\{.*\}$/m, "stdout");
  const { url, token } = JSON.parse(line) as { url: string; token: string };
  expect(token).toBe(CANARY);

  const stage = await openStage(
    {
      source: { baseUrl: url, pageLimit: 50, requestsPerSecond: 400 },
      windows: { start: formatInstant(from), size: "1h", catchUpSize: "1h" },
    },
    onTestFinished,
  );
  const ended = await stage.run(["once"]);
  expect(ended.code, ended.stderr).toBe(0);
  const to = ["--from", formatInstant(from), "--to", formatInstant(epochMs(from + 3 * DAY_MS))];
  const { bytes } = await run(["simulate", "--print-history", ...shape, ...span, ...to]);
  const within = bytes
    .toString()
    .split("\n")
    .slice(0, -1)
    .filter((record) => inDay(record, from));
  expect(within.length).toBeGreaterThan(2000);
  const files = stage.files();
  expect(flawsIn(files)).toEqual([]);
  expect(
    differenceOf(
      linesIn(files),
      within.map((record) => Buffer.from(record)),
    ),
  ).toEqual(NO_DIFFERENCE);

  api.kill("SIGTERM");
  expect((await api.ended).code).toBe(0);
});

function inDay(record: string, from: number): boolean {
  const { created_at: at } = JSON.parse(record) as { created_at: string };
  return Date.parse(at) >= from && Date.parse(at) < from + DAY_MS;
}
