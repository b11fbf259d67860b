import { listSequences } from "../ledger/head.ts";
import { idSet } from "../ledger/ids.ts";
import { DAY_MS, type EpochMs } from "../time.ts";
import { chainOf } from "./chain.ts";
import { unreferencedFiles, type UnreferencedFile } from "./unreferenced.ts";
import { links } from "./window.ts";
import type { ArchiveFinding } from "./finding.ts";
import type { Remover } from "../store.ts";
import type { FileKind, Places } from "./places.ts";

export type Removers = Readonly<Record<FileKind, Remover>>;

/** After this, no worker is still writing the window, and no reader still reads its redundant objects. */
const MIN_AGE_MS = DAY_MS;

/** An unreferenced file, and what was done with it. */
export type GcItem =
  | { readonly kind: "removed" | "removable" | "kept"; readonly file: UnreferencedFile; readonly reason: string }
  /** The chain of manifests is broken: nothing is removed. */
  | { readonly kind: "refused"; readonly finding: ArchiveFinding };

/**
 * Finds the unreferenced files that concurrent workers left. Removed are only files that no manifest names, not above the head, at
 * least a day old, each line of which is also in an intact object that a manifest names.
 *
 * @param removers undefined: nothing is removed
 * @param firstSeq later than 1 when earlier manifests have expired
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
  for await (const file of unreferencedFiles(places, chain, named, firstSeq, signal)) {
    const keep = reasonToKeep(file, now);
    if (keep !== undefined) yield { kind: "kept", file, reason: keep };
    else if (removers === undefined) yield { kind: "removable", file, reason: "" };
    else {
      await removers[file.kind](file.key, signal);
      yield { kind: "removed", file, reason: "" };
    }
  }
}

function reasonToKeep({ state, reason, modified }: UnreferencedFile, now: EpochMs): string | undefined {
  if (state === "above head") return "it is above the newest manifest: its window may be in progress";
  if (state === "unknown") return reason;
  return now - modified < MIN_AGE_MS ? "it is less than a day old" : undefined;
}
