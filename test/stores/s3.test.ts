import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { S3Options } from "../../src/stores/s3/options.ts";
import { s3Store } from "../../src/stores/s3/s3.ts";
import { collect, keysOf } from "./store.contract.ts";
import { makeAuthority } from "../support/authority.ts";
import { startProxy } from "../support/proxy.ts";
import { answer, listing, refuse, serve, stored } from "../support/s3-server.ts";

const never = new AbortController().signal;
const bytes = Buffer.from("some bytes\n");
const place = mkdtempSync(join(tmpdir(), "siem-export-s3-"));
afterAll(() => rmSync(place, { recursive: true, force: true }));

const storeAt = (endpoint: string, more: Partial<S3Options> = {}) =>
  s3Store({
    bucket: "bucket",
    prefix: "audit/acme",
    region: "eu-central-1",
    endpoint,
    accessKeyId: () => "KEY",
    secretAccessKey: () => "SECRET",
    env: {},
    timeouts: { connectMs: 5000, idleMs: 5000, requestMs: 10_000 },
    ...more,
  });

const text = (part: string) => expect.stringContaining(part) as string;

describe("a request", () => {
  test("that creates is conditional and carries the whole object, without the SDK's framing", async () => {
    const { url, seen } = await serve(stored);
    expect(await storeAt(url).create("data/dt=2026-11-20/a.ndjson.gz", bytes, never)).toBe(true);
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatchObject({
      method: "PUT",
      path: "/bucket/audit/acme/data/dt=2026-11-20/a.ndjson.gz",
      body: bytes,
    });
    const { headers } = seen[0]!;
    expect(headers).toMatchObject({
      "if-none-match": "*",
      "content-type": "application/x-ndjson",
      "content-length": `${bytes.length}`,
    });
    expect(
      Object.keys(headers).filter((name) => /content-encoding|object-lock|checksum|trailer|expect/.test(name)),
    ).toEqual([]);
  });

  test.each([
    ["data/a.ndjson.gz", "application/x-ndjson"],
    ["data/a.cef.gz", "text/plain; charset=utf-8"],
    ["data/a.leef.gz", "text/plain; charset=utf-8"],
    ["ids/a.bin", "application/octet-stream"],
  ])("for %s has the content type %s", async (key, contentType) => {
    const { url, seen } = await serve(stored);
    await storeAt(url).create(key, bytes, never);
    expect(seen[0]!.headers["content-type"]).toBe(contentType);
  });

  test("that creates has the lock and its checksum; one for a checkpoint or a probe has none", async () => {
    const { url, seen } = await serve([stored, stored, stored, refuse(412, "PreconditionFailed")]);
    const objectLock = { mode: "COMPLIANCE", retainMs: 3_600_000 } as const;
    const store = storeAt(url, { objectLock, now: () => Date.parse("2026-11-20T10:00:00Z") });
    await store.create("manifests/000000000001.json", bytes, never);
    await store.replace("checkpoint.json", bytes, never);
    await store.probe("probe", never);
    expect(seen.map(({ headers }) => headers["x-amz-object-lock-mode"])).toEqual([
      "COMPLIANCE",
      undefined,
      undefined,
      undefined,
    ]);
    expect(seen[0]!.headers).toMatchObject({
      "x-amz-object-lock-retain-until-date": "2026-11-20T11:00:00Z",
      "x-amz-checksum-sha256": createHash("sha256").update(bytes).digest("base64"),
      "content-type": "application/json",
    });
    expect(seen.map(({ headers }) => headers["if-none-match"])).toEqual(["*", undefined, "*", "*"]);
  });

  test("that writes asks for encryption", async () => {
    const { url, seen } = await serve(stored);
    const store = storeAt(url, { serverSideEncryption: "aws:kms", kmsKeyId: "alias/audit" });
    await store.create("ids/x.bin", bytes, never);
    await store.replace("checkpoint.json", bytes, never);
    for (const { headers } of seen) {
      expect(headers).toMatchObject({
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": "alias/audit",
      });
    }
    expect(seen[0]!.headers["content-type"]).toBe("application/octet-stream");
  });

  test("reads the access keys and the session token again", async () => {
    const { url, seen } = await serve(stored);
    let round = 0;
    const store = storeAt(url, { accessKeyId: () => `KEY${round}`, sessionToken: () => `token${round}` });
    for (; round < 2; round++) await store.replace("checkpoint.json", bytes, never);
    expect(seen.map(({ headers }) => /Credential=(\w+)/.exec(headers.authorization ?? "")?.[1])).toEqual([
      "KEY0",
      "KEY1",
    ]);
    expect(seen.map(({ headers }) => headers["x-amz-security-token"])).toEqual(["token0", "token1"]);
  });

  test("goes through the environment's proxy to a store whose authority is in caFile", async () => {
    const authority = makeAuthority(place);
    const { url, port } = await serve(stored, authority);
    const proxy = await startProxy();
    const store = storeAt(url, { caFile: authority.caFile, env: { HTTPS_PROXY: proxy.url } });
    expect(await store.create("x.json", bytes, never)).toBe(true);
    expect(proxy.tunnels).toEqual([`localhost:${port}`]);
    proxy.close();
  });
});

