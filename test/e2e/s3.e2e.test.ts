import { randomUUID } from "node:crypto";
import { CreateBucketCommand, HeadObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { beforeAll, describe, expect, inject, test } from "vitest";
import { s3Store } from "../../src/stores/s3/s3.ts";
import type { S3Options } from "../../src/stores/s3/options.ts";
import { collect, storeContract } from "../stores/store.contract.ts";
import type { S3Server } from "../support/rgw.ts";

const never = new AbortController().signal;
const rgw = inject("rgw");
const swift = inject("swift");

function clientOf({ endpoint, ...credentials }: S3Server): S3Client {
  return new S3Client({
    endpoint,
    credentials,
    region: "us-east-1",
    forcePathStyle: true,
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
  });
}

const optionsOf = ({ endpoint, accessKeyId, secretAccessKey }: S3Server, bucket: string): S3Options => ({
  bucket,
  prefix: `audit/${randomUUID()}`,
  endpoint,
  accessKeyId: () => accessKeyId,
  secretAccessKey: () => secretAccessKey,
  env: {},
});

describe.skipIf(rgw === undefined)("S3 (Ceph's gateway)", () => {
  const server = rgw!;
  beforeAll(async () => {
    const client = clientOf(server);
    await client.send(new CreateBucketCommand({ Bucket: "plain" }));
    await client.send(new CreateBucketCommand({ Bucket: "locked", ObjectLockEnabledForBucket: true }));
  });

  storeContract("a prefix of a bucket", async () => s3Store(optionsOf(server, "plain")));
  storeContract("a whole bucket", async () => {
    await clientOf(server).send(new CreateBucketCommand({ Bucket: "whole" }));
    return s3Store({ ...optionsOf(server, "whole"), prefix: "" });
  });
  test("objects have a content type and no content encoding", async () => {
    const options = optionsOf(server, "plain");
    const types = {
      "a.ndjson.gz": "application/x-ndjson",
      "b.json": "application/json",
      "c.bin": "application/octet-stream",
    };
    for (const [key, type] of Object.entries(types)) {
      await s3Store(options).create(key, Buffer.from("x"), never);
      const head = await clientOf(server).send(
        new HeadObjectCommand({ Bucket: "plain", Key: `${options.prefix}/${key}` }),
      );
      expect([head.ContentType, head.ContentEncoding]).toEqual([type, undefined]);
    }
  });

  test("created objects are locked until the configured time; a checkpoint is not", async () => {
    const nowMs = Date.now();
    const options = { ...optionsOf(server, "locked"), now: () => nowMs, env: {} };
    const store = s3Store({ ...options, objectLock: { mode: "COMPLIANCE", retainMs: 60_000 } });
    await store.create("data/a.ndjson.gz", Buffer.from("x"), never);
    await store.replace("checkpoint.json", Buffer.from("x"), never);
    const head = (key: string) =>
      clientOf(server).send(new HeadObjectCommand({ Bucket: "locked", Key: `${options.prefix}/${key}` }));
    const locked = await head("data/a.ndjson.gz");
    expect(locked.ObjectLockMode).toBe("COMPLIANCE");
    expect(Math.abs(locked.ObjectLockRetainUntilDate!.getTime() - nowMs - 60_000)).toBeLessThan(1000);
    expect((await head("checkpoint.json")).ObjectLockMode).toBeUndefined();
  });

  test("a bucket that ignores the condition is refused, as Ceph 16 does with versioning", async () => {
    const store = s3Store(optionsOf(server, "locked"));
    const refusal = {
      name: "RefusedError",
      code: "bad_request",
      hint: expect.stringContaining("If-None-Match") as string,
    };
    for (const round of ["new", "again"])
      await expect(store.probe("probe", never), round).rejects.toMatchObject(refusal);
    const findings = await collect(store.check("probe", never));
    expect(findings.map(({ state }) => state)).toEqual(["ok", "failed"]);
  });

  test("the preflight finds that a bucket has no Object Lock", async () => {
    const objectLock = { mode: "GOVERNANCE", retainMs: 60_000 } as const;
    const findings = await collect(s3Store({ ...optionsOf(server, "plain"), objectLock }).check("probe", never));
    expect(findings.map(({ state }) => state)).toEqual(["ok", "ok", "ok", "failed"]);
    expect(findings.at(-1)?.hint).toContain("enable Object Lock on the bucket");
  });

  test("folders made in a console are not objects", async () => {
    const options = optionsOf(server, "plain");
    for (const key of ["", "data/"]) {
      await clientOf(server).send(new PutObjectCommand({ Bucket: "plain", Key: `${options.prefix}/${key}`, Body: "" }));
    }
    expect(await collect(s3Store(options).list("", undefined, never))).toEqual([]);
  });

  test("a missing bucket is refused, and does not count as an empty store", async () => {
    const store = s3Store(optionsOf(server, "nowhere"));
    const refusal = { name: "RefusedError", code: "not_found" };
    await expect(store.read("checkpoint.json", never)).rejects.toMatchObject(refusal);
    await expect(collect(store.list("", undefined, never))).rejects.toMatchObject(refusal);
    await expect(store.create("x.json", Buffer.from("x"), never)).rejects.toMatchObject({
      ...refusal,
      message: expect.stringMatching(/^PUT s3:\/\/nowhere\/audit\/.*\/x\.json: HTTP 404 NoSuchBucket$/) as string,
    });
  });

  test.each([
    ["an unknown key", { accessKeyId: () => "NOBODY" }, "InvalidAccessKeyId"],
    ["a wrong secret", { secretAccessKey: () => "wrong" }, "SignatureDoesNotMatch"],
  ])("%s is refused as not authorised, and not shown", async (_, wrong, name) => {
    const store = s3Store({ ...optionsOf(server, "plain"), ...wrong });
    const error = (await store.read("x", never).catch((thrown: unknown) => thrown)) as Error;
    expect(error).toMatchObject({ name: "RefusedError", code: "unauthorized" });
    expect(error.message).toContain(`HTTP 403 ${name}`);
    expect(error.message).not.toMatch(/NOBODY|wrong/);
  });

  test("a rotated secret is used at the next request", async () => {
    let secret = "old";
    const store = s3Store({ ...optionsOf(server, "plain"), secretAccessKey: () => secret });
    await expect(store.read("x", never)).rejects.toMatchObject({ code: "unauthorized" });
    secret = server.secretAccessKey;
    expect(await store.read("x", never)).toBeUndefined();
  });
});

describe.skipIf(swift === undefined)("a store without conditional writes (Swift)", () => {
  test("is refused by the probe and by the preflight, with a hint", async () => {
    await clientOf(swift!).send(new CreateBucketCommand({ Bucket: "plain" }));
    const store = s3Store(optionsOf(swift!, "plain"));
    const refusal = { name: "RefusedError", code: "bad_request", hint: expect.stringContaining("MinIO") as string };
    await expect(store.probe("probe", never)).rejects.toMatchObject(refusal);
    const findings = await collect(store.check("probe", never));
    expect(findings.map(({ state }) => state)).toEqual(["ok", "failed"]);
    expect(findings[1]?.hint).toContain("MinIO");
  });
});
