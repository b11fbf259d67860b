import { ExporterError } from "../errors.ts";
import type { Observe } from "../fact.ts";
import { readLink } from "../ledger/head.ts";
import { mapInOrder } from "../ledger/map-in-order.ts";
import type { Store } from "../store.ts";
import { committedOf } from "../ledger/manifest.ts";
import type { Committed } from "../totals.ts";

/** A week of five-minute windows, or about a day and a half of one-minute windows. */
const WINDOWS_MAX = 2100;
/** Less than ten, the number of listeners on one signal at which Node warns: the export adds some of its own. */
const CONCURRENT_READS = 8;

/**
 * Reads the windows with the sequences from `first` to `last` from the ledger: at most the newest 2,100.
 * @throws ExporterError when a manifest cannot be read
 */
export async function readWindows(
  ledger: Store,
  stream: string,
  { first, last }: { readonly first: number; readonly last: number },
  signal: AbortSignal,
): Promise<Committed[]> {
  const from = Math.max(first, last - WINDOWS_MAX + 1);
  const sequences = Array.from({ length: Math.max(0, last - from + 1) }, (_, index) => from + index);
  const read = (sequence: number) => readLink(ledger, stream, sequence, signal);
  const committed: Committed[] = [];
  for await (const { manifest } of mapInOrder(sequences, read, { atOnce: CONCURRENT_READS })) {
    committed.push(committedOf(manifest));
  }
  return committed;
}

/**
 * Reads the windows that this worker did not commit from the ledgers, in parallel with the export: those from before its
 * start, and those of another worker.
 *
 * @param ledgers the ledger of each stream
 * @param observe gets `past.read` and `past.failed`
 * @returns observes all facts, to learn which sequences exist
 */
export function ledgerHistory(ledgers: ReadonlyMap<string, Store>, observe: Observe, signal: AbortSignal): Observe {
  const known = new Map<string, number>();
  // One stream after another, so that the limit on concurrent reads holds for all streams together.
  let reading = Promise.resolve();

  function readUpTo(stream: string, sequence: number, isOurs: boolean): void {
    const before = known.get(stream) ?? 0;
    if (sequence <= before) return;
    known.set(stream, sequence);
    const [ledger, first, last] = [ledgers.get(stream), before + 1, isOurs ? sequence - 1 : sequence];
    if (ledger === undefined || first > last) return;
    reading = reading
      .then(() => readWindows(ledger, stream, { first, last }, signal))
      .then(
        (committed) => observe({ kind: "past.read", stream, committed }),
        (error: unknown) => {
          // Only the status depends on it: the export reads the ledger for itself.
          if (!signal.aborted && error instanceof ExporterError) observe({ kind: "past.failed", stream, error });
        },
      );
  }

  return (fact) => {
    if (fact.kind === "head.found") readUpTo(fact.stream, fact.sequence, false);
    else if (fact.kind === "window.committed") readUpTo(fact.stream, fact.sequence, true);
    else if (fact.kind === "tick.done") readUpTo(fact.stream, fact.head.sequence, false);
  };
}
