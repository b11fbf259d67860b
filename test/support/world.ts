import { TransientError } from "../../src/errors.ts";
import type { ObserveStream, StreamFact } from "../../src/fact.ts";
import { ledger } from "../../src/ledger/ledger.ts";
import { fingerprintOf } from "../../src/ledger/manifest.ts";
import { readAhead } from "../../src/export/read-ahead.ts";
import { idsFromObjects } from "../../src/archive/rebuild-ids.ts";
import { raw } from "../../src/formats/raw.ts";
import { objects } from "../../src/sinks/objects.ts";
import type { AuditEvent, Page, Poison, Source } from "../../src/source.ts";
import type { Signer } from "../../src/ledger/signature.ts";
import type { Vocabulary } from "../../src/vocabulary.ts";
import { storeUnder, type Store } from "../../src/store.ts";
import { epochMs, formatInstant, MINUTE_MS, parseInstant, type EpochMs } from "../../src/time.ts";
import type { WindowPolicy } from "../../src/export/window.ts";
import { gunzipSync } from "node:zlib";
import type { Pipeline } from "../../src/export/pipeline.ts";

/** Called before and after each side effect. Throws to make it fail. */
export type Effect = (what: string, moment: "before" | "after") => void;

export const at = (text: string): EpochMs => parseInstant(text)!;
export const START = at("2026-11-01T00:00:00Z");
export const never = new AbortController().signal;

export const POLICY: WindowPolicy = {
  start: START,
  sizeMs: 5 * MINUTE_MS,
  catchUpSizeMs: 60 * MINUTE_MS,
  lagMs: 2 * MINUTE_MS,
  lookbackMs: 15 * MINUTE_MS,
};

/** An event whose record is its id, time and key. */
export function event(id: string, time: EpochMs, key = "user_login"): AuditEvent {
  return {
    id,
    time,
    key,
    record: Buffer.from(JSON.stringify({ id, created_at: formatInstant(time), event_key: key })),
  };
}

/** `count` events, evenly spread over a span. */
export function eventsOver(from: EpochMs, to: EpochMs, count: number): AuditEvent[] {
  return Array.from({ length: count }, (_, index) =>
    event(
      `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`,
      epochMs(from + Math.floor(((to - from) * index) / count)),
    ),
  );
}

/** A store in memory whose operations are side effects. */
export function memoryStore(files: Map<string, Buffer>, effect: Effect = () => undefined): Store {
  async function act<Result>(what: string, work: () => Result): Promise<Result> {
    effect(what, "before");
    const result = work();
    effect(what, "after");
    return result;
  }
  return {
    place: "memory",
    create: (key, bytes) =>
      act(`create ${key}`, () => {
        if (files.has(key)) return false;
        files.set(key, bytes);
        return true;
      }),
    read: (key) => act(`read ${key}`, () => files.get(key)),
    async *list(prefix, after) {
      const keys = await act(`list ${prefix}`, () => [...files.keys()].reverse());
      for (const key of keys) {
        if (!key.startsWith(prefix) || (after !== undefined && key <= after)) continue;
        yield { key, bytes: files.get(key)!.length, modified: epochMs(0) };
      }
    },
    replace: (key, bytes) => act(`replace ${key}`, () => void files.set(key, bytes)),
    probe: async () => undefined,
    async *check() {
      // Nothing to find in memory.
    },
  };
}

export interface SourceOptions {
  readonly pageSize?: number;
  readonly clockOffsetMs?: number;
  readonly identity?: Source["identity"];
  /** The event is visible in answers from this instant on. */
  readonly visibleFrom?: (event: AuditEvent) => EpochMs;
  readonly now?: () => EpochMs;
  readonly poison?: readonly Poison[];
  readonly retentionMs?: number | undefined;
}

/** A source with a known history: newest first, bounds inclusive on both sides, each page a side effect. */
export function memorySource(
  history: readonly AuditEvent[],
  { pageSize = 5, clockOffsetMs = 0, identity, visibleFrom, now, poison = [], retentionMs }: SourceOptions = {},
  effect: Effect = () => undefined,
): Source {
  return {
    identity: identity ?? { type: "memory", baseUrl: "memory:", account: "" },
    selection: {},
    retentionMs,
    members: {
      id: [{ path: "id", format: "text" }],
      time: [{ path: "created_at", format: "iso" }],
      kind: ["event_key"],
    },
    vocabulary: MEMORY_VOCABULARY,
    async *pages(span, signal) {
      const found = history
        .filter(({ time }) => time >= span.from && time <= span.to)
        .filter((one) => visibleFrom === undefined || now === undefined || visibleFrom(one) <= now())
        .sort((one, other) => other.time - one.time || (one.id < other.id ? 1 : -1));
      for (let start = 0; start === 0 || start < found.length; start += pageSize) {
        signal.throwIfAborted();
        effect("request", "before");
        await Promise.resolve();
        const page: Page = { events: found.slice(start, start + pageSize), poison: start === 0 ? poison : [] };
        effect("request", "after");
        yield page;
      }
    },
    read(record) {
      try {
        const { id, created_at, event_key } = JSON.parse(record.toString()) as Record<string, string>;
        return { id: id!, time: at(created_at!), key: event_key!, record };
      } catch {
        return { reason: "not an event", record };
      }
    },
    clockOffsetMs: async () => clockOffsetMs,
    async *check() {
      // Nothing to find in memory.
    },
  };
}