describe("creation", () => {
  test("finds an object that another writer created first", async () => {
    const { url } = await serve(refuse(412, "PreconditionFailed"));
    expect(await storeAt(url).create("x.json", bytes, never)).toBe(false);
  });

  test("lists the key after a conflict: if the object exists, another writer was first", async () => {
    const { url, seen } = await serve([refuse(409, "ConditionalRequestConflict"), listing(["audit/acme/x.json"])]);
    expect(await storeAt(url).create("x.json", bytes, never)).toBe(false);
    expect(seen[1]?.query.get("prefix")).toBe("audit/acme/x.json");
  });

  test("lists the key after a conflict: if the object is missing, creation can be retried", async () => {
    const { url } = await serve([refuse(409, "ConditionalRequestConflict"), listing(["audit/acme/x.json.other"])]);
    await expect(storeAt(url).create("x.json", bytes, never)).rejects.toMatchObject({
      name: "TransientError",
      code: "unavailable",
      message: "PUT s3://bucket/audit/acme/x.json: HTTP 409: another writer is creating the same object",
    });
  });

  test("is refused on a store that ignores the condition, at the second start too", async () => {
    const { url } = await serve(stored);
    for (const store of [storeAt(url), storeAt(url)]) {
      await expect(store.probe("probe", never)).rejects.toMatchObject({
        name: "RefusedError",
        code: "bad_request",
        message: text("two workers could overwrite each other"),
        hint: text("MinIO"),
      });
    }
  });

  test("is probed with one request on a store that was probed before", async () => {
    const { url, seen } = await serve(refuse(412, "PreconditionFailed"));
    await storeAt(url).probe("probe", never);
    expect(seen).toHaveLength(1);
  });

  test("fails if the answer is not from S3", async () => {
    const { url } = await serve(answer(200, "<html>Please log in</html>", { "content-type": "text/html" }));
    const store = storeAt(url);
    await expect(store.create("x.json", bytes, never)).rejects.toMatchObject({ name: "ProtocolError" });
    await expect(store.replace("x.json", bytes, never)).rejects.toMatchObject({ name: "ProtocolError" });
  });
});

describe("reading", () => {
  test("a missing object gives undefined", async () => {
    const { url } = await serve(refuse(404, "NoSuchKey"));
    expect(await storeAt(url).read("x.json", never)).toBeUndefined();
  });

  test.each([
    ["without its bucket", refuse(404, "NoSuchBucket"), "RefusedError"],
    [
      "at a server that is not S3",
      answer(404, "<html>not found</html>", { "content-type": "text/html" }),
      "RefusedError",
    ],
    ["at a server that explains nothing", answer(404), "RefusedError"],
    ["behind a portal", answer(200, "<html>Please log in</html>", { "content-type": "text/html" }), "ProtocolError"],
    ["refused", refuse(403, "AccessDenied"), "RefusedError"],
  ])("an object %s is an error, never a missing object", async (_, reply, name) => {
    const { url } = await serve(reply);
    await expect(storeAt(url).read("x.json", never)).rejects.toMatchObject({ name });
  });

  test("after a 403, which S3 answers for missing objects too, a listing decides", async () => {
    const missing = await serve([refuse(403, "AccessDenied"), listing([])]);
    expect(await storeAt(missing.url).read("x.json", never)).toBeUndefined();
    const existing = await serve([refuse(403, "AccessDenied"), listing(["audit/acme/x.json"])]);
    await expect(storeAt(existing.url).read("x.json", never)).rejects.toMatchObject({
      code: "forbidden",
      hint: text("s3:GetObject"),
    });
  });

  test("half an object is an outage", async () => {
    const { url } = await serve((_, response) => {
      response.writeHead(200, { "content-length": 1000, etag: '"1"' }).write("half");
      setImmediate(() => response.destroy());
    });
    await expect(storeAt(url).read("x.json", never)).rejects.toMatchObject({ name: "TransientError", code: "network" });
  });

  test("an object that stalls in the middle is an outage", async () => {
    const { url } = await serve((_, response) => {
      response.writeHead(200, { "content-length": 1000, etag: '"1"' }).write("half");
    });
    const timeouts = { connectMs: 5000, idleMs: 5000, requestMs: 600 };
    await expect(storeAt(url, { timeouts }).read("x.json", never)).rejects.toMatchObject({
      name: "TransientError",
      code: "timeout",
    });
  });

  test("an abort in the middle of an object rejects with the signal's reason", async () => {
    const stop = new AbortController();
    const reason = new Error("asked to stop");
    const { url } = await serve((_, response) => {
      response.writeHead(200, { "content-length": 1000, etag: '"1"' }).write("half", () => stop.abort(reason));
    });
    await expect(storeAt(url).read("x.json", stop.signal)).rejects.toBe(reason);
  });
});

