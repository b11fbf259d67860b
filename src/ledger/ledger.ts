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

/** The result of a commit: our window is the next link, or another worker's is, and `head` is what the others have reached by now. */
export interface CommitOutcome {
  readonly won: boolean;
  readonly head: Head;
}

/** A manifest without its place in the chain and its signature: the ledger adds these. */
export type Draft = Omit<Manifest, "prev" | "keyId">;

/** The chain of committed windows of one stream. All that it needs of its store is to create a file only if it is absent. */
export interface Ledger {
  readonly place: string;

  /**
   * Where the stream is. Found at the first call, then kept in memory. A checkpoint that is missing, damaged or stale is written
   * again, with a warning.
   * @throws RefusedError if a store does not create once, whatever it claims
   * @throws LedgerError if the head cannot be known; it never starts over on an existing ledger
   */
  head(signal: AbortSignal): Promise<Head>;

  /**
   * Writes the plan, or finds the one that exists for its sequence: then that one is to be carried out.
   * @throws LedgerError if the plan found does not begin where the head ends, or was made with other settings while we run
   */
  plan(plan: Plan, signal: AbortSignal): Promise<{ plan: Plan; found: boolean }>;

  /** Moves on to what other workers have committed since. Resolves with the new head; undefined if there is none. */
  overtaken(signal: AbortSignal): Promise<Head | undefined>;

  /** Ids of all events in the manifests whose window reaches past `since`, including repairs. */
  idsSince(since: EpochMs, signal: AbortSignal): Promise<IdSet>;

  /** Ids of all events in the manifests that may hold events of this span, including repairs and look-backs. */
  idsOverlapping(span: Span, signal: AbortSignal): Promise<Overlapping>;

  /** Writes the ids of a window's events and of its items in quarantine; null if there are none. */
  writeIds(plan: Plan, ids: IdSet, signal: AbortSignal): Promise<IdsFile | null>;

  /** The commit point. Resolves when the manifest is durable: ours, or that of another worker that was first. */
  commit(draft: Draft, signal: AbortSignal): Promise<CommitOutcome>;
}

export interface LedgerOptions extends KnownIdsOptions {
  /** Where the data objects are; undefined for a sink without objects. */
  readonly data: Store | undefined;
  readonly fingerprint: string;
  /** Signs the manifests. Without it the chain proves only that it is consistent. */
  readonly signer?: Signer | undefined;
}

export function ledger(options: LedgerOptions): Ledger {
  const { stream, store, signer } = options;
  const ids = knownIds(options);
  let current: Head | undefined;
  /** The sequence of the head at our start: what is beyond it was made while we run. */
  let startedAt = 0;

  async function head(signal: AbortSignal): Promise<Head> {
    if (current !== undefined) return current;
    current = await open(options, signal);
    startedAt = current.seq;
    return current;
  }

  async function overtaken(signal: AbortSignal): Promise<Head | undefined> {
    const before = await head(signal);
    const links = await linksAfter(store, before, stream, signal);
    for (const link of links) {
      const { seq, source } = link.manifest;
      refuseOtherSettings(options, startedAt, { what: "manifest", seq, fingerprint: source.fingerprint });
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
      const key = planKey(plan.seq);
      if (await store.create(key, encodePlan(plan), signal)) return { plan, found: false };
      const found = await readPlan(store, plan.seq, await head(signal), signal);
      refuseOtherSettings(options, startedAt, { what: "plan", ...found });
      return { plan: found, found: true };
    },

    idsSince: async (since, signal) => ids.since((await head(signal)).seq, since, signal),
    idsOverlapping: async (span, signal) => ids.overlapping((await head(signal)).seq, span, signal),
    writeIds: (plan, collected, signal) => ids.write(plan, collected, signal),

    async commit(draft, signal) {
      const before = await head(signal);
      const prev = before.sha256 === null ? null : { seq: before.seq, sha256: before.sha256 };
      const { bytes, link } = encodeManifest({ ...draft, prev }, signer);
      const key = manifestKey(draft.seq);
      const isCreated = await store.create(key, bytes, signal);
      // Equal bytes are ours: the answer to an earlier attempt was lost. Others mean that another worker was first.
      if (!isCreated && (await store.read(key, signal))?.equals(bytes) !== true) {
        const newHead = await overtaken(signal);
        if (newHead === undefined) throw gone(store, key);
        return { won: false, head: newHead };
      }
      await ids.remember(link, signal);
      current = headAfter(before, link);
      await writeCheckpoint(options, current, signal);
      return { won: true, head: current };
    },
  };
}

