import { epochMs, type Span } from "../time.ts";
import type { Outcome, Piece } from "./fetch-piece.ts";
import type { SpanLength } from "./span-length.ts";

export interface QueuedPiece extends Piece {
  /** Undefined until the piece is started. Until then it may still be cut. */
  result?: Promise<Outcome>;
  /** Bytes of records that are held for it. */
  bytes: number;
}

/** The pieces of the spans to read, oldest first. */
export interface PieceQueue {
  /** The oldest span that is not read to its end; undefined if there is none. */
  nextSpan(): Span | undefined;
  /** Says that the oldest span was read to its end. */
  endSpan(): void;
  /** The piece at a place, 0 for the oldest. Behind the last piece comes the next span as one; undefined after the last span. */
  at(place: number): QueuedPiece | undefined;
  /** Cuts a piece that is not started to the length that it should have now. Returns it: from now on it counts as started. */
  start(place: number): QueuedPiece;
  /** Replaces a started piece by one that is not, or by nothing. */
  replace(piece: QueuedPiece, by?: Piece): void;
}

export function pieceQueue(spans: Iterable<Span>, length: SpanLength): PieceQueue {
  const upcoming = spans[Symbol.iterator]();
  /** Spans that have pieces, or had some, and are not read to their end. */
  const open: Span[] = [];
  const pieces: QueuedPiece[] = [];
  /** The time of all pieces that are not started. */
  let unstartedMs = 0;

  function addNextSpan(): boolean {
    const next = upcoming.next();
    if (next.done === true) return false;
    open.push(next.value);
    pieces.push({ span: next.value, bytes: 0 });
    unstartedMs += lengthOf(next.value);
    return true;
  }

  return {
    nextSpan() {
      if (open.length === 0) addNextSpan();
      return open[0];
    },
    endSpan() {
      open.shift();
    },
    at(place) {
      if (place === pieces.length) addNextSpan();
      return pieces[place];
    },
    start(place) {
      const piece = pieces[place];
      if (piece === undefined) throw new Error(`read ahead: there is no piece ${place}`);
      while (unstartedMs < length.horizonMs && addNextSpan());
      const wantedMs = length.next(unstartedMs);
      const { from, to } = piece.span;
      unstartedMs -= to - from;
      // A last part of less than half the length is not worth a chain of pages of its own.
      if (from + wantedMs * 1.5 >= to) return piece;
      const middle = epochMs(from + wantedMs);
      const first: QueuedPiece = { span: { from, to: middle }, bytes: 0 };
      pieces.splice(place, 1, first, { span: { from: middle, to }, bytes: 0 });
      unstartedMs += to - middle;
      return first;
    },
    replace(piece, by) {
      pieces.splice(
        pieces.indexOf(piece),
        1,
        ...(by === undefined ? [] : [{ span: by.span, after: by.after, bytes: 0 }]),
      );
      if (by !== undefined) unstartedMs += lengthOf(by.span);
    },
  };
}

function lengthOf({ from, to }: Span): number {
  return to - from;
}
