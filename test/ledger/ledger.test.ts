import { beforeEach, describe, expect, test } from "vitest";
import { LedgerError, RefusedError, TransientError } from "../../src/errors.ts";
import { tick } from "../../src/export/tick.ts";
import { findHead } from "../../src/ledger/head.ts";
import { decodeManifest } from "../../src/ledger/manifest.ts";
import { storeUnder } from "../../src/store.ts";
import { epochMs, HOUR_MS, MINUTE_MS } from "../../src/time.ts";
import { dataKeys, eventsOver, linesIn, manifestsIn, memoryStore, never, START, world } from "../support/world.ts";

const HISTORY = eventsOver(START, epochMs(START + HOUR_MS), 60);
const CLOCK = epochMs(START + 32 * MINUTE_MS);
const CHECKPOINT = "ledger/checkpoint.json";
const manifest = (seq: number) => `ledger/manifests/${String(seq).padStart(12, "0")}.json`;

let files: Map<string, Buffer>;

beforeEach(async () => {
  files = new Map();
  await tick(world(HISTORY, { files }).pipeline, CLOCK, never);
  expect(manifestsIn(files)).toHaveLength(6);
});

/** Starts a new worker on the ledger. Resolves with the kinds of its facts. */
async function restart(clock = CLOCK) {
  const { pipeline, facts } = world(HISTORY, { files });
  await tick(pipeline, clock, never);
  return facts.map(({ kind }) => kind);
}

async function refusal(): Promise<LedgerError> {
  const before = new Map(files);
  const error: unknown = await restart(epochMs(START + HOUR_MS)).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(LedgerError);
  expect(files, "nothing was written").toEqual(before);
  return error as LedgerError;
}

describe("checkpoint.json is only a shortcut", () => {
  test("if it is unchanged, the next start continues where the last one ended and writes nothing", async () => {
    const before = new Map(files);
    expect(await restart()).toEqual(["head.found"]);
    expect(files).toEqual(before);
  });

  test("it names the instant up to which everything is exported, and the newest manifest", () => {
    expect(JSON.parse(files.get(CHECKPOINT)!.toString())).toMatchObject({
      schema: 1,
      stream: "test",
      exportedUntil: "2026-11-01T00:30:00Z",
      sequence: 6,
    });
  });

  test("cut at every length, or missing, it is rebuilt with a warning and nothing is exported twice", async () => {
    const whole = files.get(CHECKPOINT)!;
    const lines = linesIn(files, dataKeys(files));
    for (let length = -1; length < whole.length - 1; length++) {
      if (length < 0) files.delete(CHECKPOINT);
      else files.set(CHECKPOINT, whole.subarray(0, length));
      expect(await restart(), `${length} bytes`).toEqual(["checkpoint.rebuilt", "head.found"]);
      expect(files.get(CHECKPOINT), `${length} bytes`).toEqual(whole);
      expect(linesIn(files, dataKeys(files))).toEqual(lines);
    }
  });

  test.each(["{}", "null", "[]", '"text"', '{"schema":2}', '{"schema":1,"sequence":"6"}'])(
    "with %s in it, it is rebuilt",
    async (text) => {
      const whole = files.get(CHECKPOINT)!;
      files.set(CHECKPOINT, Buffer.from(text));
      expect(await restart()).toContain("checkpoint.rebuilt");
      expect(files.get(CHECKPOINT)).toEqual(whole);
    },
  );

  test("behind the manifests, as after a crash, it is updated", async () => {
    const whole = files.get(CHECKPOINT)!;
    files.delete(CHECKPOINT);
    for (const seq of [4, 5, 6]) files.delete(manifest(seq));
    await findHead(storeUnder(memoryStore(files), "ledger/"), undefined, "test", never);
    await restart(epochMs(START + 17 * MINUTE_MS));
    const stale = files.get(CHECKPOINT)!;
    expect(JSON.parse(stale.toString())).toMatchObject({ sequence: 3 });
    await restart(CLOCK);
    files.set(CHECKPOINT, stale);
    expect(await restart()).toEqual(["checkpoint.rebuilt", "head.found"]);
    expect(JSON.parse(files.get(CHECKPOINT)!.toString())).toMatchObject(
      JSON.parse(whole.toString()) as Record<string, unknown>,
    );
  });

  test("a failed write of it is a warning, and the windows are committed anyway", async () => {
    const { pipeline, facts } = world(HISTORY, {
      files,
      effect: (what, moment) => {
        if (moment === "before" && what.startsWith("replace")) throw new TransientError("unavailable", "no");
      },
    });
    await tick(pipeline, epochMs(START + 42 * MINUTE_MS), never);
    expect(manifestsIn(files)).toHaveLength(8);
    expect(facts.filter(({ kind }) => kind === "checkpoint.failed")).toHaveLength(2);
  });
});

