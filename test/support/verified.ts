import { gzipSync } from "node:zlib";
import { expect } from "vitest";
import { exportPlanned, tick } from "../../src/export/tick.ts";
import { idSet } from "../../src/ledger/ids.ts";
import { sha256Of } from "../../src/ledger/manifest.ts";
import type { AuditEvent } from "../../src/source.ts";
import { storeUnder } from "../../src/store.ts";
import { epochMs, HOUR_MS, MINUTE_MS } from "../../src/time.ts";
import type { ArchiveFinding } from "../../src/archive/finding.ts";
import { verify, type VerifyOptions, type VerifySummary } from "../../src/archive/verify.ts";
import type { Archive } from "../../src/archive/window.ts";
import { event, eventsOver, memorySource, memoryStore, never, START, world } from "./world.ts";
import type { Plan } from "../../src/sink.ts";

export type Files = Map<string, Buffer>;

export const minutes = (count: number) => epochMs(START + count * MINUTE_MS);

/** One event a minute for an hour. */
export const HISTORY = eventsOver(minutes(0), minutes(60), 60);

/** An archive in memory, and functions to verify it. */
export function archiveIn(files: Files): Archive {
  const store = memoryStore(files);
  const source = memorySource([]);
  return {
    stream: "test",
    ledger: storeUnder(store, "ledger/"),
    data: store,
    quarantine: store,
    readerOf: () => (line) => source.read(line),
  };
}

export const LATER = epochMs(START + 3 * HOUR_MS);

export interface Verified {
  readonly findings: readonly ArchiveFinding[];
  /** `CODE key` of each error, then of each notice. */
  readonly errors: readonly string[];
  readonly notices: readonly string[];
  readonly summary: VerifySummary;
}

export async function verified(archive: Archive, options: Partial<VerifyOptions> = {}): Promise<Verified> {
  const findings: ArchiveFinding[] = [];
  let summary: VerifySummary | undefined;
  const given: VerifyOptions = {
    ...{ keys: [], span: undefined, firstSeq: 1, expectPrev: undefined },
    ...{ anchor: undefined, maxAgeMs: undefined, now: LATER },
    ...options,
  };
  for await (const item of verify(archive, given, never)) {
    if (item.kind === "finding") findings.push(item.finding);
    if (item.kind === "summary") summary = item;
  }
  const shown = (level: string) =>
    findings.filter((finding) => finding.level === level).map(({ code, key }) => `${code} ${key}`);
  return { findings, errors: shown("error"), notices: shown("notice"), summary: summary! };
}

/** A manifest as mutable JSON. */
export interface Shown {
  [member: string]: unknown;
  seq: number;
  window: { from: string; to: string };
  events: number;
  objects: { [member: string]: unknown; key: string; bytes: number; sha256: string }[];
  ids: { key: string; sha256: string } | null;
  prev: { seq: number; sha256: string } | null;
}

export const manifestAt = (seq: number): string => `ledger/manifests/${String(seq).padStart(12, "0")}.json`;

export function shownAt(files: Files, seq: number): Shown {
  return JSON.parse(files.get(manifestAt(seq))!.toString().split("\n")[0]!) as Shown;
}

/** Overwrites a manifest, without a signature. */
export function putManifest(files: Files, seq: number, shown: unknown): void {
  files.set(manifestAt(seq), Buffer.from(`${JSON.stringify(shown)}\n{"alg":"none"}\n`));
}

/** Changes a manifest, and adapts all later ones and the checkpoint, like an attacker with write access to everything. */
export function rebuildFrom(files: Files, seq: number, change: (shown: Shown) => void): void {
  for (let at = seq; files.has(manifestAt(at)); at++) {
    const shown: Shown = { ...shownAt(files, at), keyId: null };
    if (at === seq) change(shown);
    else shown.prev = { seq: at - 1, sha256: headSha256(files, at - 1) };
    putManifest(files, at, shown);
    if (!files.has(manifestAt(at + 1))) {
      const checkpoint = JSON.parse(files.get("ledger/checkpoint.json")!.toString()) as object;
      const moved = { ...checkpoint, sequence: at, manifestSha256: headSha256(files, at) };
      files.set("ledger/checkpoint.json", Buffer.from(JSON.stringify(moved)));
    }
  }
}

export function headSha256(files: Files, seq: number): string {
  return sha256Of(files.get(manifestAt(seq))!.toString().split("\n")[0]!);
}

/** Replaces the lines of a data object, and adapts its manifest. */
export function replaceObject(files: Files, object: Shown["objects"][number], events: readonly AuditEvent[]): void {
  const content = Buffer.concat(events.flatMap(({ record }) => [record, Buffer.from("\n")]));
  const stored = gzipSync(content);
  const contentSha256 = sha256Of(content);
  files.delete(object.key);
  object.key = object.key.replace(/_[0-9a-f]{8}\.ndjson/, `_${contentSha256.slice(0, 8)}.ndjson`);
  files.set(object.key, stored);
  Object.assign(object, { bytes: stored.length, sha256: sha256Of(stored), contentSha256 });
  Object.assign(object, { contentBytes: content.length, lines: events.length });
}

/**
 * Two workers carry out the same plan. The one that loses has seen an event that the other has not, so its object and ids
 * have other names. A later window exports that event as late.
 */
export async function raced(ticksAfter = 2): Promise<{ files: Files; orphans: string[] }> {
  const files: Files = new Map();
  const late = event("late", minutes(4));
  let isVisible = false;
  const source = {
    now: () => minutes(isVisible ? 1 : 0),
    visibleFrom: (one: AuditEvent) => minutes(one === late ? 1 : 0),
  };
  const losing = world([...HISTORY, late], { files, source, batch: { maxEvents: 100, maxBytes: 1 << 20 } }).pipeline;
  await losing.ledger.head(never);
  const plan: Plan = {
    ...{ seq: 1, kind: "window", from: minutes(0), to: minutes(5), since: minutes(0) },
    fingerprint: losing.fingerprint,
  };
  const winner = () => world([...HISTORY, late], { files, source }).pipeline;
  await tick(winner(), minutes(7), never);
  const before = new Set(files.keys());
  isVisible = true;
  const run = { pipeline: losing, now: minutes(7), retainedFrom: () => minutes(-9999) };
  const planned = { state: "planned", plan, isResumed: false, known: idSet() } as const;
  expect(await exportPlanned(run, planned, never)).toMatchObject({ state: "lost" });
  const orphans = [...files.keys()].filter((key) => !before.has(key)).map((key) => key.replace(/^ledger\//, ""));
  expect(orphans).toHaveLength(2);
  isVisible = false;
  for (let number = 1; number <= ticksAfter; number++) {
    isVisible = number === 2;
    await tick(winner(), minutes(7 + 5 * number), never);
  }
  return { files, orphans };
}
