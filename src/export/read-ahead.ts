import type { AuditEvent, Poison, Source } from "../source.ts";
import { SPAN_BYTES, spanLength, type Seen } from "./span-length.ts";
import { epochMs, type EpochMs, type Span } from "../time.ts";

const MIB = 1024 * 1024;

/** One instant cannot be cut: with more than this it is read several times, and a part of it kept each time. */
const INSTANT_BYTES_MAX = 32 * MIB;

/**
 * Records held for spans that are not the oldest, under way or waiting for their turn: two spans for each who fetches, up to
 * this. Beyond it, only the oldest goes on.
 */
const HELD_BYTES_MAX = 16 * MIB;

/** Spans without events hold nothing: so many are begun ahead of the oldest at most. */
const AHEAD_MAX = 256;

/** What became of a span, in order of time; events with the same instant in order of their ids. */
export interface Fetched {
  readonly events: readonly AuditEvent[];
  readonly poison: readonly Poison[];
}

/**
 * Reads spans of a source's time ahead of whoever consumes them. A cursor makes the pages of one span serial, so several
 * spans are fetched at once and handed over in order of time. What is handed over does not depend on how the time was
 * cut: two workers, or two tries, see the same events in the same order.
 *
 * At most about 16 MiB of records wait here; and what the oldest span has, which is 8 MiB, or 32 MiB where all of that is in
 * one instant (and its poison, if it has any). A burst is read in more spans, not in larger ones.
 */
export interface ReadAhead {
  /**
   * All that the source has for `span`, in order, with what lies outside of it left out. Meanwhile, and after, what lies
   * `ahead` is fetched: the spans that will be asked for next, oldest first. Asking for another span drops them.
   */
  read(span: Span, ahead: Iterable<Span>, signal: AbortSignal): AsyncGenerator<Fetched>;
  /** Drops what was fetched ahead and ends the requests under way. */
  close(): void;
}

/** A part of a span: the unit of fetching. */
interface Piece {
  readonly span: Span;
  /** Of one instant, only what comes after this: the rest was handed over before. */
  readonly after?: AuditEvent | undefined;
  /** Undefined until it is begun; until then it may still be cut. */
  result?: Promise<Outcome>;
  /** Of the records that are held for it. */
  bytes: number;
}

/** A span that was too dense is cut, and fetched again. `last` is where a part of one instant ends. */
type Outcome = (Fetched & { readonly last: AuditEvent | undefined }) | "cut";