describe("a damaged ledger stops the stream, and nothing is written", () => {
  test("a hole in the manifests", async () => {
    files.delete(CHECKPOINT);
    files.delete(manifest(3));
    expect((await refusal()).message).toContain("it has 5 of the 6 links up to 6");
  });

  test("a checkpoint ahead of the manifests", async () => {
    files.delete(manifest(6));
    const { message, hint } = await refusal();
    expect(message).toBe("read memory/ledger/manifests/000000000006.json: it is not there");
    expect(hint).toContain("new stream name");
  });

  test("a manifest that is not the one that the checkpoint names", async () => {
    files.set(manifest(6), Buffer.from(files.get(manifest(6))!.toString().replace('"events":5', '"events":6')));
    expect((await refusal()).message).toContain("it is not the manifest that checkpoint.json names");
  });

  test.each([
    ["empty", ""],
    ["one line", '{"schema":"siem-export/manifest/v1"}\n'],
    ["not JSON", 'x\n{"alg":"none"}\n'],
    ["of another shape", '{"schema":"other"}\n{"alg":"none"}\n'],
  ])("a manifest that is %s", async (_, text) => {
    for (const isCheckpointThere of [true, false]) {
      if (!isCheckpointThere) files.delete(CHECKPOINT);
      files.set(manifest(6), Buffer.from(text));
      expect((await refusal()).message).toContain("read memory/ledger/manifests/000000000006.json: ");
    }
  });

  test("a manifest that does not follow from the one before", async () => {
    files.delete(CHECKPOINT);
    files.set(manifest(4), Buffer.from(files.get(manifest(4))!.toString().replace('"late":0', '"late":1')));
    expect((await refusal()).message).toBe(
      "read memory/ledger/manifests/000000000005.json: it does not follow from the manifest before it",
    );
  });

  test("a manifest of another stream, or under another number", async () => {
    const whole = files.get(manifest(6))!.toString();
    files.delete(CHECKPOINT);
    files.set(manifest(6), Buffer.from(whole.replace('"stream":"test"', '"stream":"best"')));
    expect((await refusal()).message).toContain('belongs to the stream "best"');
    files.set(manifest(6), Buffer.from(whole.replace('"seq":6', '"seq":7')));
    expect((await refusal()).message).toContain("manifest 7 under another name");
  });

  test.each(["data/", "ledger/plans/", "ledger/ids/"])(
    "no manifest at all, yet %s has more than one window",
    async (kept) => {
      for (const key of [...files.keys()]) if (!key.startsWith(kept)) files.delete(key);
      expect((await refusal()).message).toContain("there is none, yet");
    },
  );

  test("a plan that does not begin where the head ends", async () => {
    const plan = { seq: 7, kind: "window", from: "2026-11-01T00:35:00Z", to: "2026-11-01T00:40:00Z" };
    files.set(
      "ledger/plans/000000000007.json",
      Buffer.from(JSON.stringify({ ...plan, since: plan.from, fingerprint: "x" })),
    );
    expect((await refusal()).message).toContain("begins at 2026-11-01T00:35:00Z, not where the head ends");
  });
});

