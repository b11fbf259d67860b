import { LedgerError } from "../errors.ts";
import type { ObserveStream } from "../fact.ts";
import type { Store } from "../store.ts";
import { linksBack, readLink } from "./head.ts";
import { idSet, type IdSet } from "./ids.ts";
import { RESTORE_HINT, seq12, sha256Of, type Manifest, type IdsFile, type Link } from "./manifest.ts";
import { epochMs, type EpochMs, type Span } from "../time.ts";
import type { Plan } from "../sink.ts";

/** What a look at past windows found. */
export interface Overlapping {
  readonly ids: IdSet;
  /** From the earliest instant that one of the windows may hold an event of, to the latest. */
  readonly reach: Span;
  /** Where the oldest window that was looked at begins: nothing before it is known here. Undefined: there is no window. */
  readonly begins: EpochMs | undefined;
}

/** The ids files of a ledger, and those of the look-back in memory: 16 bytes for each event of its windows. */
export interface KnownIds {
  /** Ids in the manifests up to `seq` whose window reaches past `since`, repairs included. */
  since(seq: number, since: EpochMs, signal: AbortSignal): Promise<IdSet>;
  /** Ids in the manifests up to `seq` that may hold some of this span, repairs and look-backs included. */
  overlapping(seq: number, span: Span, signal: AbortSignal): Promise<Overlapping>;
  /** Writes the ids of a window; null when there is none. */
  write(plan: Plan, ids: IdSet, signal: AbortSignal): Promise<IdsFile | null>;
  /** Keeps a new link for the look-backs to come, if they have begun. */
  remember(link: Link, signal: AbortSignal): Promise<void>;
}

/** A link of the look-back, with the ids of its events. */
interface Recent {
  readonly link: Link;
  readonly ids: Buffer;
}

const NO_IDS: Buffer = Buffer.alloc(0);

export interface KnownIdsOptions {
  readonly stream: string;
  /** Where the ledger lies; its operations are tried again as the policy says, but for `replace`. */
  readonly store: Store;
  /** How far back the ids of committed windows are kept in memory. */
  readonly lookbackMs: number;
  /** What an ids file that is gone held, from the objects of its manifest; undefined where they cannot say. */
  readonly rebuildIds?: ((manifest: Manifest, signal: AbortSignal) => Promise<Buffer | undefined>) | undefined;
  readonly observe: ObserveStream;
}

export function knownIds({ stream, store, lookbackMs, rebuildIds, observe }: KnownIdsOptions): KnownIds {
  /** The newest links with their ids, oldest first, without a hole up to the head. Filled when first needed. */
  const recent: Recent[] = [];
  /** The ids written last, so that a commit need not read them again. */
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
      let oldest = recent[0]?.link;
      while (oldest === undefined ? seq > 0 : oldest.manifest.seq > 1 && !reachesBack(oldest, since)) {
        const next: Link = await readLink(store, stream, oldest === undefined ? seq : oldest.manifest.seq - 1, signal);
        recent.unshift({ link: next, ids: await read(next, signal) });
        oldest = next;
      }
      const known = idSet();
      for (const { link, ids } of recent) if (link.manifest.window.to > since) known.addPacked(ids);
      return known;
    },

    async overlapping(seq, span, signal) {
      const ids = idSet();
      let { from, to } = span;
      let begins: EpochMs | undefined;
      for await (const link of linksBack(store, stream, seq, signal)) {
        const { window, since = window.from, kind } = link.manifest;
        // Windows that end or begin at the span's bounds too: the source's bounds are inclusive, and an item without a time
        // belongs to the first window that sees it.
        if (since <= span.to && window.to >= span.from) {
          ids.addPacked(await read(link, signal));
          from = epochMs(Math.min(from, since));
          to = epochMs(Math.max(to, window.to));
        }
        if (kind === "repair") continue;
        begins = window.from;
        // Older windows end earlier still, and so do the spans of older repairs.
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
      if (recent.length === 0) return;
      const isOurs = link.manifest.ids?.key === written.key;
      recent.push({ link, ids: isOurs ? written.packed : await read(link, signal) });
      // What no later look-back will reach is let go: time only moves forward.
      const since = epochMs(link.manifest.window.to - lookbackMs);
      while (recent[1] !== undefined && reachesBack(recent[1].link, since)) recent.shift();
    },
  };
}

/** True when no window before this link's reaches past `since`. */
function reachesBack({ manifest }: Link, since: EpochMs): boolean {
  return manifest.kind !== "repair" && manifest.window.from <= since;
}
