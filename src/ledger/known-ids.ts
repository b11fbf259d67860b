import { LedgerError } from "../errors.ts";
import type { ObserveStream } from "../fact.ts";
import type { Store } from "../store.ts";
import { linksBack, readLink } from "./head.ts";
import { idSet, type IdSet } from "./ids.ts";
import { RESTORE_HINT, seq12, sha256Of, type Manifest, type IdsFile, type Link } from "./manifest.ts";
import { epochMs, type EpochMs, type Span } from "../time.ts";
import type { Plan } from "../sink.ts";

/** Ids of past windows, and the time that these windows cover. */
export interface Overlapping {
  readonly ids: IdSet;
  /** From the earliest to the latest instant of which one of these windows may hold an event. */
  readonly reach: Span;
  /** Where the oldest window read begins: nothing is known about the time before it. Undefined if there is no window. */
  readonly begins: EpochMs | undefined;
}

/** The ids files of a ledger. The ids of the look-back are in memory: 16 bytes for each event of its windows. */
export interface KnownIds {
  /** Ids in the manifests up to `seq` whose window reaches past `since`, including repairs. */
  since(seq: number, since: EpochMs, signal: AbortSignal): Promise<IdSet>;
  /** Ids in the manifests up to `seq` that may hold events of this span, including repairs and look-backs. */
  overlapping(seq: number, span: Span, signal: AbortSignal): Promise<Overlapping>;
  /**
   * Writes the ids of a window; null if there are none.
   * @throws LedgerError if a file of that name has other bytes
   */
  write(plan: Plan, ids: IdSet, signal: AbortSignal): Promise<IdsFile | null>;
  /** Keeps the ids of a new link for later look-backs, if there has been one. */
  remember(link: Link, signal: AbortSignal): Promise<void>;
}

/** A link with the ids of its events. */
interface LinkWithIds {
  readonly link: Link;
  readonly ids: Buffer;
}

const NO_IDS: Buffer = Buffer.alloc(0);

export interface KnownIdsOptions {
  readonly stream: string;
  /** The place of the ledger. Its operations are retried by policy, except `replace`. */
  readonly store: Store;
  /** Ids of committed windows are kept in memory so far back. */
  readonly lookbackMs: number;
  /** Makes the content of a lost ids file from the objects of its manifest; undefined if that is not possible. */
  readonly rebuildIds?: ((manifest: Manifest, signal: AbortSignal) => Promise<Buffer | undefined>) | undefined;
  readonly observe: ObserveStream;
}

export function knownIds({ stream, store, lookbackMs, rebuildIds, observe }: KnownIdsOptions): KnownIds {
  /** The newest links, oldest first, without a hole up to the head. Filled when first needed. */
  const newest: LinkWithIds[] = [];
  /** The ids written last, so that a commit does not read them again. */
  let written: { key: string; packed: Buffer } = { key: "", packed: NO_IDS };

  async function read({ manifest }: Link, signal: AbortSignal): Promise<Buffer> {
    if (manifest.ids === null) return NO_IDS;
    const { key, sha256 } = manifest.ids;
    const bytes = await store.read(key, signal);
    if (bytes !== undefined && sha256Of(bytes) === sha256) return bytes;
    const reason = bytes === undefined ? "it is not there" : `it is not what manifest ${manifest.seq} names`;
    const rebuilt = await rebuildIds?.(manifest, signal);
    if (rebuilt === undefined || sha256Of(rebuilt) !== sha256) {
      const cannot = "and the objects that it could be rebuilt from cannot be read, or are not whole";
      throw new LedgerError(`read ${store.place}/${key}: ${reason}, ${cannot}`, { hint: RESTORE_HINT });
    }
    observe({ kind: "ids.rebuilt", sequence: manifest.seq, key, reason });
    if (bytes === undefined) await store.create(key, rebuilt, signal);
    return rebuilt;
  }

  return {
    async since(seq, since, signal) {
      let oldest = newest[0]?.link;
      while (oldest === undefined ? seq > 0 : oldest.manifest.seq > 1 && !reachesBack(oldest, since)) {
        const next: Link = await readLink(store, stream, oldest === undefined ? seq : oldest.manifest.seq - 1, signal);
        newest.unshift({ link: next, ids: await read(next, signal) });
        oldest = next;
      }
      const known = idSet();
      for (const { link, ids } of newest) if (link.manifest.window.to > since) known.addPacked(ids);
      return known;
    },

    async overlapping(seq, span, signal) {
      const ids = idSet();
      let { from, to } = span;
      let begins: EpochMs | undefined;
      for await (const link of linksBack(store, stream, seq, signal)) {
        const { window, since = window.from, kind } = link.manifest;
        // Windows that end or begin at a bound of the span count: sources are asked with inclusive bounds, and an item without a
        // time belongs to the first window that sees it.
        if (since <= span.to && window.to >= span.from) {
          ids.addPacked(await read(link, signal));
          from = epochMs(Math.min(from, since));
          to = epochMs(Math.max(to, window.to));
        }
        if (kind === "repair") continue;
        begins = window.from;
        // Older windows end earlier, and so do the spans of older repairs.
        if (window.to < span.from) break;
      }
      return { ids, reach: { from, to }, begins };
    },

    async write(plan, ids, signal) {
      if (ids.size === 0) return null;
      const packed = ids.sorted();
      const sha256 = sha256Of(packed);
      const key = `ids/${seq12(plan.seq)}-${sha256.slice(0, 8)}.bin`;
      if (!(await store.create(key, packed, signal)) && !(await store.read(key, signal))?.equals(packed)) {
        throw new LedgerError(`create ${store.place}/${key}: it is there with other bytes`, { hint: RESTORE_HINT });
      }
      written = { key, packed };
      return { key, sha256 };
    },

    async remember(link, signal) {
      if (newest.length === 0) return;
      const isOurs = link.manifest.ids?.key === written.key;
      newest.push({ link, ids: isOurs ? written.packed : await read(link, signal) });
      // Time only moves forward: what no later look-back will reach is dropped.
      const since = epochMs(link.manifest.window.to - lookbackMs);
      while (newest[1] !== undefined && reachesBack(newest[1].link, since)) newest.shift();
    },
  };
}

/** True if no window before this link reaches past `since`. */
function reachesBack({ manifest }: Link, since: EpochMs): boolean {
  return manifest.kind !== "repair" && manifest.window.from <= since;
}
