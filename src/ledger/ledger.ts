import { LedgerError } from "../errors.ts";
import { CHECKPOINT_KEY, encodeCheckpoint, findHead, headAfter, linksAfter, manifestKey, type Head } from "./head.ts";
import type { IdSet } from "./ids.ts";
import { knownIds, type KnownIdsOptions, type Overlapping } from "./known-ids.ts";
import {
  decodePlan,
  encodeManifest,
  encodePlan,
  RESTORE_HINT,
  sameSource,
  seq12,
  type IdsFile,
  type Manifest,
} from "./manifest.ts";
import type { Signer } from "./signature.ts";
import type { Store } from "../store.ts";
import { formatInstant, type EpochMs, type Span } from "../time.ts";
import type { Plan } from "../sink.ts";

export const PROBE_KEY = "probe";

/** What a commit came to: our window is the next link, or somebody else's is (and `head` is where they are by now). */
export interface CommitOutcome {
  readonly won: boolean;
  readonly head: Head;
}

/** A manifest but for its place in the chain and its signature, which are the ledger's. */
export type Draft = Omit<Manifest, "prev" | "keyId">;

/** The chain of committed windows of one stream. It needs nothing of its store but create-if-absent. */
export interface Ledger {
  readonly place: string;

  /**
   * Where we are. Found at the first call, then kept in memory; the checkpoint is written anew where it was missing, torn
   * or stale, with a warning.
   * @throws RefusedError when a store does not create once, whatever it says
   * @throws LedgerError when the place cannot be known; never a fresh start over an existing ledger
   */
  head(signal: AbortSignal): Promise<Head>;

  /**
   * Writes the plan down, or finds the one that is there under its sequence: then that one is to be carried out.
   * @throws LedgerError when the plan found does not begin where the head ends, or other settings made it while we ran
   */
  plan(plan: Plan, signal: AbortSignal): Promise<{ plan: Plan; found: boolean }>;

  /** Goes on to what others have committed since: the new head when there is any, else undefined. */
  overtaken(signal: AbortSignal): Promise<Head | undefined>;

  /** Ids of all events in the manifests whose window reaches past `since`, repairs included. */
  idsSince(since: EpochMs, signal: AbortSignal): Promise<IdSet>;

  /** Ids of all events in the manifests that may hold some of this span, repairs and look-backs included. */
  idsOverlapping(span: Span, signal: AbortSignal): Promise<Overlapping>;

  /** Writes the ids of a window's events and items in quarantine; null when there is none. */
  writeIds(plan: Plan, ids: IdSet, signal: AbortSignal): Promise<IdsFile | null>;

  /** The commit point. Resolves when the manifest is durable: ours, or another worker's that was first. */
  commit(draft: Draft, signal: AbortSignal): Promise<CommitOutcome>;
}

export interface LedgerOptions extends KnownIdsOptions {
  /** Where the data objects lie; undefined for a sink without objects. */
  readonly data: Store | undefined;
  readonly fingerprint: string;
  /** Signs the manifests; without it the chain proves only that it is consistent. */
  readonly signer?: Signer | undefined;
}