describe("listing", () => {
  test("leaves out earlier keys if the store does not support StartAfter", async () => {
    const keys = ["a", "b", "c"].map((name) => `audit/acme/manifests/${name}.json`);
    const { url, seen } = await serve([listing(keys.slice(0, 2), "next"), listing(keys.slice(2))]);
    expect(await keysOf(storeAt(url), "manifests/", "manifests/a.json")).toEqual([
      "manifests/b.json",
      "manifests/c.json",
    ]);
    expect(seen[0]?.query.get("start-after")).toBe("audit/acme/manifests/a.json");
    expect(seen[1]?.query.get("continuation-token")).toBe("next");
  });

  test("leaves out the objects of other prefixes", async () => {
    const { url } = await serve(listing(["audit/acme-2/x.json", "audit/acme/", "audit/acme/x.json", "other"]));
    expect(await keysOf(storeAt(url), "")).toEqual(["x.json"]);
  });

  test.each([
    ["repeats", [listing(["audit/acme/a"], "one"), listing(["audit/acme/b"], "two"), listing([], "one")]],
    ["is missing", [listing(["audit/acme/a"], "")]],
  ])("fails if a continuation token %s, instead of ending early", async (_, pages) => {
    const { url } = await serve(pages);
    await expect(keysOf(storeAt(url), "")).rejects.toMatchObject({
      name: "ProtocolError",
      message: text("does not advance"),
    });
  });

  test.each([
    ["an HTML page", answer(200, "<html><body>Please log in</body></html>", { "content-type": "text/html" })],
    ["no body", answer(200)],
    ["half a body", answer(200, "<?xml version='1.0'?><ListBucketResult><Name>buc")],
  ])("does not take %s for an empty listing", async (_, reply) => {
    const { url } = await serve(reply);
    await expect(keysOf(storeAt(url), "")).rejects.toMatchObject({ name: "ProtocolError" });
  });
});

