import { gzipSync } from "node:zlib";
import { CreateBucketCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { beforeAll, describe, expect, inject, test } from "vitest";
import { collectGarbage } from "../../src/archive/gc.ts";
import { storeUnder } from "../../src/store.ts";
import type { S3Options } from "../../src/stores/s3/options.ts";
import { s3Remover } from "../../src/stores/s3/remove.ts";
import { s3Store } from "../../src/stores/s3/s3.ts";
import { DAY_MS, epochMs } from "../../src/time.ts";
import { archiveIn, raced, shownAt, verified, type Files } from "../support/verified.ts";
import { never } from "../support/world.ts";

const rgw = inject("rgw");
const BUCKET = "proved";

describe.skipIf(rgw === undefined)("an archive in a bucket (Ceph's gateway)", () => {
  const { endpoint, accessKeyId, secretAccessKey } = rgw ?? { endpoint: "", accessKeyId: "", secretAccessKey: "" };
  const client = new S3Client({
    ...{ endpoint, region: "us-east-1", forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } },
    ...{ requestChecksumCalculation: "WHEN_REQUIRED", responseChecksumValidation: "WHEN_REQUIRED" },
  });
  const options: S3Options = {
    ...{ bucket: BUCKET, prefix: "audit/test", endpoint, env: {} },
    ...{ accessKeyId: () => accessKeyId, secretAccessKey: () => secretAccessKey },
  };
  const store = s3Store(options);
  const archive = {
    ...archiveIn(new Map()),
    ...{ data: store, quarantine: store, ledger: storeUnder(store, "ledger/") },
  };
  let files: Files;
  let orphans: string[];
  beforeAll(async () => {
    await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
    ({ files, orphans } = await raced());
    for (const [key, bytes] of files) await store.create(key, bytes, never);
  });

  test("is proved by reading and listing; an unreferenced object of a race is a notice until gc removes it", async () => {
    const now = epochMs(Date.now() + 2 * DAY_MS);
    const expected = orphans.map((key) => `ORPHAN ${key}`).sort();
    const before = await verified(archive, { now });
    expect([before.errors, [...before.notices].sort()]).toEqual([[], expected]);
    const remove = s3Remover(options);
    const removers = {
      ...{ data: remove, quarantine: remove },
      ids: (key: string, signal: AbortSignal) => remove(`ledger/${key}`, signal),
    };
    const done: string[] = [];
    for await (const item of collectGarbage(archive, removers, { now, firstSeq: 1 }, never)) done.push(item.kind);
    expect(done).toEqual(["removed", "removed"]);
    expect(await verified(archive, { now })).toMatchObject({ errors: [], notices: [] });
    for (const key of orphans) expect(await archive.ledger.read(key, never)).toBeUndefined();
  });

  test("with an overwritten object is not proved", async () => {
    const { key } = shownAt(files, 2).objects[0]!;
    const Key = `${options.prefix}/${key}`;
    await client.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: gzipSync("{}\n") }));
    expect((await verified(archive)).errors).toEqual([`OBJECT_ALTERED ${key}`]);
  });
});
