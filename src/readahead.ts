import type { AuditEvent, Page, Poison, Source } from "./source.ts";
import { epochMs, SECOND_MS, type EpochMs, type Span } from "./time.ts";

/** What a span is cut for, at the density seen so far: small enough to be held, long enough to be worth a chain of pages. */
const SPAN_PAGES = 24;
const SPAN_BYTES = 2 * 1024 * 1024;

/** A span with more pages or bytes than these is cut again, unless it is one second long. */
const SPAN_PAGES_MAX = 60;
const SPAN_BYTES_MAX = 8 * 1024 * 1024;

/** Bytes of fetched spans that wait for their turn; beyond them no further span is begun. */
const WAITING_BYTES_MAX = 32 * 1024 * 1024;

/** What became of a span, in order of time; events with the same instant in order of their ids. */
export interface Fetched {
  readonly events: readonly AuditEvent[];
  readonly poison: readonly Poison[];
}

/**
 * Reads spans of a source's time ahead of whoever consumes them. A cursor makes the pages of one span serial, so several
 * spans are fetched at once and handed over in order of time. What is handed over does not depend on how the time was
 * cut: two workers, or two tries, see the same events in the same order.
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
  /** Undefined until it is begun. */
  result?: Promise<Fetched | TooDense>;
  bytes: number;
}

/** A piece with more than it may hold, and the events a millisecond that were seen until then. */
interface TooDense {
  readonly density: number;
}

export function readAhead(source: Source, parallel: number): ReadAhead {
  /** Events a millisecond, as last seen; undefined until something was, and then one piece is fetched at a time. */
  let density: number | undefined;
  let eventsPerPage = 50;
  let bytesPerEvent = 500;
  let running = 0;
  /** Oldest first, end to start. */
  let queue: Piece[] = [];
  /** Spans that were announced and not asked for yet, as far as they were looked at; and those not looked at. */
  let announced: Span[] = [];
  let upcoming: Iterator<Span> | undefined;
  /** What is left to cut of the last of the announced. */
  let rest: Span | undefined;
  let controller = new AbortController();

  function reset(): void {
    controller.abort(new DOMException("what was read ahead is dropped", "AbortError"));
    controller = new AbortController();
    queue = [];
    announced = [];
    upcoming = rest = undefined;
    running = 0;
  }

  function announceNext(): void {
    const next = upcoming?.next();
    if (next === undefined || next.done === true) return;
    announced.push(next.value);
    rest = next.value;
  }

  /** The next piece of the announced time. */
  function nextPiece(): Piece | undefined {
    if (rest === undefined) announceNext();
    if (rest === undefined) return undefined;
    const [span, remainder] = cut(rest);
    rest = remainder;
    return { span, bytes: 0 };
  }

  /** The first part of a span, as long as a few dozen pages at the density seen so far, and what is left of it. */
  function cut({ from, to }: Span, longestMs = Infinity): [Span, Span | undefined] {
    const events = Math.min(SPAN_PAGES * eventsPerPage, SPAN_BYTES / bytesPerEvent);
    const wantedMs = density === undefined || density === 0 ? Infinity : events / density;
    const lengthMs = Math.max(Math.floor(Math.min(wantedMs, longestMs) / SECOND_MS), 1) * SECOND_MS;
    // A last part of less than half the length is not worth a chain of its own.
    if (from + Math.min(lengthMs * 1.5, longestMs) >= to) return [{ from, to }, undefined];
    const middle = epochMs(from + lengthMs);
    return [
      { from, to: middle },
      { from: middle, to },
    ];
  }

  /** A piece that was too dense is cut again, at least in two; all behind it goes on. */
  function cutAgain({ span }: Piece): void {
    const pieces: Piece[] = [];
    for (let left: Span | undefined = span; left !== undefined;) {
      const [part, remainder] = cut(left, (span.to - span.from) / 2);
      pieces.push({ span: part, bytes: 0 });
      left = remainder;
    }
    queue.splice(0, 1, ...pieces);
  }

  /** Begins pieces, oldest first, up to `parallel` at once and as long as what waits fits; the oldest always. */
  function fill(): void {
    const atOnce = density === undefined ? 1 : parallel;
    for (let index = 0; running < atOnce || index === 0; index++) {
      const waitingBytes = queue.reduce((sum, { bytes }) => sum + bytes, 0);
      if (index > 0 && waitingBytes > WAITING_BYTES_MAX) return;
      const piece = queue[index] ?? nextPiece();
      if (piece === undefined) return;
      if (index === queue.length) queue.push(piece);
      if (piece.result === undefined) begin(piece);
    }
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

  async function fetchPiece(piece: Piece, signal: AbortSignal): Promise<Fetched | TooDense> {
    const { from, to } = piece.span;
    const events: AuditEvent[] = [];
    const poison: Poison[] = [];
    let pages = 0;
    let oldest: number = to;
    for await (const page of source.pages(piece.span, signal)) {
      pages++;
      piece.bytes += bytesOf(page);
      eventsPerPage = Math.max(eventsPerPage, page.events.length);
      for (const event of page.events) {
        if (event.time < from || event.time >= to) continue;
        events.push(event);
        oldest = Math.min(oldest, event.time);
      }
      poison.push(...page.poison);
      if ((pages > SPAN_PAGES_MAX || piece.bytes > SPAN_BYTES_MAX) && to - from > SECOND_MS) {
        return { density: events.length / Math.max(to - oldest, 1) };
      }
    }
    density = events.length / (to - from);
    if (events.length > 0) bytesPerEvent = piece.bytes / events.length;
    return { events: events.sort(byTimeThenId), poison };
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
      const abort = () => controller.abort(signal.reason);
      signal.addEventListener("abort", abort, { once: true });
      try {
        for (let at: EpochMs = span.from; at < span.to;) {
          signal.throwIfAborted();
          fill();
          const [piece] = queue;
          const fetched = await piece?.result;
          if (piece === undefined || fetched === undefined) throw new Error("read ahead: nothing was fetched");
          if ("density" in fetched) {
            density = fetched.density;
            cutAgain(piece);
            continue;
          }
          queue.shift();
          at = piece.span.to;
          yield fetched;
        }
        announced.shift();
      } finally {
        signal.removeEventListener("abort", abort);
      }
    },
  };
}

function* chain(first: Span, others: Iterable<Span>): Generator<Span> {
  yield first;
  yield* others;
}

function bytesOf({ events, poison }: Page): number {
  let bytes = 0;
  for (const { record } of events) bytes += record.length;
  for (const { record } of poison) bytes += record.length;
  return bytes;
}

function byTimeThenId(one: AuditEvent, other: AuditEvent): number {
  return one.time - other.time || (one.id < other.id ? -1 : one.id > other.id ? 1 : 0);
}
