import { LedgerError } from "../errors.ts";
import { CHECKPOINT_KEY, manifestKey, readCheckpoint, type Checkpoint } from "../ledger/head.ts";
import type { Link } from "../ledger/manifest.ts";
import type { Store } from "../store.ts";
import { formatDuration, formatInstant, SECOND_MS, type EpochMs } from "../time.ts";
import type { ChainState } from "./chain.ts";
import { notice, wrong, type ArchiveFinding } from "./finding.ts";

/** A head that was written down outside of the archive, such as the one that each tick leaves in the log. */
export interface Anchor {
  readonly seq: number;
  readonly sha256: string;
}

export interface TailOptions {
  readonly anchor: Anchor | undefined;
  /** The newest window must end within so many milliseconds of `now`. */
  readonly maxAgeMs: number | undefined;
  readonly now: EpochMs;
}

/**
 * Whether the end of the chain is the end: nothing in an archive itself can tell that its newest links were taken away, or
 * that all of it was made anew.
 */
export interface TailWatch {
  /** Each link, in order; `until` is where the windows up to it end. */
  see(link: Link, until: EpochMs | undefined): ArchiveFinding[];
  end(chain: ChainState): { readonly findings: readonly ArchiveFinding[]; readonly proof: TailProof };
}

export interface TailProof {
  /** `not proven`: neither an anchor nor a freshness limit was given, or it was not met. */
  readonly tail: "proven by anchor" | "fresh" | "not proven";
  /** The sequence up to which an anchor proves the chain. */
  readonly anchored: number | undefined;
}

/** @param checkpoint as it was before the manifests were listed, so that it cannot be ahead of them by the writer's work */
export function tailWatch(checkpoint: Checkpoint | undefined, { anchor, maxAgeMs, now }: TailOptions): TailWatch {
  let anchored: number | undefined;

  return {
    see({ manifest: { seq }, sha256 }, until) {
      const findings: ArchiveFinding[] = [];
      if (seq === anchor?.seq) {
        if (sha256 === anchor.sha256) anchored = seq;
        else {
          const message = "it is not the manifest that the anchor names: the chain was made anew";
          findings.push(wrong("CHAIN_BROKEN", manifestKey(seq), seq, message));
        }
      }
      if (seq !== checkpoint?.sequence) return findings;
      if (sha256 !== checkpoint.manifestSha256) {
        const message = `it is not the manifest that ${CHECKPOINT_KEY} stands at`;
        findings.push(wrong("CHAIN_BROKEN", manifestKey(seq), seq, message));
      } else if (until !== undefined && formatInstant(until) !== checkpoint.exportedUntil) {
        const message = `it says ${checkpoint.exportedUntil}, the manifests say ${formatInstant(until)}`;
        findings.push(notice("CHECKPOINT_STALE", CHECKPOINT_KEY, seq, message));
      }
      return findings;
    },

    end({ seq, until }) {
      const findings: ArchiveFinding[] = [];
      const reach = seq === 0 ? "there is no manifest" : `the manifests end at ${seq}`;
      if (checkpoint !== undefined && checkpoint.sequence > seq) {
        const message = `it stands at ${checkpoint.sequence}, ${reach}: the newest were taken away`;
        findings.push(wrong("TAIL_MISSING", CHECKPOINT_KEY, checkpoint.sequence, message));
      }
      if (anchor !== undefined && anchor.seq > seq) {
        const message = `an anchor names it, ${reach}: the newest were taken away`;
        findings.push(wrong("TAIL_MISSING", manifestKey(anchor.seq), anchor.seq, message));
      }
      const ageMs = until === undefined ? Infinity : now - until;
      const isFresh = maxAgeMs !== undefined && ageMs <= maxAgeMs;
      if (maxAgeMs !== undefined && !isFresh) {
        const age =
          until === undefined
            ? "there is no window"
            : `the newest window ended ${formatDuration(Math.floor(ageMs / SECOND_MS) * SECOND_MS)} ago, at ${formatInstant(until)}`;
        const limit = formatDuration(maxAgeMs);
        findings.push(
          wrong("STALE_TAIL", manifestKey(Math.max(seq, 1)), seq, `${age}: more than the ${limit} that are allowed`),
        );
      }
      const tail = anchored !== undefined ? "proven by anchor" : isFresh ? "fresh" : "not proven";
      return { findings, proof: { tail, anchored } };
    },
  };
}

/** The checkpoint, or what is wrong with it: a notice, for the manifests are the truth. */
export async function checkpointOf(
  ledger: Store,
  stream: string,
  signal: AbortSignal,
): Promise<Checkpoint | ArchiveFinding> {
  try {
    const checkpoint = await readCheckpoint(ledger, stream, signal);
    if (typeof checkpoint !== "string") return checkpoint;
    return notice("CHECKPOINT_STALE", CHECKPOINT_KEY, undefined, checkpoint);
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    return wrong("MANIFEST_MOVED", CHECKPOINT_KEY, undefined, "it belongs to another stream");
  }
}
