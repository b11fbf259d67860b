import { readdir, stat } from "node:fs/promises";
import { basename } from "node:path";
import type { Archive } from "../archive/window.ts";
import type { ReadLine } from "../archive/object.ts";
import type { Stream } from "../assemble.ts";
import { RefusedError, UsageError } from "../errors.ts";
import type { Observe } from "../fact.ts";
import { lineReader } from "../formats/index.ts";
import { DEFAULT_RETRY } from "../http/retry.ts";
import { eventReader } from "../json/event-reader.ts";
import { parsedJson } from "../json/parse.ts";
import type { Manifest } from "../ledger/manifest.ts";
import type { EventMembers } from "../source.ts";
import { storeUnder, type Store } from "../store.ts";
import { fileStore } from "../stores/file/file.ts";
import { retryingStore } from "../stores/retrying.ts";
import { s3Store } from "../stores/s3/s3.ts";
import { assembleNow, loadStreams, logOf } from "./streams.ts";

/** A stream's archive, for the commands that only read it. Reads are retried after failures that may pass. */
export interface OpenArchive {
  readonly stream: Stream;
  readonly archive: Archive;
}

/** The archives of the configured streams, or of the named ones. The log on stderr reports only retries. */
export async function openArchives(path: string, names?: readonly string[]): Promise<OpenArchive[]> {
  const log = logOf("warn");
  const streams = assembleNow(await loadStreams(path, names, "read when used"), log, "read when used");
  return streams.map((stream) => ({ stream, archive: archiveOf(stream, log) }));
}

function archiveOf({ pipeline, ledgerStore, dataStore }: Stream, log: Observe): Archive {
  const { name, quarantine } = pipeline;
  return {
    stream: name,
    ledger: retrying(ledgerStore, name, log),
    data: dataStore && retrying(dataStore, name, log),
    quarantine,
    readerOf,
  };
}

/** Where an archive is, without a configuration. */
export interface PlaceOptions {
  /** The folder of one stream, or `s3://bucket/prefix/stream`. */
  readonly place: string;
  /** The place of the stream's ledger when it is not in `place`. */
  readonly ledger: string | undefined;
  /** The URL of an S3 store that is not AWS. */
  readonly endpoint: string | undefined;
  /** The stream that the manifests must name; without it the one that they name is accepted. */
  readonly stream: string | undefined;
}

/**
 * The archive of one stream by its place alone. Its name is that in its manifests: a folder that was renamed or copied is still
 * the same archive. S3 credentials and region come from AWS's usual chain.
 *
 * @throws RefusedError when there is no such folder or no ledger; its hint names the streams that are below the place
 */
export async function openPlace(options: PlaceOptions, signal: AbortSignal): Promise<Archive> {
  const { place, ledger: ledgerPlace, endpoint } = options;
  if (endpoint !== undefined) checkEndpoint(endpoint, [place, ledgerPlace]);
  const log = logOf("warn");
  const data = retrying(await storeAt(place, endpoint), place, log);
  const home = ledgerPlace === undefined ? data : retrying(await storeAt(ledgerPlace, endpoint), ledgerPlace, log);
  const ledger = storeUnder(home, "ledger/");
  const named = await streamOf(ledger, signal);
  if (named === undefined) throw await noLedger(ledgerPlace ?? place, home, signal);
  return {
    stream: options.stream ?? (named === "" ? basename(home.place) : named),
    ledger,
    data,
    quarantine: data,
    readerOf,
  };
}

/** The name of the stream in the first manifest that has one; empty when none can be read, undefined when there is none. */
async function streamOf(ledger: Store, signal: AbortSignal): Promise<string | undefined> {
  let name: string | undefined;
  for await (const { key } of ledger.list("manifests/", undefined, signal)) {
    name ??= "";
    const [line = ""] = String(await ledger.read(key, signal)).split("\n");
    const { stream } = (parsedJson(Buffer.from(line)) ?? {}) as { readonly stream?: unknown };
    if (typeof stream === "string") return stream;
  }
  return name;
}

