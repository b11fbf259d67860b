import { idSet } from "../ledger/ids.ts";
import { DAY_MS, type EpochMs } from "../time.ts";
import { chainOf } from "./chain.ts";
import { listSequences } from "../ledger/head.ts";
import { strays, type Stray } from "./strays.ts";
import { links } from "./window.ts";
import type { ArchiveFinding } from "./finding.ts";
import type { Remover } from "../store.ts";
import type { Places, StrayKind } from "./places.ts";

export type Removers = Readonly<Record<StrayKind, Remover>>;

/** A race is over by then, and so is whatever reads the object that lost it. */
const MIN_AGE_MS = DAY_MS;

/** What was found of an archive's leftovers, and what was done. */
export type GcItem =
  | { readonly kind: "removed" | "removable" | "kept"; readonly stray: Stray; readonly reason: string }
  /** The chain does not hold: nothing is removed then. */
  | { readonly kind: "refused"; readonly finding: ArchiveFinding };

/**
 * Finds what two workers that raced have left: files at or below the head that no manifest names, a day old at least, whose
 * every line stands in an untouched object that a manifest names. Only these are removed, and only by `removers`.
 *
 * @param removers undefined: nothing is removed, only shown
 * @param firstSeq later than 1 where what came before has expired
 */
export async function* collectGarbage(
  places: Places,
  removers: Removers | undefined,
  { now, firstSeq }: { readonly now: EpochMs; readonly firstSeq: number },
  signal: AbortSignal,
): AsyncGenerator<GcItem> {
  const { seqs } = await listSequences(places.ledger, firstSeq - 1, signal);
  const chain = chainOf({ stream: places.stream, keys: [], firstSeq, expectPrev: firstSeq === 1 ? null : undefined });
  const named = idSet();
  let isRefused = false;
  for await (const { findings } of links(places, seqs, chain, named, signal)) {
    for (const finding of findings) {
      if (finding.level !== "error") continue;
      isRefused = true;
      yield { kind: "refused", finding };
    }
  }
  if (isRefused) return;
  for await (const stray of strays(places, chain, named, firstSeq, signal)) {
    const keep = reasonToKeep(stray, now);
    if (keep !== undefined) yield { kind: "kept", stray, reason: keep };
    else if (removers === undefined) yield { kind: "removable", stray, reason: "" };
    else {
      await removers[stray.kind](stray.key, signal);
      yield { kind: "removed", stray, reason: "" };
    }
  }
}

function reasonToKeep({ state, reason, modified }: Stray, now: EpochMs): string | undefined {
  if (state === "above") return "it lies above the newest manifest: a window may be under way";
  if (state === "unknown") return reason;
  return now - modified < MIN_AGE_MS ? "it is younger than a day" : undefined;
}