test("a first window that was started and never committed does not look like lost manifests", async () => {
  for (const key of [...files.keys()]) {
    if (!key.endsWith("plans/000000000001.json") && !key.includes("/000000000001-0000")) files.delete(key);
  }
  await restart();
  expect(linesIn(files, dataKeys(files)).sort()).toEqual(
    HISTORY.filter(({ time }) => time < START + 30 * MINUTE_MS).map(({ record }) => record.toString()),
  );
});

test("each manifest names the SHA-256 of the first line of the one before", () => {
  const [first, ...others] = manifestsIn(files);
  expect(first!.prev).toBeNull();
  expect(others.map(({ prev }) => prev?.seq)).toEqual([1, 2, 3, 4, 5]);
});

test("a manifest says where its lines have id, time and kind; one without, or in a form of a later version, is read too", () => {
  const { source } = world(HISTORY);
  const text = files.get(manifest(2))!.toString();
  const read = (bytes: string) => decodeManifest(Buffer.from(bytes), "test", 2, "the manifest").manifest.source;
  expect(read(text).members).toEqual(source.members);
  const members = `,"members":${JSON.stringify(source.members)}`;
  expect(text).toContain(members);
  expect(read(text.replace(members, "")).members).toBeUndefined();
  expect(read(text.replace(members, ',"members":{"id":"[0]"}')).members).toBeUndefined();
});

test("another filter is accepted at start with a warning, another account is refused", async () => {
  const { pipeline, facts } = world(HISTORY, { files, selection: { eventKeys: ["user_login"] } });
  await tick(pipeline, CLOCK, never);
  expect(facts.map(({ kind }) => kind)).toContain("settings.changed");
  const other = world(HISTORY, {
    files,
    source: { identity: { type: "memory", baseUrl: "memory:", account: "other" } },
  });
  await expect(tick(other.pipeline, CLOCK, never)).rejects.toThrow("another source, base URL or account");
});

test("a store that does not create once is refused at start, before anything is written", async () => {
  const { pipeline, files: written } = world(HISTORY, { probe: new RefusedError("bad_request", "it overwrites") });
  await expect(tick(pipeline, CLOCK, never)).rejects.toThrow("it overwrites");
  expect(written.size).toBe(0);
});

describe("ids files are needed for the look-back", () => {
  const LATER = epochMs(START + 37 * MINUTE_MS);
  const idsKeys = () => [...files.keys()].filter((key) => key.startsWith("ledger/ids/"));
  const expected = () =>
    HISTORY.filter(({ time }) => time < START + 35 * MINUTE_MS).map(({ record }) => record.toString());

  test("a lost one is rebuilt from the objects, with a warning, and nothing is exported twice", async () => {
    const before = new Map(files);
    for (const key of idsKeys()) files.delete(key);
    expect((await restart(LATER)).filter((kind) => kind === "ids.rebuilt").length).toBeGreaterThan(2);
    expect(linesIn(files, dataKeys(files))).toEqual(expected());
    for (const [key, bytes] of before) {
      if (key.includes("/ids/000000000006")) expect(files.get(key)).toEqual(bytes);
    }
  });

  test("a damaged one stays as it is, and its ids are read from the objects", async () => {
    const damaged = Buffer.from("0123456789abcdef");
    for (const key of idsKeys()) files.set(key, damaged);
    expect(await restart(LATER)).toContain("ids.rebuilt");
    expect(linesIn(files, dataKeys(files))).toEqual(expected());
    expect(files.get(idsKeys()[0]!)).toEqual(damaged);
  });

  test("if the objects are gone, too, the stream stops", async () => {
    for (const key of [...idsKeys(), ...dataKeys(files)]) files.delete(key);
    const error: unknown = await restart(LATER).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(LedgerError);
    expect((error as LedgerError).message).toContain("cannot be read, or are not whole");
  });
});
