import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { answerWith, serve } from "../support/serve.ts";
import { openStage, type StageOptions } from "../support/stage.ts";

interface Shown {
  readonly state: string;
  readonly what: string;
  readonly hint?: string;
  readonly code?: string;
}

/** Runs check on a stage. Returns its exit code, its text and its findings as documents. */
async function check(options: StageOptions) {
  const stage = await openStage({ now: "real", ...options }, onTestFinished);
  const text = await stage.run(["check"]);
  const json = await stage.run(["check", "--json"]);
  expect(json.code).toBe(text.code);
  const findings = json.stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Shown);
  return { code: text.code, stdout: text.stdout, failed: findings.filter(({ state }) => state === "failed"), findings };
}

test("without a problem: a line with ✓ for each check, and exit code 0", async () => {
  const { code, stdout, failed, findings } = await check({});
  expect([code, failed]).toEqual([0, []]);
  expect(findings.length).toBeGreaterThanOrEqual(8);
  expect(stdout.match(/^✓ /gm)).toHaveLength(findings.length);
  for (const what of ["exporter.yaml", "token", "clocks", "audit log", "create an object once"]) {
    expect(stdout).toContain(what);
  }
});

test("a wrong token: ✗, a hint, and exit code 77", async () => {
  const { code, stdout, failed } = await check({ simulator: { token: "another" } });
  expect(code).toBe(77);
  expect(failed).toMatchObject([{ code: "unauthorized" }]);
  expect(stdout).toMatch(/^✗ token: .*HTTP 401[^\n]*\n {4}→ the token is wrong/m);
});

test("a token without the scope: ✗, the scope, and exit code 77", async () => {
  const { code, stdout, failed } = await check({ simulator: { scopes: ["messages:create"] } });
  expect(code).toBe(77);
  expect(failed[0]).toMatchObject({ code: "forbidden", what: "token: lacks the scope audit_events:read" });
  expect(stdout).toMatch(/^✗ token: lacks[^\n]*\n {4}→ give the token this scope/m);
});

test.each([
  ["behind", 600_000],
  ["ahead", -600_000],
])("a clock ten minutes %s the API's: ✗ and what to do, and no bug", async (where, clockOffsetMs) => {
  const { code, stdout, failed } = await check({ simulator: { clockOffsetMs }, now: "real" });
  expect(code, stdout).toBe(69);
  expect(failed).toMatchObject([{ what: expect.stringMatching(/clocks.*(?:10m|9m59s)/) as string }]);
  expect(failed[0]?.hint).toMatch(new RegExp(`set this machine's clock.*${where}`));
});

test("an unreachable API: ✗ and exit code 75; the sink is checked too", async () => {
  const { code, stdout } = await check({ source: { baseUrl: "http://127.0.0.1:1" } });
  expect(code).toBe(75);
  expect(stdout).toMatch(/^✗ token: .*127\.0\.0\.1|^✗ token: .*ECONNREFUSED/m);
  expect(stdout).toContain("✓ create an object once");
});

test("a file in place of the folder: ✗, a hint, and exit code 69", async () => {
  const { code, failed } = await check({ sink: { type: "file", directory: "exporter.yaml" } });
  expect(code).toBe(69);
  expect(failed).toMatchObject([{ code: "bad_request", hint: expect.stringContaining("move it away") as string }]);
});

test("a store that overwrites instead of creating once is refused: exit code 69", async () => {
  // Accepts every request, like a store that ignores the condition.
  const objects = new Map<string, Buffer>();
  const { baseUrl } = await serve((request, response) => {
    const chunks: Buffer[] = [];
    const { pathname, searchParams } = new URL(request.url ?? "", "http://store");
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      if (request.method === "PUT") objects.set(pathname, Buffer.concat(chunks));
      if (searchParams.has("list-type")) {
        answerWith(response, 200, "<ListBucketResult><Name>b</Name><KeyCount>0</KeyCount></ListBucketResult>");
      } else answerWith(response, 200, objects.get(pathname) ?? "", { etag: '"1"' });
    });
  });
  const sink = { type: "s3", bucket: "bucket", endpoint: baseUrl, accessKeyId: "someone", secretAccessKey: "secret" };
  const { code, failed } = await check({ sink });
  expect(code).toBe(69);
  expect(failed).toMatchObject([{ what: expect.stringContaining("the second overwrote the first") as string }]);
  expect(failed[0]?.hint).toContain("If-None-Match");
});

test("a mistake in the configuration is a finding: ✗ with its place, and exit code 78", async () => {
  const stage = await openStage({ stream: { schedule: "never" } }, onTestFinished);
  const { code, stdout } = await stage.run(["check"]);
  expect(code).toBe(78);
  expect(stdout).toMatch(/^✗ .*exporter\.yaml/m);
});

test("--stream limits the check to these streams", async () => {
  const stage = await openStage(
    { now: "real", more: [{ name: "broken", sink: { type: "file", directory: "file" } }] },
    onTestFinished,
  );
  mkdirSync(join(stage.folder, "out"));
  const { code, stdout } = await stage.run(["check", "--stream", "demo"]);
  expect(code, stdout).toBe(0);
  expect(stdout).not.toContain("broken");
});

test("a start before the source's retention is a warning that names what is lost", async () => {
  const daysAgo = (days: number) => `${new Date(Date.now() - days * 86_400_000).toISOString().slice(0, 10)}T00:00:00Z`;
  const { code, findings } = await check({ windows: { start: daysAgo(95) } });
  expect(code).toBe(0);
  expect(findings.at(-1)).toMatchObject({
    state: "warning",
    what: `next to export: ${daysAgo(95)} (windows.start)`,
    hint: expect.stringMatching(
      /keeps its events for 90d: the events of .* are lost, and will be committed as a gap/,
    ) as string,
  });
  const half = await check({ windows: { start: daysAgo(50) } });
  expect(half.findings.at(-1)).toMatchObject({
    state: "warning",
    hint: expect.stringContaining("start the worker soon") as string,
  });
});

test.each([
  ["beside the data is in the same place, which is checked once", { type: "beside" }, 1],
  ["elsewhere is in a place of its own, which is checked, too", { type: "file", directory: "ledgers" }, 2],
])("a ledger %s", async (_, ledger, places) => {
  const { code, findings } = await check({ stream: { ledger } });
  expect(code).toBe(0);
  expect(findings.filter(({ what }) => what.startsWith("create an object once"))).toHaveLength(places);
});
