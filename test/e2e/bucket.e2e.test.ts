import { randomUUID } from "node:crypto";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { beforeAll, describe, expect, inject, onTestFinished, test } from "vitest";
import { DAY_MS, epochMs, formatInstant } from "../../src/time.ts";
import { differenceOf, flawsIn, linesIn, NO_DIFFERENCE, readBucket } from "../support/archive.ts";
import { lateMoments, manyMoments, onceWithKills, seedOf } from "../support/crash.ts";
import type { S3Server } from "../support/rgw.ts";
import { CANARY, minutes, openStage, TEN, type Stage, type StageOptions } from "../support/stage.ts";

const rgw = inject("rgw");
const swift = inject("swift");
const BUCKET = "archive";

function clientOf({ endpoint, ...credentials }: S3Server): S3Client {
  return new S3Client({ endpoint, credentials, region: "us-east-1", forcePathStyle: true });
}

const sinkOf = (server: S3Server, bucket: string, prefix: string) => ({ type: "s3", bucket, prefix, ...server });

/** A stage with an archive below its own prefix. */
async function openBucket(server: S3Server, options: StageOptions) {
  const prefix = `audit/${randomUUID()}`;
  const stage = await openStage({ ...options, sink: sinkOf(server, BUCKET, prefix) }, onTestFinished);
  return { stage, files: () => readBucket(clientOf(server), BUCKET, `${prefix}/demo/`) };
}

const historyOf = (stage: Stage, to = minutes(60)) => stage.api.history({ from: TEN, to });

describe.skipIf(rgw === undefined)("an archive in S3 (Ceph's gateway)", () => {
  const server = rgw!;
  beforeAll(async () => {
    await clientOf(server).send(new CreateBucketCommand({ Bucket: BUCKET }));
  });

  test("20,000 events of a day are exported byte for byte, each once; another run writes nothing", async () => {
    const from = epochMs(Math.floor(Date.now() / DAY_MS - 2) * DAY_MS);
    const to = epochMs(from + DAY_MS);
    const { stage, files } = await openBucket(server, {
      now: epochMs(to + 600_000),
      simulator: { since: from, until: to, eventsPerDay: 20_000, requestsPerSecond: 100, pageLimit: 50 },
      source: { requestsPerSecond: 90, pageLimit: 50 },
      windows: { start: formatInstant(from), size: "5m", catchUpSize: "1h", lag: "2m", lookback: "15m" },
    });
    const first = await stage.run(["once"]);
    expect(first.code, first.stderr).toBe(0);
    const there = await files();
    expect(flawsIn(there)).toEqual([]);
    const history = [...stage.api.history({ from, to })];
    expect(history.length).toBeGreaterThan(18_000);
    expect(differenceOf(linesIn(there), history)).toEqual(NO_DIFFERENCE);

    const second = await stage.run(["once"]);
    expect(second.code, second.stderr).toBe(0);
    expect([...(await files()).keys()].filter((key) => !there.has(key) && key.startsWith("data/"))).toEqual([]);
  });

  test("ten kills at random moments lose no event and write none twice", async () => {
    const seed = seedOf(process.env);
    const { stage, files } = await openBucket(server, lateMoments());
    const { last, hits } = await onceWithKills(stage, 10, seed);
    expect(last.code, `CRASH_SEED=${seed} ${last.stderr}`).toBe(0);
    expect(hits).toBeGreaterThanOrEqual(5);
    const there = await files();
    expect(flawsIn(there), `CRASH_SEED=${seed}`).toEqual([]);
    expect(differenceOf(linesIn(there), historyOf(stage)), `CRASH_SEED=${seed}`).toEqual(NO_DIFFERENCE);
  }, 300_000);

  test("two workers on one stream commit each window once, across a run of the schedule", async () => {
    const { stage, files } = await openBucket(server, manyMoments(20));
    const env = { LOG_LEVEL: "debug" };
    const workers = [stage.start(["run"], { env }), stage.start(["run"], { env })];
    // By the API's clock one more minute is ready at the next run, and both workers see it.
    await Promise.all(workers.map((worker) => worker.saw(/"fact":"tick\.done"[^]*"fact":"tick\.(?:done|failed)"/)));
    for (const worker of workers) {
      expect(worker.stderr).not.toMatch(/"fact":"(?:tick\.failed|stream\.stopped)"/);
      worker.kill("SIGTERM");
      expect((await worker.ended).code).toBe(0);
    }
    // The checkpoint is a shortcut: the slower worker may have written it last. The next start corrects it.
    expect((await stage.run(["once"])).code).toBe(0);
    const there = await files();
    expect(flawsIn(there)).toEqual([]);
    expect(differenceOf(linesIn(there), historyOf(stage))).toEqual(NO_DIFFERENCE);
  });

  test("no output and no object has the token or the keys", async () => {
    const { stage, files } = await openBucket(server, { simulator: { faults: { reset: { next: 1 } } } });
    const secrets = [CANARY, server.secretAccessKey];
    for (const command of ["once", "check", "status"]) {
      const { code, stdout, stderr } = await stage.run([command], { env: { LOG_LEVEL: "trace" } });
      // The API's clock of this stage is days behind.
      expect(code, stderr).toBe(command === "check" ? 69 : 0);
      for (const secret of secrets) expect(stdout + stderr).not.toContain(secret);
    }
    const there = await files();
    const written = [...there.values()].map((bytes) => bytes.toString("latin1")).concat(linesIn(there));
    expect(written.filter((text) => secrets.some((secret) => text.includes(secret)))).toEqual([]);
  });

  test("check: no problem", async () => {
    const { stage } = await openBucket(server, { now: "real" });
    const { code, stdout } = await stage.run(["check"]);
    expect(code, stdout).toBe(0);
    expect(stdout).toContain("✓ create an object once, and only once");
  });

  test("check: a missing bucket is ✗, with a hint, and exit code 69", async () => {
    const stage = await openStage({ now: "real", sink: sinkOf(server, "nowhere", "") }, onTestFinished);
    const { code, stdout } = await stage.run(["check"]);
    expect(code, stdout).toBe(69);
    expect(stdout).toMatch(/^✗ LIST s3:\/\/nowhere\/.*NoSuchBucket\n {4}→ /m);
    const once = await stage.run(["once"]);
    expect([once.code, once.stdout]).toEqual([69, expect.stringContaining("NoSuchBucket")]);
  });

  test("check: a wrong secret is ✗, and exit code 77", async () => {
    const sink = { ...sinkOf(server, BUCKET, "x"), secretAccessKey: "not-the-secret" };
    const stage = await openStage({ now: "real", sink }, onTestFinished);
    const { code, stdout } = await stage.run(["check"]);
    expect(code, stdout).toBe(77);
    expect(stdout).toContain("SignatureDoesNotMatch");
    expect(stdout).not.toContain("not-the-secret");
  });
});

describe.skipIf(swift === undefined)("a store without conditional writes (Swift)", () => {
  test("is refused by check and by once, and gets no object", async () => {
    const server = swift!;
    const client = clientOf(server);
    await client.send(new CreateBucketCommand({ Bucket: "unconditional" }));
    const stage = await openStage({ now: "real", sink: sinkOf(server, "unconditional", "audit") }, onTestFinished);
    const check = await stage.run(["check"]);
    expect(check.code, check.stdout).toBe(69);
    expect(check.stdout).toMatch(/^✗ .*\n {4}→ .*MinIO/m);
    const once = await stage.run(["once"]);
    expect(once.code, once.stderr).toBe(69);
    expect(linesIn(await readBucket(client, "unconditional", "audit/demo/"))).toEqual([]);
  });
});
