import type { EpochMs } from "../time.ts";

/** What can be wrong with an archive. Stable: programs depend on these codes. */
export type WrongCode =
  | "OBJECT_MISSING"
  | "OBJECT_ALTERED"
  | "OBJECT_TRAILING_BYTES"
  | "OBJECT_TIMES"
  | "WINDOW_MISSING"
  | "HEAD_MISSING"
  | "MANIFEST_UNREADABLE"
  | "MANIFEST_MOVED"
  | "CHAIN_BROKEN"
  | "TIME_GAP"
  | "TIME_OVERLAP"
  | "COUNT_WRONG"
  | "IDS_MISSING"
  | "IDS_ALTERED"
  | "QUARANTINE_MISSING"
  | "QUARANTINE_ALTERED"
  | "SIG_BAD"
  | "SIG_MISSING"
  | "SIG_UNKNOWN_KEY"
  | "TAIL_MISSING"
  | "STALE_TAIL"
  | "UNREFERENCED_OBJECT"
  | "DUPLICATE_EVENT";

/** What is worth knowing but not wrong. */
export type NoticeCode = "IN_FLIGHT" | "ORPHAN" | "GAP" | "CHECKPOINT_STALE" | "FINGERPRINT_CHANGED";

/** Something that was found in an archive. */
export type ArchiveFinding = {
  /** The file: `data/…` and `quarantine/…` are in the stream's folder, all others in its ledger. */
  readonly key: string;
  readonly seq: number | undefined;
  /** One sentence, without the key. */
  readonly message: string;
} & ({ readonly level: "error"; readonly code: WrongCode } | { readonly level: "notice"; readonly code: NoticeCode });

export function wrong(code: WrongCode, key: string, seq: number | undefined, message: string): ArchiveFinding {
  return { level: "error", code, key, seq, message };
}

export function notice(code: NoticeCode, key: string, seq: number | undefined, message: string): ArchiveFinding {
  return { level: "notice", code, key, seq, message };
}

/** How far a verification has come. */
export interface VerifyProgress {
  readonly kind: "progress";
  /** From the first window to the last, as far as the two can be read. */
  readonly from: EpochMs;
  readonly to: EpochMs;
  readonly until: EpochMs;
  readonly events: number;
}
