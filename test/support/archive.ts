import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { GetObjectCommand, ListObjectsV2Command, type S3Client } from "@aws-sdk/client-s3";

/** The files of one stream by key, in ascending order. */
export type Files = ReadonlyMap<string, Buffer>;

export function readFolder(directory: string): Files {
  const paths = readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1));
  return new Map(paths.sort().map((key) => [key, readFileSync(join(directory, key))]));
}

/** @param root the stream's prefix, with its slash at the end */
export async function readBucket(client: S3Client, bucket: string, root: string): Promise<Files> {
  const files = new Map<string, Buffer>();
  for (let token: string | undefined; ;) {
    const page = await client.send(
      new ListObjectsV2Command({ Bucket: bucket, Prefix: root, ContinuationToken: token }),
    );
    for (const { Key = "" } of page.Contents ?? []) {
      const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key }));
      files.set(Key.slice(root.length), Buffer.from((await Body?.transformToByteArray()) ?? []));
    }
    token = page.NextContinuationToken;
    if (token === undefined) return files;
  }
}

export interface ShownManifest {
  readonly stream: string;
  readonly seq: number;
  readonly kind: string;
  readonly window: { readonly from: string; readonly to: string };
  readonly events: number;
  readonly late: number;
  readonly objects: readonly {
    readonly key: string;
    readonly bytes: number;
    readonly sha256: string;
    readonly contentSha256: string;
    readonly contentBytes: number;
    readonly lines: number;
  }[];
  readonly quarantine: readonly { readonly key: string; readonly lines: number }[];
  readonly ids: { readonly key: string; readonly sha256: string } | null;
  readonly prev: { readonly seq: number; readonly sha256: string } | null;
}

/** In order, without any check. */
export function manifestsIn(files: Files): ShownManifest[] {
  return keysUnder(files, "ledger/manifests/", ".json").map(
    (key) => JSON.parse(String(files.get(key)).split("\n")[0] ?? "") as ShownManifest,
  );
}

export function dataKeys(files: Files): string[] {
  return keysUnder(files, "data/", ".ndjson.gz");
}

/** All lines of all objects in the order of their keys, with one character for each byte. */
export function linesIn(files: Files): string[] {
  return dataKeys(files).flatMap((key) => textOf(files.get(key)).split("\n").slice(0, -1));
}

/** Checks the archive against its own documents, without the program's code. Returns a line for each problem. */
export function flawsIn(files: Files): string[] {
  const flaws: string[] = [];
  const must = (holds: boolean, flaw: string) => {
    if (!holds) flaws.push(flaw);
  };
  const named = new Set<string>();
  const manifests = manifestsIn(files);
  let sha256: string | null = null;
  manifests.forEach((manifest, index) => {
    const { seq, window, objects, ids, prev } = manifest;
    const key = `ledger/manifests/${String(seq).padStart(12, "0")}.json`;
    const before = manifests[index - 1];
    must(seq === index + 1, `manifest ${index + 1} has the sequence ${seq}`);
    must(prev === null ? index === 0 : prev.seq === seq - 1 && prev.sha256 === sha256, `${key}: prev is wrong`);
    must(before === undefined || before.window.to === window.from, `${key}: does not begin where the one before ends`);
    const lines = String(files.get(key)).split("\n");
    must(lines.length === 3 && lines[2] === "", `${key}: has not two lines`);
    sha256 = sha256Of(Buffer.from(lines[0] ?? ""));
    for (const object of objects) {
      must(!named.has(object.key), `${object.key}: named twice`);
      named.add(object.key);
      flaws.push(...objectFlaws(files.get(object.key), object, window.from));
    }
    const counted = objects.reduce((sum, object) => sum + object.lines, 0);
    must(manifest.events === counted, `${key}: ${manifest.events} events, ${counted} lines`);
    const packed = ids === null ? Buffer.alloc(0) : files.get(`ledger/${ids.key}`);
    const aside = manifest.quarantine.reduce((sum, object) => sum + object.lines, 0);
    must(packed?.length === 16 * (counted + aside), `${key}: its ids are not ${counted + aside}`);
    must(ids === null || sha256Of(packed) === ids.sha256, `${key}: its ids are not those it names`);
  });
  for (const key of dataKeys(files)) must(named.has(key), `${key}: no manifest names it`);
  // Concatenated, they are a gzip file again: one run of gzip checks them all.
  const all = Buffer.concat(dataKeys(files).flatMap((key) => files.get(key) ?? []));
  const { status, stderr } = spawnSync("gzip", ["-t"], { input: all });
  must(all.length === 0 || status === 0, `gzip -t: ${String(stderr)}`);
  const last = manifests.at(-1);
  const checkpoint = JSON.parse(String(files.get("ledger/checkpoint.json") ?? "null")) as unknown;
  const expected = last && {
    ...{ schema: 1, stream: last.stream, exportedUntil: last.window.to },
    ...{ sequence: last.seq, manifestSha256: sha256 },
  };
  must(JSON.stringify(checkpoint) === JSON.stringify(expected ?? null), "checkpoint.json is not at the head");
  return flaws;
}

function objectFlaws(
  stored: Buffer | undefined,
  { key, ...shown }: ShownManifest["objects"][number],
  from: string,
): string[] {
  if (stored === undefined) return [`${key}: is not there`];
  const text = Buffer.from(textOf(stored), "latin1");
  const contentSha256 = sha256Of(text);
  const folder = `data/dt=${from.slice(0, 10)}/hour=${from.slice(11, 13)}/`;
  const holds = {
    "size or hash": stored.length === shown.bytes && sha256Of(stored) === shown.sha256,
    "content's size or hash": text.length === shown.contentBytes && contentSha256 === shown.contentSha256,
    lines: text.filter((byte) => byte === 0x0a).length === shown.lines && text.at(-1) === 0x0a,
    name: key.startsWith(folder) && key.endsWith(`_${contentSha256.slice(0, 8)}.ndjson.gz`),
  };
  return Object.entries(holds).flatMap(([what, isRight]) => (isRight ? [] : [`${key}: ${what} is wrong`]));
}

/** How lines differ from a history: how many are lost, duplicate, or not of an event, each with an example. */
export interface Difference {
  readonly lost: number;
  readonly doubled: number;
  readonly strange: number;
  readonly examples: readonly string[];
}

export const NO_DIFFERENCE: Difference = { lost: 0, doubled: 0, strange: 0, examples: [] };

export function differenceOf(lines: readonly string[], history: Iterable<Buffer>): Difference {
  const expected = new Set(Array.from(history, (record) => record.toString("latin1")));
  const found = new Set(lines);
  const lost = [...expected].filter((line) => !found.has(line));
  const strange = [...found].filter((line) => !expected.has(line));
  const doubled = lines.length - found.size;
  const examples = [lost[0], strange[0]].flatMap((line) => (line === undefined ? [] : [line.slice(0, 500)]));
  return { lost: lost.length, doubled, strange: strange.length, examples };
}

/** A killed writer leaves `….tmp`, which no reader regards as an object. */
function keysUnder(files: Files, prefix: string, ending: string): string[] {
  return [...files.keys()].filter((key) => key.startsWith(prefix) && key.endsWith(ending)).sort();
}

function textOf(stored: Buffer | undefined): string {
  return gunzipSync(stored ?? Buffer.alloc(0)).toString("latin1");
}

function sha256Of(bytes: Buffer | undefined): string {
  return createHash("sha256")
    .update(bytes ?? "")
    .digest("hex");
}