const S3_PLACE = /^s3:\/\/([^/]+)(?:\/(.*?))?\/*$/;

/** @throws UsageError */
function checkEndpoint(endpoint: string, places: readonly (string | undefined)[]): void {
  if (!/^https?:\/\/./i.test(endpoint) || !URL.canParse(endpoint))
    throw new UsageError(`--endpoint ${endpoint}: not a URL, such as https://minio.example:9000`);
  if (!places.some((place) => place !== undefined && S3_PLACE.test(place)))
    throw new UsageError("--endpoint needs a place in S3: siem-export verify s3://… --endpoint <url>");
}

async function storeAt(place: string, endpoint: string | undefined): Promise<Store> {
  const [, bucket, prefix = ""] = S3_PLACE.exec(place) ?? [];
  if (bucket !== undefined) return s3Store({ bucket, prefix, endpoint, env: process.env });
  if (/^\w+:\/\//.test(place)) throw new UsageError(`${place}: not a folder or s3://bucket/prefix/stream`);
  const found = await stat(place).catch(() => undefined);
  if (found?.isDirectory() !== true) {
    throw new RefusedError("not_found", `open ${place}: ${found === undefined ? "no such folder" : "not a folder"}`, {
      hint: "give the folder of one stream, such as ./out/pachca-acme, or s3://bucket/prefix/stream",
    });
  }
  return fileStore(place);
}

async function noLedger(place: string, store: Store, signal: AbortSignal): Promise<RefusedError> {
  const below = await streamsBelow(place, store, signal);
  const start = place.replace(/\/+$/, "");
  const hint =
    below.length > 0
      ? `give one of the streams in it: ${below.map((name) => `${start}/${name}`).join(", ")}`
      : "give the folder of one stream; if its ledger is elsewhere, add --ledger <place>";
  return new RefusedError("not_found", `open ${place}: there is no ledger (no ledger/manifests/)`, { hint });
}

/** Not more names than these are shown. */
const STREAMS_SHOWN_MAX = 20;

/** The folders right below the place that have a ledger. */
async function streamsBelow(place: string, store: Store, signal: AbortSignal): Promise<string[]> {
  const names: string[] = [];
  for await (const name of S3_PLACE.test(place) ? prefixesIn(store, signal) : foldersIn(place)) {
    for await (const _ of store.list(`${name}/ledger/manifests/`, undefined, signal)) {
      names.push(name);
      break;
    }
    if (names.length === STREAMS_SHOWN_MAX) break;
  }
  return names;
}

async function* foldersIn(place: string): AsyncGenerator<string> {
  for (const entry of await readdir(place, { withFileTypes: true })) if (entry.isDirectory()) yield entry.name;
}

/** Each listing starts after all keys of the prefix before. A bucket lists its keys in order. */
async function* prefixesIn(store: Store, signal: AbortSignal): AsyncGenerator<string> {
  for (let after: string | undefined; ;) {
    let name: string | undefined;
    for await (const { key } of store.list("", after, signal)) {
      name = key.split("/")[0] ?? "";
      break;
    }
    if (name === undefined) return;
    yield name;
    after = `${name}/\u{10ffff}`;
  }
}

function retrying(store: Store, stream: string, log: Observe): Store {
  return retryingStore(store, DEFAULT_RETRY, (error, attempt, delayMs) =>
    log({ kind: "retrying", stage: "store", stream, error, attempt, delayMs }),
  );
}

/** Reads the lines of a manifest's objects, whatever their format, without knowing the source. */
function readerOf({ type, members = MEMBERS_OF_0_1[type] }: Manifest["source"]): ReadLine {
  const unknown: ReadLine = (record) => ({
    record,
    reason: `unknown source ${type}, and its manifest names no members`,
  });
  return lineReader(members === undefined ? unknown : eventReader(members));
}

/** Manifests of version 0.1 do not say where their lines have id, time and kind. Its two sources had them here. */
const MEMBERS_OF_0_1: Readonly<Record<string, EventMembers>> = {
  pachca: {
    id: [{ path: "id", format: "text" }],
    time: [{ path: "created_at", format: "iso" }],
    kind: ["event_key"],
  },
  "communications-mining": {
    id: [{ path: "event_id", format: "text" }],
    time: [{ path: "timestamp", format: "iso" }],
    kind: ["event_type"],
  },
};