export function readAhead(source: Source, parallel: number): ReadAhead {
  const length = spanLength(parallel);
  let running = 0;
  /** Oldest first, end to start. */
  let queue: Piece[] = [];
  /** The time of the pieces that are not begun, and the bytes of all that are. */
  let unbegunMs = 0;
  let heldBytes = 0;
  const heldBytesMax = Math.min(2 * parallel * SPAN_BYTES, HELD_BYTES_MAX);
  /** Those who wait until less is held. */
  let paused: (() => void)[] = [];
  /** Spans that were announced and not read to their end yet; and those not looked at. */
  let announced: Span[] = [];
  let upcoming: Iterator<Span> | undefined;
  let controller = new AbortController();

  function reset(): void {
    controller.abort(new DOMException("what was read ahead is dropped", "AbortError"));
    controller = new AbortController();
    resume();
    queue = [];
    announced = [];
    upcoming = undefined;
    running = unbegunMs = heldBytes = 0;
  }

  function announceNext(): boolean {
    const next = upcoming?.next();
    if (next === undefined || next.done === true) return false;
    announced.push(next.value);
    insert(queue.length, { span: next.value, bytes: 0 });
    return true;
  }

  function insert(index: number, ...pieces: Piece[]): void {
    queue.splice(index, 0, ...pieces);
    for (const { span } of pieces) unbegunMs += span.to - span.from;
  }

  /** Takes a piece out: what it holds is the reader's now, or dropped. */
  function release(index: number): void {
    for (const { bytes } of queue.splice(index, 1)) heldBytes -= bytes;
    resume();
  }

  function resume(): void {
    const waiting = paused;
    paused = [];
    for (const goOn of waiting) goOn();
  }

  /** Begins pieces, oldest first, up to `parallel` at once and as long as what is held allows; the oldest always. */
  function fill(): void {
    for (let index = 0; index === 0 || running < (length.isKnown ? parallel : 1); index++) {
      if (index > 0 && (heldBytes >= heldBytesMax || index > AHEAD_MAX)) return;
      if (index === queue.length && !announceNext()) return;
      if (queue[index]?.result === undefined) begin(cut(index));
    }
  }

  /** The first part of a piece, as long as a span should be now; what is left of it is put behind. */
  function cut(index: number): Piece {
    const [piece] = queue.splice(index, 1);
    if (piece === undefined) throw new Error("read ahead: there is nothing to cut");
    const { from, to } = piece.span;
    while (unbegunMs < length.horizonMs && announceNext());
    const wantedMs = length.next(unbegunMs);
    unbegunMs -= to - from;
    // A last part of less than half the length is not worth a chain of its own.
    if (from + wantedMs * 1.5 >= to) {
      queue.splice(index, 0, piece);
      return piece;
    }
    const middle = epochMs(from + wantedMs);
    const first: Piece = { span: { from, to: middle }, bytes: 0 };
    insert(index, { span: { from: middle, to }, bytes: 0 });
    queue.splice(index, 0, first);
    return first;
  }

  function begin(piece: Piece): void {
    const { signal } = controller;
    const settle = () => {
      if (signal.aborted) return;
      running--;
      fill();
    };
    running++;
    piece.result = fetchPiece(piece, signal);
    // A failure counts when its turn comes; until then it must not look unhandled.
    piece.result.then(settle, settle);
  }

  async function fetchPiece(piece: Piece, signal: AbortSignal): Promise<Outcome> {
    const { span, after } = piece;
    const isInstant = span.to - span.from === 1;
    const poison: Poison[] = [];
    const seen: Seen = { span, pages: 0, events: 0, bytes: 0, oldest: span.to };
    let events: AuditEvent[] = [];
    let last: AuditEvent | undefined;
    for await (const page of source.pages(span, signal)) {
      signal.throwIfAborted();
      const kept: AuditEvent[] = [];
      for (const event of page.events) {
        if (event.time < span.from || event.time >= span.to) continue;
        seen.oldest = Math.min(seen.oldest, event.time);
        if (after !== undefined && byTimeThenId(event, after) <= 0) continue;
        if (last !== undefined && byTimeThenId(event, last) > 0) continue;
        kept.push(event);
      }
      const isSparse = kept.length * 2 < page.events.length;
      for (const event of kept) events.push(isSparse ? copied(event) : event);
      // With the first part of an instant all of its poison was handed over.
      const aside = after === undefined ? page.poison : [];
      for (const item of aside) poison.push(item);
      seen.bytes += bytesOf(kept) + bytesOf(aside);
      seen.pages++;
      seen.events = events.length;
      hold(piece, seen.bytes);
      const wasKnown = length.isKnown;
      if (length.isTooLong(seen, page.events.length) && !isInstant) {
        const index = queue.indexOf(piece);
        release(index);
        insert(index, { span, bytes: 0 });
        return "cut";
      }
      if (!wasKnown) fill();
      if (isInstant && seen.bytes > INSTANT_BYTES_MAX) {
        events = events
          .sort(byTimeThenId)
          .slice(0, Math.ceil(events.length / 2))
          .map(copied);
        last = events.at(-1);
        seen.bytes = bytesOf(events) + bytesOf(poison);
        hold(piece, seen.bytes);
      }
      await room(piece, signal);
    }
    length.learn(seen);
    return { events: events.sort(byTimeThenId), poison, last };
  }

  function hold(piece: Piece, bytes: number): void {
    heldBytes += bytes - piece.bytes;
    piece.bytes = bytes;
  }

  /** Waits while more is held than may be. The oldest does not wait: all wait for it. */
  async function room(piece: Piece, signal: AbortSignal): Promise<void> {
    while (heldBytes >= heldBytesMax && queue[0] !== piece && !signal.aborted) {
      await new Promise<void>((goOn) => paused.push(goOn));
    }
    signal.throwIfAborted();
  }

  return {
    close: reset,

    async *read(span, ahead, signal) {
      if (announced.length === 0) announceNext();
      if (announced[0]?.from !== span.from || announced[0].to !== span.to) {
        reset();
        upcoming = chain(span, ahead);
        announceNext();
      }
      const abort = () => {
        controller.abort(signal.reason);
        resume();
      };
      signal.addEventListener("abort", abort, { once: true });
      let isWhole = false;
      try {
        for (let at: EpochMs = span.from; at < span.to;) {
          signal.throwIfAborted();
          fill();
          const [piece] = queue;
          const outcome = await piece?.result;
          if (piece === undefined || outcome === undefined) throw new Error("read ahead: nothing was fetched");
          if (outcome === "cut") continue;
          const { last, ...fetched } = outcome;
          release(0);
          if (last === undefined) at = piece.span.to;
          else insert(0, { span: piece.span, after: last, bytes: 0 });
          yield fetched;
        }
        announced.shift();
        isWhole = true;
      } finally {
        // What was handed over is gone: whoever asks for the span again must get it from its start.
        if (!isWhole) reset();
        signal.removeEventListener("abort", abort);
      }
    },
  };
}

function* chain(first: Span, others: Iterable<Span>): Generator<Span> {
  yield first;
  yield* others;
}

/** A record is a part of its page: by itself, so that the rest of the page need not be held for it. */
function copied(event: AuditEvent): AuditEvent {
  return { ...event, record: Buffer.from(event.record) };
}

function bytesOf(items: readonly { readonly record: Buffer }[]): number {
  return items.reduce((sum, { record }) => sum + record.length, 0);
}

function byTimeThenId(one: AuditEvent, other: AuditEvent): number {
  return one.time - other.time || (one.id < other.id ? -1 : one.id > other.id ? 1 : 0);
}
