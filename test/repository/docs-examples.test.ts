import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { RefusedError, type Stage } from "../../src/errors.ts";
import type { Fact } from "../../src/fact.ts";
import type { Format } from "../../src/format.ts";
import { findHead } from "../../src/ledger/head.ts";
import { idSet } from "../../src/ledger/ids.ts";
import { factLog, logger } from "../../src/observe/log.ts";
import { decodeManifest, decodePlan, encodeManifest, sha256Of } from "../../src/ledger/manifest.ts";
import { writeQuarantine } from "../../src/archive/quarantine.ts";
import { objects } from "../../src/sinks/objects.ts";
import { isPoison, type AuditEvent } from "../../src/source.ts";
import { storeUnder } from "../../src/store.ts";
import { fileStore } from "../../src/stores/file/file.ts";
import { leastPolicy } from "../../src/stores/s3/policy.ts";
import { parseInstant } from "../../src/time.ts";
import { loadText, temporaryFolder } from "../support/config.ts";
import { signingKeys } from "../support/keys.ts";
import { blocksOf, texts } from "../support/pages.ts";
import { sourceAt } from "../support/pachca.ts";

const never = new AbortController().signal;
const blocks = texts.flatMap(blocksOf);
const json = blocks.filter(({ language }) => language === "json" || language === "ndjson").map(({ text }) => text);
const example = (start: string) => json.filter((text) => text.startsWith(start));
const [manifestText = ""] = example('{"schema":"siem-export/manifest');
const [planText = ""] = example('{"seq":');
const [checkpointText = ""] = example('{"schema":1');
const [asideText = ""] = example('{"reason":');
const [line = ""] = example('{"id":').map((text) => text.trim());

const plan = decodePlan(Buffer.from(planText), "the example");
const { manifest } = decodeManifest(Buffer.from(manifestText), "pachca-acme", 42, "the example");

test("each whole configuration is accepted", async () => {
  const configs = blocks.filter(({ language, text }) => language === "yaml" && text.startsWith("streams:"));
  expect(configs.length).toBeGreaterThan(0);
  for (const { text } of configs) {
    const { streams } = await loadText(text, { PACHCA_TOKEN: "t0ken" });
    expect(streams.map(({ name }) => name)).toEqual(["pachca-acme"]);
  }
});