export function ledger(options: LedgerOptions): Ledger {
  const { stream, store, data, fingerprint, signer, observe } = options;
  const ids = knownIds(options);
  let current: Head | undefined;
  /** The sequence that the head had when we started: what lies beyond it was made while we ran. */
  let startedAt = 0;
  async function writeCheckpoint(head: Head, signal: AbortSignal): Promise<void> {
    try {
      await store.replace(CHECKPOINT_KEY, encodeCheckpoint(stream, head), signal);
    } catch (error) {
      // The manifests are the truth: the checkpoint is rebuilt from them, so this costs a warning and not a window.
      signal.throwIfAborted();
      observe({ kind: "checkpoint.failed", error });
    }
  }

  async function head(signal: AbortSignal): Promise<Head> {
    if (current !== undefined) return current;
    // Both places rest on creating once; a store that only seems to must be found before the first write.
    await store.probe(PROBE_KEY, signal);
    await data?.probe(`ledger/${PROBE_KEY}`, signal);
    const { head: found, staleBecause } = await findHead(store, data, stream, signal);
    if (found.fingerprint !== undefined && found.fingerprint !== fingerprint) {
      if (!sameSource(found.fingerprint, fingerprint)) {
        throw new LedgerError(`open the ledger ${store.place}: it belongs to another source, base URL or account`, {
          hint: "give the stream a new name, with windows.start at the instant from which to go on",
        });
      }
      observe({ kind: "settings.changed", before: found.fingerprint, after: fingerprint });
    }
    if (staleBecause !== undefined) {
      observe({ kind: "checkpoint.rebuilt", reason: staleBecause, sequence: found.seq });
      await writeCheckpoint(found, signal);
    }
    observe({ kind: "head.found", sequence: found.seq, sha256: found.sha256, exportedUntil: found.exportedUntil });
    startedAt = found.seq;
    current = found;
    return found;
  }

  /** Plans and manifests made while we run must come from the same settings: else two configurations fight. */
  function refuseOtherSettings(seq: number, theirs: string, what: string): void {
    if (theirs === fingerprint) return;
    if (sameSource(theirs, fingerprint) && seq <= startedAt + 1) return;
    throw new LedgerError(`read ${what} ${seq} of ${store.place}: another worker made it with other settings`, {
      hint: "stop the other worker, or give one of the two streams another name",
    });
  }

  async function overtaken(signal: AbortSignal): Promise<Head | undefined> {
    const before = await head(signal);
    const links = await linksAfter(store, before, stream, signal);
    for (const link of links) {
      refuseOtherSettings(link.manifest.seq, link.manifest.source.fingerprint, "manifest");
      await ids.remember(link, signal);
      current = headAfter(current ?? before, link);
    }
    return links.length > 0 ? current : undefined;
  }

  return {
    place: store.place,
    head,
    overtaken,

    async plan(plan, signal) {
      const key = `plans/${seq12(plan.seq)}.json`;
      if (await store.create(key, encodePlan(plan), signal)) return { plan, found: false };
      const place = `${store.place}/${key}`;
      const bytes = await store.read(key, signal);
      if (bytes === undefined) throw new LedgerError(`read ${place}: it was there and is gone`, { hint: RESTORE_HINT });
      const there = decodePlan(bytes, place);
      const { exportedUntil } = await head(signal);
      const follows = there.kind === "repair" || exportedUntil === undefined || there.from === exportedUntil;
      if (there.seq !== plan.seq || !follows || there.to <= there.from) {
        throw new LedgerError(
          `read ${place}: its window begins at ${formatInstant(there.from)}, not where the head ends`,
          {
            hint: RESTORE_HINT,
          },
        );
      }
      refuseOtherSettings(there.seq, there.fingerprint, "plan");
      return { plan: there, found: true };
    },

    idsSince: async (since, signal) => ids.since((await head(signal)).seq, since, signal),
    idsOverlapping: async (span, signal) => ids.overlapping((await head(signal)).seq, span, signal),
    writeIds: (plan, collected, signal) => ids.write(plan, collected, signal),

    async commit(draft, signal) {
      const before = await head(signal);
      const prev = before.sha256 === null ? null : { seq: before.seq, sha256: before.sha256 };
      const { bytes, link } = encodeManifest({ ...draft, prev }, signer);
      const key = manifestKey(draft.seq);
      if (!(await store.create(key, bytes, signal))) {
        // Equal bytes are ours: the answer to an earlier try was lost. Others mean that somebody was first.
        const there = await store.read(key, signal);
        if (there?.equals(bytes) !== true) {
          const theirs = await overtaken(signal);
          if (theirs === undefined)
            throw new LedgerError(`read ${store.place}/${key}: it was there and is gone`, { hint: RESTORE_HINT });
          return { won: false, head: theirs };
        }
      }
      await ids.remember(link, signal);
      current = headAfter(before, link);
      await writeCheckpoint(current, signal);
      return { won: true, head: current };
    },
  };
}
