import { listSequences } from "../ledger/head.ts";
import type { IdSet } from "../ledger/ids.ts";
import { seq12 } from "../ledger/manifest.ts";
import type { Entry, Store } from "../store.ts";
import { DAY_MS, type EpochMs } from "../time.ts";
import type { Chain } from "./chain.ts";
import { notice, wrong, type ArchiveFinding } from "./finding.ts";
import type { FileKind, Places } from "./places.ts";
import { whyNotRedundant } from "./redundant.ts";

/** A file that no manifest names. */
export interface UnreferencedFile extends Entry {
  readonly kind: FileKind;
  /** From its name; undefined when the name is not one of ours. */
  readonly seq: number | undefined;
  /**
   * `above head`: the file of a window that is not committed yet, or whose manifest was deleted. `redundant`: everything in it is
   * also in files that manifests name; concurrent workers can leave such a file. Anything else is `unknown`.
   */
  readonly state: "above head" | "redundant" | "unknown";
  /** Why it is unknown. */
  readonly reason: string;
}

/** No window takes this long. */
const IN_FLIGHT_MAX_MS = DAY_MS;

/** Of the files above the head, not more than these become findings. */
const ABOVE_HEAD_MAX = 1000;

/**
 * The files that no manifest names, from sequence `firstSeq` on. Lists each prefix once.
 * @param named the packed keys of all files that manifests name
 */
export async function* unreferencedFiles(
  places: Places,
  chain: Chain,
  named: IdSet,
  firstSeq: number,
  signal: AbortSignal,
): AsyncGenerator<UnreferencedFile> {
  for (const [kind, store] of storesOf(places)) {
    for await (const entry of store.list(`${kind}/`, undefined, signal)) {
      if (named.has(entry.key)) continue;
      const seq = sequenceOf(entry.key);
      if (seq !== undefined && seq > 0 && seq < firstSeq) continue;
      if (seq !== undefined && seq > chain.summary.seq) {
        yield { ...entry, kind, seq, state: "above head", reason: "" };
        continue;
      }
      const reason =
        seq === undefined
          ? "its name is not one that siem-export gives"
          : await whyNotRedundant(places, chain, { kind, store, key: entry.key, seq }, signal);
      yield { ...entry, kind, seq, state: reason === undefined ? "redundant" : "unknown", reason: reason ?? "" };
    }
  }
}

/** The findings about files that no manifest names. */
export async function* judgeUnreferenced(
  places: Places,
  chain: Chain,
  named: IdSet,
  { firstSeq, now }: { readonly firstSeq: number; readonly now: EpochMs },
  signal: AbortSignal,
): AsyncGenerator<ArchiveFinding> {
  const aboveHead: UnreferencedFile[] = [];
  let highest: { readonly key: string; readonly seq: number } | undefined;
  for await (const file of unreferencedFiles(places, chain, named, firstSeq, signal)) {
    const { key, seq, state, reason } = file;
    if (state === "unknown") yield wrong("UNREFERENCED_OBJECT", key, seq, `no manifest names it, and ${reason}`);
    if (state === "redundant") {
      yield notice("ORPHAN", key, seq, "no manifest names it; everything in it is also in files that manifests name");
    }
    if (state !== "above head" || seq === undefined) continue;
    if (aboveHead.length < ABOVE_HEAD_MAX) aboveHead.push(file);
    if (seq > (highest?.seq ?? 0)) highest = { key, seq };
  }
  const head = chain.summary.seq;
  for await (const { key } of places.ledger.list("plans/", `plans/${seq12(head + 1)}.json`, signal)) {
    const seq = sequenceOf(key) ?? 0;
    if (seq > (highest?.seq ?? head + 1)) highest = { key, seq };
  }
  if (highest === undefined) return;
  // Windows that were committed during this verification are not part of it.
  const newest = (await listSequences(places.ledger, head, signal)).seqs.at(-1) ?? head;
  if (highest.seq > newest + 1) {
    const message = `${highest.seq} starts only after ${highest.seq - 1} is committed, but the manifests end at ${newest}: the newest were deleted`;
    yield wrong("TAIL_MISSING", highest.key, highest.seq, message);
  }
  for (const { key, seq = 0, modified } of aboveHead) {
    if (seq <= newest || highest.seq > newest + 1) continue;
    if (now - modified > IN_FLIGHT_MAX_MS) {
      const message = `it is more than a day old, but the manifests end at ${newest}: the next was deleted, or no worker is running`;
      yield wrong("TAIL_MISSING", key, seq, message);
    } else {
      yield notice("IN_FLIGHT", key, seq, `it is above the newest manifest, ${newest}: a window in progress`);
    }
  }
}

function storesOf({ data, quarantine, ledger }: Places): [FileKind, Store][] {
  const places: [FileKind, Store | undefined][] = [
    ["data", data],
    ["quarantine", quarantine],
    ["ids", ledger],
  ];
  return places.filter((place): place is [FileKind, Store] => place[1] !== undefined);
}

function sequenceOf(key: string): number | undefined {
  const digits = /^(\d{12})[-.]/.exec(key.slice(key.lastIndexOf("/") + 1))?.[1];
  return digits === undefined ? undefined : Number(digits);
}