test("the line, written with the plan, becomes the object that the manifest names", async () => {
  const event = sourceAt("http://127.0.0.1:1").read(Buffer.from(line));
  if (isPoison(event)) throw new Error(event.reason);
  const folder = temporaryFolder();
  const format: Format = {
    name: "raw",
    suffix: "ndjson",
    line: () => event.record,
    shorten: () => undefined,
    read: () => event,
  };
  const sink = objects(fileStore(folder), format);
  const receipt = await sink.write({ plan, part: 0, chunks: chunk(event) }, never);
  const { bytes: _bytes, sha256: _sha256, ...content } = "object" in receipt ? receipt.object : expect.fail();
  expect(manifest.objects).toHaveLength(1);
  expect(manifest.objects[0]).toMatchObject(content);
  const names = texts.flatMap((text) => [...text.matchAll(/data\/dt=[^\s"`]*\.ndjson\.gz/g)].map(([name]) => name));
  expect(new Set(names.filter((name) => !name.includes("*")))).toEqual(new Set([content.key]));

  const ids = idSet();
  ids.add(event.id);
  const sha256 = sha256Of(ids.sorted());
  expect(manifest.ids).toEqual({ key: `ids/000000000042-${sha256.slice(0, 8)}.bin`, sha256 });
});

test("the manifest is written as it is shown", () => {
  expect(encodeManifest(manifest).bytes.toString()).toBe(manifestText);
});

test("an item without an id, quarantined with the plan, becomes the line and the object that are shown", async () => {
  const { record = "", time = "" } = JSON.parse(asideText) as { record?: string; time?: string };
  const poison = sourceAt("http://127.0.0.1:1").read(Buffer.from(record));
  if (!isPoison(poison)) expect.fail("it is an event");
  expect(poison.time).toBe(parseInstant(time));
  const store = fileStore(temporaryFolder());
  const { key } = await writeQuarantine(store, plan, [poison], 0, never);
  expect(gunzipSync((await store.read(key, never))!).toString()).toBe(asideText);
  const names = texts.flatMap((text) => [...text.matchAll(/quarantine\/\d{12}-[^\s"`]*/g)].map(([name]) => name));
  expect(new Set(names)).toEqual(new Set([key]));
});

test("the mapping of a stream that is shown by itself is accepted in a stream", async () => {
  const parts = blocks.filter(({ language, text }) => language === "yaml" && /^(?:ledger|reconcile):/.test(text));
  expect(parts.length).toBeGreaterThan(1);
  for (const { text } of parts) {
    const key = signingKeys().privatePath;
    const stream = text.replace(/signingKeyFile: [^ }]+/, `signingKeyFile: ${key}`);
    const config = `streams:
  - name: pachca-acme
    source: { type: pachca, token: t0ken }
    windows: { start: 2026-11-01T00:00:00Z }
    sink: { type: stdout }
    ${stream}`;
    expect((await loadText(config, {})).streams).toHaveLength(1);
  }
});

test("the plan, the manifest and the checkpoint belong together", async () => {
  expect({ ...plan, ...manifest.window, since: manifest.since }).toEqual(plan);
  expect([plan.seq, plan.fingerprint]).toEqual([manifest.seq, manifest.source.fingerprint]);
  const folder = temporaryFolder();
  mkdirSync(join(folder, "ledger/manifests"), { recursive: true });
  writeFileSync(join(folder, "ledger/manifests/000000000042.json"), manifestText);
  writeFileSync(join(folder, "ledger/checkpoint.json"), checkpointText);
  const found = await findHead(storeUnder(fileStore(folder), "ledger/"), undefined, "pachca-acme", never);
  expect(found.staleBecause).toBeUndefined();
  expect(found.head).toMatchObject({ seq: 42, exportedUntil: plan.to });
});

test("each line of a log has the members and the message that such a line has", () => {
  const lines = json.filter((text) => text.startsWith('{"level":'));
  expect(lines.length).toBeGreaterThan(1);
  for (const text of lines) {
    const shown = JSON.parse(text) as Record<string, unknown>;
    expect(loggedLike(shown)).toEqual(shown);
  }
});

test("the policy is the one that the preflight prints", () => {
  const [policy = ""] = example('{\n  "Version"');
  const printed = leastPolicy({ bucket: "acme-siem", prefix: "pachca-acme", region: "eu-central-1", env: {} });
  expect(JSON.parse(policy)).toEqual(JSON.parse(printed));
});

async function* chunk(event: AuditEvent): AsyncGenerator<readonly AuditEvent[]> {
  yield [event];
}

/** What the log writes of the same fact, but for the time and the level of a failure in a row. */
function loggedLike({ level: _level, time, fact, msg: _msg, ...shown }: Record<string, unknown>): unknown {
  const lines: string[] = [];
  const { error, exportedUntil, head } = shown as {
    error?: Record<string, string>;
    exportedUntil?: string;
    head?: string;
  };
  const thrown = error && new RefusedError(error["code"] as "unauthorized", error["message"]!, { hint: error["hint"] });
  if (thrown !== undefined) thrown.stage = error!["stage"] as Stage;
  const made = {
    kind: fact,
    ...shown,
    ...(thrown && { error: thrown }),
    ...(exportedUntil !== undefined && { exportedUntil: parseInstant(exportedUntil) }),
    ...(head !== undefined && { head: { sequence: Number(head.split(" ")[0]), sha256: head.split(" ")[1] } }),
  };
  factLog(logger("info", { write: (line) => void lines.push(line) }))(made as Fact);
  return { ...(JSON.parse(lines[0] ?? "{}") as object), time };
}
