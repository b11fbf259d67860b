import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { readFolder } from "../support/archive.ts";
import { run } from "../support/program.ts";

const ARCHIVE = fileURLToPath(new URL("../fixtures/archive-0.1/archive", import.meta.url));
const KEY = fileURLToPath(new URL("../fixtures/archive-0.1/signing.pub", import.meta.url));

/** A copy of one stream's folder, named `name`. */
function copyOf(stream: string, name = stream): string {
  const folder = mkdtempSync(join(tmpdir(), "siem-export-place-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  cpSync(join(ARCHIVE, stream), join(folder, name), { recursive: true });
  return join(folder, name);
}

test("a folder that was renamed is verified under the stream's name in its manifests", async () => {
  const place = copyOf("pachca-cef", "evidence");
  const { code, stdout } = await run(["verify", `${place}/`, "--public-key", KEY]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^pachca-cef\nCONTIGUOUS [^]*authenticity: authenticated[^]*✓ nothing wrong/);
});

test("with --stream, the manifests must name this stream", async () => {
  const right = await run(["verify", copyOf("pachca-cef", "evidence"), "--stream", "pachca-cef"]);
  expect(right.code).toBe(0);
  const wrong = await run(["verify", copyOf("pachca-cef"), "--stream", "pachca-acme"]);
  expect(wrong.code).toBe(65);
  expect(wrong.stdout).toContain(
    '✗ MANIFEST_MOVED manifests/000000000001.json: it is manifest 1 of the stream "pachca-cef"',
  );
});

test("other findings, flags and exit codes are those of a configured stream", async () => {
  const place = copyOf("pachca-acme");
  const [object = ""] = [...readFolder(place).keys()].filter((key) => key.includes("000000000004-0000_"));
  rmSync(join(place, object));
  const found = await run(["verify", place, "--json"]);
  expect(found.code).toBe(65);
  expect(found.stdout).toContain(`"code":"OBJECT_MISSING","key":"${object}"`);
  const stale = await run(["verify", copyOf("uipath-acme"), "--max-age", "1h", "--expect-head", `3:${"0".repeat(64)}`]);
  expect(stale.code).toBe(65);
  expect(stale.stdout).toMatch(/✗ CHAIN_BROKEN [^]*✗ STALE_TAIL /);
});

test("a ledger in another place is given with --ledger; without it the error says so", async () => {
  const place = copyOf("pachca-acme");
  const elsewhere = join(place, "../ledgers/pachca-acme");
  mkdirSync(elsewhere, { recursive: true });
  renameSync(join(place, "ledger"), join(elsewhere, "ledger"));
  const without = await run(["verify", place]);
  expect({ code: without.code, stderr: without.stderr }).toEqual({
    code: 69,
    stderr:
      `siem-export: open ${place}: there is no ledger (no ledger/manifests/)\n` +
      "  → give the folder of one stream; if its ledger is elsewhere, add --ledger <place>\n",
  });
  const { code, stdout } = await run(["verify", place, "--ledger", elsewhere]);
  expect(code, stdout).toBe(0);
});

test("the folder above the streams is refused, with the streams in it", async () => {
  const { code, stderr } = await run(["verify", ARCHIVE]);
  expect(code).toBe(69);
  for (const stream of ["pachca-acme", "pachca-cef", "uipath-acme"]) expect(stderr).toContain(`${ARCHIVE}/${stream}`);
});

test.each([
  [["./nonesuch"], 69, "open ./nonesuch: no such folder\n  → give the folder of one stream"],
  [["https://bucket.example/audit"], 64, "https://bucket.example/audit: not a folder or s3://bucket/prefix/stream"],
  [[ARCHIVE, "-s", "one", "two"], 64, "a place is the archive of one stream"],
  [["--ledger", "x"], 64, "--ledger needs a place"],
  [["--endpoint", "http://127.0.0.1:1"], 64, "--endpoint needs a place"],
  [[ARCHIVE, "--endpoint", "http://127.0.0.1:1"], 64, "--endpoint needs a place in S3"],
  [["s3://audit/acme", "--endpoint", "minio:9000"], 64, "--endpoint minio:9000: not a URL"],
])("verify %j is refused, and says why", async (args, code, message) => {
  const refused = await run(["verify", ...args]);
  expect({ code: refused.code, stderr: refused.stderr }).toEqual({
    code,
    stderr: expect.stringContaining(message) as string,
  });
});

test.skipIf(process.getuid?.() === 0)("a folder that may not be read is no empty archive", async () => {
  const place = copyOf("pachca-cef");
  chmodSync(join(place, "ledger"), 0);
  try {
    const { code, stderr } = await run(["verify", place]);
    expect(code).toBe(77);
    expect(stderr).toContain("EACCES");
  } finally {
    chmodSync(join(place, "ledger"), 0o755);
  }
});

/** A bucket `audit` with the fixture under `acme/`, for reading and listing: two keys an answer. */
async function bucket(): Promise<string> {
  const files = new Map<string, Buffer>();
  for (const stream of ["pachca-acme", "pachca-cef", "uipath-acme"]) {
    for (const [key, bytes] of readFolder(join(ARCHIVE, stream))) files.set(`acme/${stream}/${key}`, bytes);
  }
  const keys = [...files.keys()].sort();
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "", "http://s3.example");
    const path = decodeURIComponent(url.pathname).replace(/^\/audit\/?/, "");
    if (path !== "") {
      const bytes = files.get(path);
      response.writeHead(bytes === undefined ? 404 : 200, { etag: `"${bytes?.length ?? 0}"` });
      response.end(bytes ?? "<Error><Code>NoSuchKey</Code></Error>");
      return;
    }
    const query = (name: string) => url.searchParams.get(name) ?? "";
    const after = [query("start-after"), query("continuation-token")].sort().at(-1) ?? "";
    const found = keys.filter((key) => key.startsWith(query("prefix")) && key > after);
    const page = found.slice(0, 2).map((key) => {
      const size = files.get(key)?.length ?? 0;
      return `<Contents><Key>${key}</Key><Size>${size}</Size><LastModified>2025-03-03T12:00:00Z</LastModified></Contents>`;
    });
    const more = found.length > 2 ? `<NextContinuationToken>${found[1] ?? ""}</NextContinuationToken>` : "";
    response.writeHead(200, { "content-type": "application/xml" });
    response.end(
      `<ListBucketResult><Name>audit</Name><IsTruncated>${found.length > 2}</IsTruncated>${more}${page.join("")}</ListBucketResult>`,
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const CREDENTIALS = { AWS_ACCESS_KEY_ID: "auditor", AWS_SECRET_ACCESS_KEY: "secret" };

test("a prefix of a bucket is verified with credentials of the environment, path style at the endpoint", async () => {
  const endpoint = await bucket();
  const place = "s3://audit/acme/pachca-acme";
  const { code, stdout, stderr } = await run(["verify", place, "--endpoint", endpoint, "--public-key", KEY, "--json"], {
    env: CREDENTIALS,
  });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const then = readFileSync(join(ARCHIVE, "../verify-with-key.json"), "utf8").split("\n").slice(0, 3);
  expect(stdout).toBe(`${then.join("\n")}\n`);
});

test("the prefix above the streams is refused, with the streams in it", async () => {
  const { code, stderr } = await run(["verify", "s3://audit/acme/", "--endpoint", await bucket()], {
    env: CREDENTIALS,
  });
  expect(code, stderr).toBe(69);
  for (const stream of ["pachca-acme", "pachca-cef", "uipath-acme"])
    expect(stderr).toContain(`s3://audit/acme/${stream}`);
});
