import type { Source } from "../source.ts";
import type { EpochMs, Span } from "../time.ts";
import { fetchPiece, type Fetched, type Outcome, type Piece } from "./fetch-piece.ts";
import { pieceQueue, type QueuedPiece } from "./piece-queue.ts";
import { SPAN_BYTES, spanLength, type SpanLength } from "./span-length.ts";

const MIB = 1024 * 1024;

/**
 * Limit of the records held for pieces that are not the oldest, while they are fetched or wait for their turn: two spans for
 * each parallel fetch, up to this. Beyond it only the oldest piece continues.
 */
const HELD_BYTES_MAX = 16 * MIB;

/** Pieces without events hold nothing: so many at most are started ahead of the oldest. */
const AHEAD_MAX = 256;

/**
 * Reads spans of a source's time ahead of the consumer. A cursor makes the pages of one span serial, so several pieces of time
 * are fetched at once and handed over in order. The result does not depend on how the time was cut: two workers, or two
 * attempts, see the same events in the same order.
 *
 * At most about 16 MiB of records wait here, and what the oldest piece has: 8 MiB, or 32 MiB if all of it is in one instant (and
 * its poison, if it has any). A burst is read in more pieces, not in larger ones.
 */
export interface ReadAhead {
  /**
   * All that the source has for `span`, in order, without anything outside of it. At the same time, and afterwards, the spans of
   * `ahead` are fetched: those that will be read next, oldest first. Reading another span drops them.
   */
  read(span: Span, ahead: Iterable<Span>, signal: AbortSignal): AsyncGenerator<Fetched>;
  /** Drops what was fetched ahead and ends the requests under way. */
  close(): void;
}

export function readAhead(source: Source, parallel: number): ReadAhead {
  const length = spanLength(parallel);
  let fetching: ParallelFetch | undefined;

  function close(): void {
    fetching?.stop(new DOMException("what was read ahead is dropped", "AbortError"));
    fetching = undefined;
  }

  function fetchFrom(span: Span, ahead: Iterable<Span>): ParallelFetch {
    const next = fetching?.nextSpan();
    if (fetching !== undefined && next?.from === span.from && next.to === span.to) return fetching;
    close();
    return (fetching = parallelFetch(source, chain(span, ahead), length, parallel));
  }

  return {
    close,

    async *read(span, ahead, signal) {
      const current = fetchFrom(span, ahead);
      const abort = () => current.stop(signal.reason);
      signal.addEventListener("abort", abort, { once: true });
      let isWhole = false;
      try {
        for (let at: EpochMs = span.from; at < span.to;) {
          signal.throwIfAborted();
          const { until, fetched } = await current.next();
          at = until;
          yield fetched;
        }
        current.endSpan();
        isWhole = true;
      } finally {
        // What was handed over is gone: if the span is read again, it must come from its start.
        if (!isWhole) close();
        signal.removeEventListener("abort", abort);
      }
    },
  };
}

/** Fetches pieces in parallel, oldest first. Lives until the spans end, or until what it has is dropped. */
interface ParallelFetch {
  /** The oldest span that is not read to its end; undefined after the last. */
  nextSpan(): Span | undefined;
  /** Says that the oldest span was read to its end. */
  endSpan(): void;
  /** The result for the oldest piece. `until`: all before this instant has been handed over. */
  next(): Promise<{ readonly until: EpochMs; readonly fetched: Fetched }>;
  /** Ends the requests under way, with this reason. */
  stop(reason: unknown): void;
}

function parallelFetch(source: Source, spans: Iterable<Span>, length: SpanLength, parallel: number): ParallelFetch {
  const queue = pieceQueue(spans, length);
  const budget = byteBudget(Math.min(2 * parallel * SPAN_BYTES, HELD_BYTES_MAX));
  const controller = new AbortController();
  const { signal } = controller;
  let running = 0;

  /** Starts pieces, oldest first: the oldest always, the others while fewer than `parallel` run and the budget allows. */
  function startPieces(): void {
    for (let place = 0; place === 0 || running < (length.isKnown ? parallel : 1); place++) {
      if (place > 0 && (budget.isUsedUp() || place > AHEAD_MAX)) return;
      const piece = queue.at(place);
      if (piece === undefined) return;
      if (piece.result === undefined) start(queue.start(place));
    }
  }

  function start(piece: QueuedPiece): void {
    const settle = () => {
      running--;
      if (!signal.aborted) startPieces();
    };
    running++;
    piece.result = fetchOne(piece);
    // A failure is thrown when the piece's turn comes. Until then it must not look unhandled.
    piece.result.then(settle, settle);
  }

  async function fetchOne(piece: QueuedPiece): Promise<Outcome> {
    let wasKnown = length.isKnown;
    const onPage = async (bytes: number): Promise<void> => {
      budget.hold(piece, bytes);
      if (!wasKnown) startPieces();
      wasKnown = true;
      // The oldest piece does not wait: all others wait for it.
      while (budget.isUsedUp() && queue.at(0) !== piece && !signal.aborted) await budget.change();
      signal.throwIfAborted();
    };
    const outcome = await fetchPiece(source, piece, length, onPage, signal);
    if (outcome === "too long") handOver(piece, piece);
    return outcome;
  }

  /** Takes a piece out of the queue and gives back what is held for it. `rest` is to be fetched in its place. */
  function handOver(piece: QueuedPiece, rest?: Piece): void {
    queue.replace(piece, rest);
    budget.release(piece);
  }

  return {
    nextSpan: () => queue.nextSpan(),
    endSpan: () => queue.endSpan(),
    async next() {
      for (;;) {
        signal.throwIfAborted();
        startPieces();
        const piece = queue.at(0);
        const outcome = await piece?.result;
        if (piece === undefined || outcome === undefined) throw new Error("read ahead: nothing was fetched");
        if (outcome === "too long") continue;
        const { last, ...fetched } = outcome;
        const { span } = piece;
        handOver(piece, last && { span, after: last });
        return { until: last === undefined ? span.to : span.from, fetched };
      }
    },
    stop(reason) {
      controller.abort(reason);
      budget.wake();
    },
  };
}

/** A limit of the bytes that are held. */
interface ByteBudget {
  isUsedUp(): boolean;
  /** Says how much is held for a holder now. */
  hold(holder: { bytes: number }, bytes: number): void;
  /** Gives back all that is held for a holder. */
  release(holder: { bytes: number }): void;
  /** Resolves when something was given back, or at `wake`. */
  change(): Promise<void>;
  wake(): void;
}

function byteBudget(maxBytes: number): ByteBudget {
  let heldBytes = 0;
  let waiting: (() => void)[] = [];

  function hold(holder: { bytes: number }, bytes: number): void {
    heldBytes += bytes - holder.bytes;
    holder.bytes = bytes;
  }

  function wake(): void {
    const woken = waiting;
    waiting = [];
    for (const resolve of woken) resolve();
  }

  return {
    isUsedUp: () => heldBytes >= maxBytes,
    hold,
    release(holder) {
      hold(holder, 0);
      wake();
    },
    change: () => new Promise((resolve) => waiting.push(resolve)),
    wake,
  };
}

function* chain(first: Span, others: Iterable<Span>): Generator<Span> {
  yield first;
  yield* others;
}
