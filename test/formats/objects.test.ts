import { expect, test } from "vitest";
import type { Format } from "../../src/format.ts";
import { FORMATS, formatOf } from "../../src/formats/index.ts";
import type { Manifest } from "../../src/ledger/manifest.ts";
import type { Batch, Leftover, Plan } from "../../src/sink.ts";
import { objects } from "../../src/sinks/objects.ts";
import { pachca } from "../../src/sources/pachca/pachca.ts";
import { epochMs, MINUTE_MS } from "../../src/time.ts";
import { judgeNames, judgeObject } from "../../src/archive/object.ts";
import { event, memorySource, memoryStore, never, START } from "../support/world.ts";

const pachcaVocabulary = pachca.vocabulary;

const PLAN: Plan = {
  ...{ seq: 7, kind: "window", fingerprint: "", since: START },
  ...{ from: START, to: epochMs(START + 5 * MINUTE_MS) },
};
const EVENTS = [event("a b=c|d\\e\tf", START), event("x".repeat(60), epochMs(START + 1), "новый|ключ\n")];

function batch(part: number): Batch {
  async function* chunks() {
    await Promise.resolve();
    yield [EVENTS[part]!];
  }
  return { plan: PLAN, part, chunks: chunks() };
}

const source = { ...memorySource([]), vocabulary: pachcaVocabulary };
const FORMATS_BY_SUFFIX: Readonly<Record<string, Format>> = Object.fromEntries(
  FORMATS.map((format) => [format.suffix, format.of(source)]),
);

async function leftoversOf(files: Map<string, Buffer>, format: Format): Promise<Leftover[]> {
  const found: Leftover[] = [];
  for await (const leftover of objects(memoryStore(files), format).leftovers(PLAN, never)) found.push(leftover);
  return found;
}

const identity = ({ id, time, key }: (typeof EVENTS)[number]) => ({ id, time, key });

test.each(Object.keys(FORMATS_BY_SUFFIX))(
  "an object of %s has its suffix, is reused after a crash, and can be verified",
  async (suffix) => {
    const files = new Map<string, Buffer>();
    const format = FORMATS_BY_SUFFIX[suffix]!;
    const sink = objects(memoryStore(files), format);
    const receipt = await sink.write(batch(0), never);
    await sink.write(batch(1), never);
    const object = "object" in receipt ? receipt.object : expect.fail();
    expect(object.key).toMatch(
      new RegExp(`^data/dt=2026-11-01/hour=00/000000000007-0000_\\w+_\\w+_[0-9a-f]{8}\\.${suffix}\\.gz$`),
    );

    const found = await leftoversOf(files, format);
    expect(found.map(({ key, part }) => [key, part])).toEqual([...files.keys()].sort().map((key, part) => [key, part]));
    expect(found[0]!.whole?.object).toEqual(object);
    expect(found.map(({ whole }) => whole?.events.map(identity))).toEqual(EVENTS.map((each) => [identity(each)]));

    const manifest = manifestOf(found);
    expect(judgeNames(manifest, START)).toEqual([]);
    for (const { key, whole } of found) {
      const { findings, ids } = await judgeObject(manifest, whole!.object, files.get(key), (line) => format.read(line));
      expect(findings).toEqual([]);
      expect(ids).toHaveLength(16);
    }
    const other = suffix === "cef" ? "leef" : "cef";
    const renamed = manifestOf(
      found.map((each) => ({ ...each, key: each.key.replace(`.${suffix}.`, `.${other}.zip.`) })),
    );
    expect(judgeNames(renamed, START)).toHaveLength(2);
  },
);

function manifestOf(found: readonly Leftover[]): Manifest {
  return {
    ...{ stream: "acme", seq: 7, kind: "window", window: { from: PLAN.from, to: PLAN.to }, events: 2, late: 0 },
    objects: found.map(({ key, whole }) => ({ ...whole!.object, key })),
    ...{ quarantine: [], ids: null, prev: null, source: { type: "memory", fingerprint: "" } },
    ...{ exporter: { name: "siem-export-worker", version: "0.0.0" }, keyId: null },
  };
}

test("objects left in another format are found, and read by the reader of all formats", async () => {
  const files = new Map<string, Buffer>();
  await objects(memoryStore(files), FORMATS_BY_SUFFIX["cef"]!).write(batch(0), never);
  await objects(memoryStore(files), FORMATS_BY_SUFFIX["leef"]!).write(batch(1), never);
  const now = formatOf("raw", source);
  const found = await leftoversOf(files, now);
  expect(found.map(({ whole }) => whole?.events.map(identity))).toEqual(EVENTS.map((each) => [identity(each)]));
  const own = await leftoversOf(files, FORMATS_BY_SUFFIX["ndjson"]!);
  expect(own.map(({ part, whole }) => [part, whole])).toEqual([
    [0, undefined],
    [1, undefined],
  ]);
  expect(now.read(EVENTS[0]!.record)).toEqual(EVENTS[0]);
});