const MEMORY_VOCABULARY: Vocabulary = {
  product: { vendor: "Memory", name: "Audit", version: "1.0" },
  kind: (key) => ({ name: key, category: "audit", severity: 3 }),
  describe: (record) => ({ details: record.toString() }),
};

export interface WorldOptions {
  readonly files?: Map<string, Buffer>;
  /** Replaces the default store over `files`. */
  readonly store?: Store;
  readonly effect?: Effect;
  readonly source?: SourceOptions;
  readonly windows?: Partial<WindowPolicy>;
  readonly parallel?: number;
  readonly batch?: Pipeline["batch"];
  readonly maxEventBytes?: number;
  readonly signer?: Signer | undefined;
  readonly observe?: ObserveStream;
  readonly selection?: unknown;
  /** The error of the store's preflight, if it fails. */
  readonly probe?: Error;
}

/** A pipeline of a freshly started worker, with a history as its source and a store in memory. */
export function world(history: readonly AuditEvent[], options: WorldOptions = {}) {
  const { files = new Map<string, Buffer>(), effect = () => undefined, parallel = 3 } = options;
  const facts: Omit<StreamFact, "stream">[] = [];
  const observe: ObserveStream = (fact) => {
    facts.push(fact);
    options.observe?.(fact);
  };
  const store: Store = {
    ...(options.store ?? memoryStore(files, effect)),
    probe: async () => {
      if (options.probe !== undefined) throw options.probe;
    },
  };
  const source = memorySource(history, options.source, effect);
  const windows = { ...POLICY, ...options.windows };
  const fingerprint = fingerprintOf(source.identity, options.selection ?? source.selection, "raw");
  const pipeline: Pipeline = {
    name: "test",
    source,
    reader: readAhead(source, parallel),
    sink: objects(store, raw.of(source)),
    ledger: ledger({
      stream: "test",
      store: storeUnder(store, "ledger/"),
      data: store,
      fingerprint,
      lookbackMs: windows.lookbackMs,
      rebuildIds: (manifest, signal) => idsFromObjects(manifest, store, raw.of(source), signal),
      signer: options.signer,
      observe,
    }),
    windows,
    quarantine: store,
    maxEventBytes: options.maxEventBytes ?? 1 << 20,
    batch: options.batch ?? { maxEvents: 7, maxBytes: 1 << 20 },
    fingerprint,
    exporter: { name: "siem-export-worker", version: "0.0.0" },
    observe,
  };
  return { pipeline, files, facts, source };
}

interface ShownManifest {
  seq: number;
  kind: string;
  since?: string;
  missing?: { from: string; to: string };
  lateness?: Record<string, number>;
  quarantine: { key: string; lines: number }[];
  delivered?: { lines: number; truncated?: number; contentSha256: string; acknowledged: boolean };
  window: { from: string; to: string };
  events: number;
  late: number;
  objects: { key: string; lines: number; first: string; last: string }[];
  prev: { seq: number; sha256: string } | null;
  ids: { key: string } | null;
}

export function manifestsIn(files: Map<string, Buffer>): ShownManifest[] {
  return [...files.keys()]
    .filter((key) => key.startsWith("ledger/manifests/"))
    .sort()
    .map((key) => JSON.parse(files.get(key)!.toString().split("\n")[0]!) as ShownManifest);
}

/** The lines of these objects, in order of their keys. */
export function linesIn(files: Map<string, Buffer>, keys: Iterable<string>): string[] {
  return [...keys].sort().flatMap((key) => gunzipSync(files.get(key)!).toString().split("\n").slice(0, -1));
}

export const dataKeys = (files: Map<string, Buffer>): string[] =>
  [...files.keys()].filter((key) => key.startsWith("data/"));

export const committedKeys = (files: Map<string, Buffer>): string[] =>
  manifestsIn(files).flatMap(({ objects: named }) => named.map(({ key }) => key));

/** Makes the nth side effect fail: before it happens, or after it happened (a lost answer); once, or forever. */
export function failAt(n: number, moment: "before" | "after", isForever: boolean): Effect {
  let seen = 0;
  return (what, now) => {
    if (now !== moment) return;
    seen++;
    if (seen === n || (isForever && seen > n)) throw new TransientError("network", `${what}: made to fail`);
  };
}