/** Finds the head at start, checks that the ledger is ours, and repairs the checkpoint. */
async function open(options: LedgerOptions, signal: AbortSignal): Promise<Head> {
  const { stream, store, data, fingerprint, observe } = options;
  // Ledger and data rely on creating once. A store that only seems to do so must be found before the first write.
  await store.probe(PROBE_KEY, signal);
  await data?.probe(`ledger/${PROBE_KEY}`, signal);
  const { head, staleBecause } = await findHead(store, data, stream, signal);
  if (head.fingerprint !== undefined && head.fingerprint !== fingerprint) {
    if (!sameSource(head.fingerprint, fingerprint)) {
      throw new LedgerError(`open the ledger ${store.place}: it belongs to another source, base URL or account`, {
        hint: "give the stream a new name, with windows.start at the instant from which to continue",
      });
    }
    observe({ kind: "settings.changed", before: head.fingerprint, after: fingerprint });
  }
  if (staleBecause !== undefined) {
    observe({ kind: "checkpoint.rebuilt", reason: staleBecause, sequence: head.seq });
    await writeCheckpoint(options, head, signal);
  }
  observe({ kind: "head.found", sequence: head.seq, sha256: head.sha256, exportedUntil: head.exportedUntil });
  return head;
}

async function writeCheckpoint(
  { stream, store, observe }: LedgerOptions,
  head: Head,
  signal: AbortSignal,
): Promise<void> {
  try {
    await store.replace(CHECKPOINT_KEY, encodeCheckpoint(stream, head), signal);
  } catch (error) {
    // The manifests are the truth, and the checkpoint is rebuilt from them: a failure costs a warning, not a window.
    signal.throwIfAborted();
    observe({ kind: "checkpoint.failed", error });
  }
}

/** The plan that exists for a sequence. It must begin where the head ends, unless it is a repair. */
async function readPlan(store: Store, seq: number, { exportedUntil }: Head, signal: AbortSignal): Promise<Plan> {
  const key = planKey(seq);
  const bytes = await store.read(key, signal);
  if (bytes === undefined) throw gone(store, key);
  const place = `${store.place}/${key}`;
  const plan = decodePlan(bytes, place);
  const follows = plan.kind === "repair" || exportedUntil === undefined || plan.from === exportedUntil;
  if (plan.seq !== seq || !follows || plan.to <= plan.from) {
    throw new LedgerError(`read ${place}: its window begins at ${formatInstant(plan.from)}, not where the head ends`, {
      hint: RESTORE_HINT,
    });
  }
  return plan;
}

/**
 * Plans and manifests that are made while we run must have our settings, or two configurations would conflict. The sequence that
 * follows the head at our start may have been planned before, with other settings of the same source.
 */
function refuseOtherSettings(
  { store, fingerprint }: LedgerOptions,
  startedAt: number,
  made: { readonly what: "plan" | "manifest"; readonly seq: number; readonly fingerprint: string },
): void {
  if (made.fingerprint === fingerprint) return;
  if (sameSource(made.fingerprint, fingerprint) && made.seq <= startedAt + 1) return;
  throw new LedgerError(`read ${made.what} ${made.seq} of ${store.place}: another worker made it with other settings`, {
    hint: "stop the other worker, or give one of the two streams another name",
  });
}

function planKey(seq: number): string {
  return `plans/${seq12(seq)}.json`;
}

function gone(store: Store, key: string): LedgerError {
  return new LedgerError(`read ${store.place}/${key}: it was there and is gone`, { hint: RESTORE_HINT });
}
