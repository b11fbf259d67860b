import { LedgerError } from "../errors.ts";
import { CHECKPOINT_KEY, manifestKey, readCheckpoint, type Checkpoint } from "../ledger/head.ts";
import type { Link } from "../ledger/manifest.ts";
import type { Store } from "../store.ts";
import { formatDuration, formatInstant, SECOND_MS, type EpochMs } from "../time.ts";
import type { ChainSummary } from "./chain.ts";
import { notice, wrong, type ArchiveFinding } from "./finding.ts";

/** A head that was noted outside the archive, such as in the log of a run. */
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
 * Judges whether the chain is complete at its end. An archive cannot prove by itself that its newest manifests were not deleted, or
 * that all of it was not replaced.
 */
export interface TailWatch {
  /** Judges the next link. `until` is the end of the windows up to it. */
  see(link: Link, until: EpochMs | undefined): ArchiveFinding[];
  end(chain: ChainSummary): { readonly findings: readonly ArchiveFinding[]; readonly proof: TailProof };
}

export interface TailProof {
  /** `not proven`: no anchor and no maximum age was given, or it was not met. */
  readonly tail: "proven by anchor" | "fresh" | "not proven";
  /** The sequence up to which the anchor proves the chain. */
  readonly anchored: number | undefined;
}

/** @param checkpoint read before the manifests are listed, so that a running worker cannot put it ahead of them */
export function tailWatch(checkpoint: Checkpoint | undefined, { anchor, maxAgeMs, now }: TailOptions): TailWatch {
  let anchored: number | undefined;

  return {
    see({ manifest: { seq }, sha256 }, until) {
      const findings: ArchiveFinding[] = [];
      if (seq === anchor?.seq) {
        if (sha256 === anchor.sha256) anchored = seq;
        else {
          const message = "it is not the manifest that the expected head names: the chain was replaced";
          findings.push(wrong("CHAIN_BROKEN", manifestKey(seq), seq, message));
        }
      }
      if (seq !== checkpoint?.sequence) return findings;
      if (sha256 !== checkpoint.manifestSha256) {
        const message = `it is not the manifest that ${CHECKPOINT_KEY} names`;
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
        const message = `it is at ${checkpoint.sequence}, but ${reach}: the newest were deleted`;
        findings.push(wrong("TAIL_MISSING", CHECKPOINT_KEY, checkpoint.sequence, message));
      }
      if (anchor !== undefined && anchor.seq > seq) {
        const message = `the expected head names it, but ${reach}: the newest were deleted`;
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
          wrong("STALE_TAIL", manifestKey(Math.max(seq, 1)), seq, `${age}: more than the allowed ${limit}`),
        );
      }
      const tail = anchored !== undefined ? "proven by anchor" : isFresh ? "fresh" : "not proven";
      return { findings, proof: { tail, anchored } };
    },
  };
}

/** The checkpoint, or the finding about it. A bad checkpoint is only a notice: the manifests decide. */
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
