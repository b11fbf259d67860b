/**
 * Kills the built program at random moments, many times, and counts events that are lost or duplicated in the archive.
 *
 *   npm run crash-test -- --runs 200 [--sink file|s3] [--seed N]
 *
 * A run is one start that is killed. Ten runs share an archive; then one more start completes it, and `verify` checks it. The
 * exit code is 0 if no event was lost or duplicated.
 */
import { randomUUID } from "node:crypto";
import { parseArgs } from "node:util";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { differenceOf, flawsIn, linesIn, readBucket, type Files } from "../test/support/archive.ts";
import build from "../test/support/build.ts";
import { LATE_SPAN, lateMoments, onceWithKills } from "../test/support/crash.ts";
import { startRgw } from "../test/support/rgw.ts";
import { openStage, type Stage, type StageOptions } from "../test/support/stage.ts";

const RUNS_PER_ARCHIVE = 10;
const BUCKET = "crash-test";

interface Place {
  /** The sink of a new archive, and how to read it. */
  open(): { sink?: StageOptions["sink"]; files: (stage: Stage) => Promise<Files> };
  close(): Promise<void>;
}

const folders: Place = {
  open: () => ({ files: async (stage) => stage.files() }),
  close: async () => undefined,
};

async function buckets(): Promise<Place> {
  const { server, stop } = await startRgw();
  const { endpoint, ...credentials } = server;
  const client = new S3Client({ endpoint, credentials, region: "us-east-1", forcePathStyle: true });
  await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
  return {
    open() {
      const prefix = randomUUID();
      const sink = { type: "s3", bucket: BUCKET, prefix, ...server };
      return { sink, files: () => readBucket(client, BUCKET, `${prefix}/demo/`) };
    },
    close: stop,
  };
}

async function crashTest(runs: number, seed: number, place: Place): Promise<number> {
  const total = { kills: 0, archives: 0, events: 0, lost: 0, doubled: 0, flaws: 0 };
  while (total.kills < runs) {
    const archiveSeed = seed + total.archives++;
    const closes: (() => Promise<void>)[] = [];
    try {
      const { sink, files } = place.open();
      const stage = await openStage({ ...lateMoments(), ...(sink && { sink }) }, (close) => closes.push(close));
      const { last, hits } = await onceWithKills(stage, Math.min(RUNS_PER_ARCHIVE, runs - total.kills), archiveSeed);
      const proof = await stage.run(["verify"]);
      const there = await files(stage);
      const history = [...stage.api.history(LATE_SPAN)];
      const { lost, doubled, strange } = differenceOf(linesIn(there), history);
      const flaws = flawsIn(there);
      if (last.code !== 0) flaws.push(`the last start exited with ${String(last.code)}: ${last.stderr}`);
      if (proof.code !== 0) flaws.push(`verify exited with ${String(proof.code)}: ${proof.stdout}${proof.stderr}`);
      if (hits === 0) throw new Error(`CRASH_SEED=${archiveSeed}: no start lived long enough to be killed`);
      if (strange > 0) flaws.push(`${strange} lines are not events`);
      for (const flaw of flaws) console.error(`CRASH_SEED=${archiveSeed}: ${flaw}`);
      total.kills += hits;
      total.events += history.length;
      total.lost += lost;
      total.doubled += doubled;
      total.flaws += flaws.length;
      console.error(
        `${total.kills} of ${runs} runs killed: ${history.length} events, lost ${lost}, duplicates ${doubled}; verify ${proof.code}`,
      );
    } finally {
      for (const close of closes) await close();
    }
  }
  const { kills, archives, events, lost, doubled, flaws } = total;
  console.log(`${kills} runs killed, ${archives} archives, ${events} events: lost ${lost}, duplicates ${doubled}`);
  return lost + doubled + flaws === 0 ? 0 : 1;
}

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "10" },
    sink: { type: "string", default: "file" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 30)) },
  },
});
const runs = Number(values.runs);
const seed = Number(values.seed);
if (!Number.isInteger(runs) || runs < 1 || !Number.isInteger(seed) || !["file", "s3"].includes(values.sink)) {
  console.error("usage: crash-test [--runs N] [--sink file|s3] [--seed N]");
  process.exit(64);
}
build();
const place = values.sink === "s3" ? await buckets() : folders;
try {
  process.exitCode = await crashTest(runs, seed, place);
} finally {
  await place.close();
}