describe("a failure", () => {
  test.each([
    [503, "SlowDown", "TransientError", "rate_limited", undefined],
    [503, "ServiceUnavailable", "TransientError", "rate_limited", undefined],
    [500, "InternalError", "TransientError", "unavailable", undefined],
    [400, "RequestTimeout", "TransientError", "timeout", undefined],
    [400, "ExpiredToken", "TransientError", "unavailable", "session token"],
    [403, "RequestTimeTooSkewed", "TransientError", "unavailable", "clock"],
    [403, "AccessDenied", "RefusedError", "forbidden", "s3:PutObject"],
    [403, "InvalidAccessKeyId", "RefusedError", "unauthorized", "accessKeyId"],
    [403, "SignatureDoesNotMatch", "RefusedError", "unauthorized", "secretAccessKey"],
    [403, "QuotaExceeded", "RefusedError", "forbidden", "quota"],
    [400, "KMS.DisabledException", "RefusedError", "forbidden", "KMS key"],
    [404, "NoSuchBucket", "RefusedError", "not_found", "create the bucket"],
    [400, "AuthorizationHeaderMalformed", "RefusedError", "bad_request", "region"],
    [501, "NotImplemented", "RefusedError", "bad_request", "If-None-Match"],
    [400, "InvalidArgument", "RefusedError", "bad_request", undefined],
  ])("with HTTP %i %s is a %s (%s) and is not retried", async (status, code, name, ours, hint) => {
    const { url, seen } = await serve(refuse(status, code));
    const failure = await storeAt(url)
      .replace("checkpoint.json", bytes, never)
      .catch((error: unknown) => error);
    expect(failure).toMatchObject({
      name,
      code: ours,
      message: `PUT s3://bucket/audit/acme/checkpoint.json: HTTP ${status} ${code}`,
      cause: expect.anything() as unknown,
      ...(hint !== undefined && { hint: text(hint) }),
    });
    expect(JSON.stringify(failure) + String(failure)).not.toContain("SECRET");
    expect(seen).toHaveLength(1);
  });

  test.each([503, 502, 429, 403])(
    "with HTTP %i and a proxy's HTML page is classified by its status",
    async (status) => {
      const { url } = await serve(answer(status, "<html><h1>Sorry</h1>", { "content-type": "text/html" }));
      await expect(storeAt(url).replace("x.json", bytes, never)).rejects.toMatchObject({
        name: status === 403 ? "RefusedError" : "TransientError",
        message: text(`HTTP ${status}`),
      });
    },
  );

  test("quotes the store's message if it says more than the error code", async () => {
    const message = "User: arn:aws:iam::1:user/x is not authorized to perform: s3:PutObject";
    const { url } = await serve(refuse(403, "AccessDenied", message));
    await expect(storeAt(url).replace("x.json", bytes, never)).rejects.toThrow(`HTTP 403 AccessDenied (${message})`);
  });

  test("says how long to wait, if the store does", async () => {
    const { url } = await serve(refuse(503, "SlowDown", "", { "retry-after": "7" }));
    await expect(storeAt(url).replace("x.json", bytes, never)).rejects.toMatchObject({ retryAfterMs: 7000 });
  });

  test("names the bucket's region, if the store does", async () => {
    const { url } = await serve(refuse(301, "PermanentRedirect", "", { "x-amz-bucket-region": "eu-west-1" }));
    await expect(storeAt(url).read("x.json", never)).rejects.toMatchObject({
      name: "RefusedError",
      hint: text("the bucket is in eu-west-1"),
    });
  });

  test("because of a wrong clock corrects it for the next attempt", async () => {
    const date = new Date(Date.now() - 3 * 3_600_000);
    const { url, seen } = await serve([refuse(403, "RequestTimeTooSkewed", "", { date: date.toUTCString() }), stored]);
    const store = storeAt(url);
    await expect(store.replace("x.json", bytes, never)).rejects.toMatchObject({ name: "TransientError" });
    await store.replace("x.json", bytes, never);
    expect(seen[1]?.headers["x-amz-date"]?.slice(0, 11)).toBe(date.toISOString().replaceAll(/[-:]/g, "").slice(0, 11));
  });

  test("to answer in time is an outage", async () => {
    const { url } = await serve(() => undefined);
    const store = storeAt(url, { timeouts: { connectMs: 5000, idleMs: 5000, requestMs: 300 } });
    await expect(store.create("x.json", bytes, never)).rejects.toMatchObject({
      name: "TransientError",
      code: "timeout",
    });
  });

  test("of the connection is an outage", async () => {
    const { url } = await serve((_, response) => response.destroy());
    await expect(storeAt(url).create("x.json", bytes, never)).rejects.toMatchObject({
      name: "TransientError",
      code: "network",
      message: text("PUT s3://bucket/audit/acme/x.json: "),
    });
  });

  test("to connect is an outage", async () => {
    await expect(storeAt("http://127.0.0.1:1").create("x.json", bytes, never)).rejects.toMatchObject({
      name: "TransientError",
      code: "network",
      message: text("ECONNREFUSED"),
    });
  });

  test("to trust the store's certificate is a refusal whose hint names caFile", async () => {
    const { url } = await serve(stored, makeAuthority(place));
    await expect(storeAt(url).create("x.json", bytes, never)).rejects.toMatchObject({
      name: "RefusedError",
      hint: text("caFile"),
    });
  });

  test("is not reported after an abort: the signal's reason is", async () => {
    const stop = new AbortController();
    const reason = new Error("asked to stop");
    const { url } = await serve(() => stop.abort(reason));
    await expect(storeAt(url).create("x.json", bytes, stop.signal)).rejects.toBe(reason);
  });
});

describe("the preflight", () => {
  test("prints the policy, filled in, if a permission is missing", async () => {
    const { url } = await serve(refuse(403, "AccessDenied"));
    const [finding, ...rest] = await collect(storeAt(url).check("ledger/probe", never));
    expect(finding).toMatchObject({ state: "failed", hint: text("s3:ListBucket") });
    expect(finding?.hint).toContain('"arn:aws:s3:::bucket/audit/acme/*"');
    expect(rest).toEqual([]);
  });

  test("says what to do about a bucket without Object Lock", async () => {
    const withoutLock = refuse(400, "InvalidRequest", "Bucket is missing Object Lock Configuration");
    const body = Buffer.from(
      "siem-export-worker: this object proves that an object cannot be created twice here. It can stay.\n",
    );
    const { url } = await serve([
      listing([]),
      refuse(412, "PreconditionFailed"),
      answer(200, body, { etag: '"1"' }),
      withoutLock,
    ]);
    const store = storeAt(url, { objectLock: { mode: "GOVERNANCE", retainMs: 1000 } });
    const findings = await collect(store.check("ledger/probe", never));
    expect(findings.map(({ state }) => state)).toEqual(["ok", "ok", "ok", "failed"]);
    expect(findings[3]).toMatchObject({ what: text("HTTP 400 InvalidRequest"), hint: text("enable Object Lock") });
  });
});
