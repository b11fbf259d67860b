import { ExporterError } from "../errors.ts";
import type { Observe } from "../fact.ts";
import { readLink } from "../ledger/head.ts";
import type { Store } from "../store.ts";
import { committedOf } from "../ledger/manifest.ts";
import type { Committed } from "../totals.ts";

/** A week of windows of five minutes, or a day of one minute. */
const MANIFESTS_MAX = 2100;
/** Beside the export, and fewer than the ten listeners of one signal at which Node warns. */
const READS_AT_ONCE = 8;

/** What the ledger says of the sequences from `first` to `last`, the newest ones where there are too many. */
export async function readPast(
  ledger: Store,
  stream: string,
  { first, last }: { readonly first: number; readonly last: number },
  signal: AbortSignal,
): Promise<Committed[]> {
  const from = Math.max(first, last - MANIFESTS_MAX + 1);
  const committed: Committed[] = [];
  for (let next = from; next <= last; next += READS_AT_ONCE) {
    const sequences = Array.from({ length: Math.min(READS_AT_ONCE, last - next + 1) }, (_, index) => next + index);
    const reads = sequences.map((sequence) => readLink(ledger, stream, sequence, signal));
    // All have ended, also where one failed: what comes next does not add to them.
    await Promise.allSettled(reads);
    const links = await Promise.all(reads);
    committed.push(...links.map(({ manifest }) => committedOf(manifest)));
  }
  return committed;
}

/**
 * Reads from the ledgers, beside the export, what this worker did not commit itself: what was before it, and what another
 * worker commits beside it. Told of all facts, it tells what it read as facts.
 */
export function pastReader(ledgers: ReadonlyMap<string, Store>, observe: Observe, signal: AbortSignal): Observe {
  const known = new Map<string, number>();
  // One stream after another, so that so many requests at once are all that there are, whatever the number of streams.
  let reading = Promise.resolve();

  function goOn(stream: string, upTo: number, isOurs: boolean): void {
    const before = known.get(stream) ?? 0;
    if (upTo <= before) return;
    known.set(stream, upTo);
    const [ledger, first, last] = [ledgers.get(stream), before + 1, isOurs ? upTo - 1 : upTo];
    if (ledger === undefined || first > last) return;
    reading = reading
      .then(() => readPast(ledger, stream, { first, last }, signal))
      .then(
        (committed) => observe({ kind: "past.read", stream, committed }),
        (error: unknown) => {
          // The status lacks it, the export does not: it goes by its own reading of the ledger.
          if (!signal.aborted && error instanceof ExporterError) observe({ kind: "past.failed", stream, error });
        },
      );
  }

  return (fact) => {
    if (fact.kind === "head.found") goOn(fact.stream, fact.sequence, false);
    else if (fact.kind === "window.committed") goOn(fact.stream, fact.sequence, true);
    else if (fact.kind === "tick.done") goOn(fact.stream, fact.head.sequence, false);
  };
}
