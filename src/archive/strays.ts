import { listSequences } from "../ledger/head.ts";
import type { IdSet } from "../ledger/ids.ts";
import { seq12 } from "../ledger/manifest.ts";
import type { Entry, Store } from "../store.ts";
import { DAY_MS, type EpochMs } from "../time.ts";
import type { Chain } from "./chain.ts";
import { notice, wrong, type ArchiveFinding } from "./finding.ts";
import { doubtOf } from "./orphan.ts";
import type { Places, StrayKind } from "./places.ts";

/** A file that no manifest names. */
export interface Stray extends Entry {
  readonly kind: StrayKind;
  /** By its name; undefined when that is none of ours. */
  readonly seq: number | undefined;
  /**
   * `above` the head: a window under way, or one whose manifest is gone. An `orphan` holds only what manifests hold too: two
   * workers that race can leave one. Anything else is `unknown`.
   */
  readonly state: "above" | "orphan" | "unknown";
  /** Why it is unknown. */
  readonly reason: string;
}

/** No window is under way for so long. */
const IN_FLIGHT_MAX_MS = DAY_MS;

/** More files above the head than these are not told one by one. */
const ABOVE_MAX = 1000;

/**
 * The files that no manifest names, of the sequences from `firstSeq` on; each prefix is listed once, and only their keys'
 * digests are held.
 * @param named the packed keys of all files that manifests name
 */
export async function* strays(
  places: Places,
  chain: Chain,
  named: IdSet,
  firstSeq: number,
  signal: AbortSignal,
): AsyncGenerator<Stray> {
  for (const [kind, store] of storesOf(places)) {
    for await (const entry of store.list(`${kind}/`, undefined, signal)) {
      if (named.has(entry.key)) continue;
      const seq = sequenceOf(entry.key);
      if (seq !== undefined && seq > 0 && seq < firstSeq) continue;
      if (seq !== undefined && seq > chain.so.seq) {
        yield { ...entry, kind, seq, state: "above", reason: "" };
        continue;
      }
      const reason = seq === undefined ? "its name is no name of ours" : undefined;
      const doubt = reason ?? (await doubtOf(places, chain, kind, store, entry.key, seq ?? 0, signal));
      yield { ...entry, kind, seq, state: doubt === undefined ? "orphan" : "unknown", reason: doubt ?? "" };
    }
  }
}

/** What the strays of an archive say of it. */
export async function* judgeStrays(
  places: Places,
  chain: Chain,
  named: IdSet,
  { firstSeq, now }: { readonly firstSeq: number; readonly now: EpochMs },
  signal: AbortSignal,
): AsyncGenerator<ArchiveFinding> {
  const above: Stray[] = [];
  let highest: { readonly key: string; readonly seq: number } | undefined;
  for await (const stray of strays(places, chain, named, firstSeq, signal)) {
    const { key, seq, state, reason } = stray;
    if (state === "unknown") yield wrong("UNREFERENCED_OBJECT", key, seq, `no manifest names it, and ${reason}`);
    if (state === "orphan") {
      yield notice("ORPHAN", key, seq, "no manifest names it; all that it holds stands in those that do");
    }
    if (state !== "above" || seq === undefined) continue;
    if (above.length < ABOVE_MAX) above.push(stray);
    if (seq > (highest?.seq ?? 0)) highest = { key, seq };
  }
  const head = chain.so.seq;
  for await (const { key } of places.ledger.list("plans/", `plans/${seq12(head + 1)}.json`, signal)) {
    const seq = sequenceOf(key) ?? 0;
    if (seq > (highest?.seq ?? head + 1)) highest = { key, seq };
  }
  if (highest === undefined) return;
  // What was committed meanwhile is no part of this verification.
  const newest = (await listSequences(places.ledger, head, signal)).seqs.at(-1) ?? head;
  if (highest.seq > newest + 1) {
    const message = `nothing of ${highest.seq} is begun before ${highest.seq - 1} is committed, yet the manifests end at ${newest}: the newest were taken away`;
    yield wrong("TAIL_MISSING", highest.key, highest.seq, message);
  }
  for (const { key, seq = 0, modified } of above) {
    if (seq <= newest || highest.seq > newest + 1) continue;
    if (now - modified > IN_FLIGHT_MAX_MS) {
      const message = `it lies there for more than a day, yet the manifests end at ${newest}: the next was taken away, or no worker goes on`;
      yield wrong("TAIL_MISSING", key, seq, message);
    } else {
      yield notice("IN_FLIGHT", key, seq, `it lies above the newest manifest, ${newest}: a window under way`);
    }
  }
}

function storesOf({ data, quarantine, ledger }: Places): [StrayKind, Store][] {
  const places: [StrayKind, Store | undefined][] = [
    ["data", data],
    ["quarantine", quarantine],
    ["ids", ledger],
  ];
  return places.filter((place): place is [StrayKind, Store] => place[1] !== undefined);
}

function sequenceOf(key: string): number | undefined {
  const digits = /^(\d{12})[-.]/.exec(key.slice(key.lastIndexOf("/") + 1))?.[1];
  return digits === undefined ? undefined : Number(digits);
}
