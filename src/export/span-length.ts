import { SECOND_MS, type Span } from "../time.ts";

const MIB = 1024 * 1024;

/** What a span is cut for, by what the spans before it held: small enough to be held, long enough to be worth a chain of pages. */
const SPAN_PAGES = 24;
export const SPAN_BYTES = 2 * MIB;

/** A span with more than these is cut again. Pages count only where the source can be asked for less: in whole seconds. */
const SPAN_PAGES_MAX = 48;
const SPAN_BYTES_MAX = 8 * MIB;

/** At the end of what there is, spans get shorter, so that there is one for each who can fetch; but not less than this. */
const LEAST_PAGES = 2;

/** What was fetched of a span so far. */
export interface Seen {
  readonly span: Span;
  pages: number;
  /** Within the span. */
  events: number;
  bytes: number;
  /** The time of the earliest event; the span's end before there is one. */
  oldest: number;
}

/** How long spans should be, learnt from what they turn out to hold. */
export interface SpanLength {
  /** False until a page was seen: then a span is as long as can be, and it is better to fetch one at a time. */
  readonly isKnown: boolean;
  /** How much time should be at hand before the next span is cut, in milliseconds. */
  readonly horizonMs: number;
  /** For the next span, when so much time is left to cut, in milliseconds: whole seconds, unless it is less than one. */
  next(leftMs: number): number;
  /** To be told of each page. True when the span is too long, and should be cut: what was fetched of it is fetched again. */
  isTooLong(seen: Seen, pageEvents: number): boolean;
  /** To be told of each span that was fetched whole. */
  learn(seen: Seen): void;
}

export function spanLength(parallel: number): SpanLength {
  let lengthMs: number | undefined;
  /** How long a span must be to be worth its request. */
  let leastMs = 0;
  let eventsPerPage = 50;

  /** At most twice as long as what was seen: a quiet minute says nothing of the busy hour behind it. */
  function learn(seenMs: number, { events, bytes }: Seen, beforeMs = lengthMs ?? 0): void {
    const share = Math.max(events / (SPAN_PAGES * eventsPerPage), bytes / SPAN_BYTES);
    lengthMs = Math.min(seenMs / share, Math.max(2 * seenMs, beforeMs));
    leastMs = ((seenMs / share) * LEAST_PAGES) / SPAN_PAGES;
  }

  return {
    get isKnown() {
      return lengthMs !== undefined;
    },
    get horizonMs() {
      return lengthMs === undefined ? 0 : parallel * lengthMs;
    },

    next(leftMs) {
      if (lengthMs === undefined) return Infinity;
      const ms = Math.min(lengthMs, Math.max(leftMs / parallel, leastMs));
      return ms < SECOND_MS ? Math.max(Math.floor(ms), 1) : Math.floor(ms / SECOND_MS) * SECOND_MS;
    },

    isTooLong(seen, pageEvents) {
      const wholeMs = seen.span.to - seen.span.from;
      // Pages come newest first: as long as they are full, each tells how much there is, if it goes on like that.
      const seenMs = pageEvents < eventsPerPage ? wholeMs : Math.max(seen.span.to - seen.oldest, 1);
      eventsPerPage = Math.max(eventsPerPage, pageEvents);
      if (lengthMs === undefined) learn(seenMs, seen);
      const times = wholeMs / seenMs;
      const hasManyPages = seen.pages * times > SPAN_PAGES_MAX && wholeMs > SECOND_MS;
      if (!hasManyPages && seen.bytes * times <= SPAN_BYTES_MAX) return false;
      learn(seenMs, seen, Infinity);
      // A burst at its end must not make thousands of spans of its quiet part: it is cut in eight at most.
      lengthMs = Math.min(Math.max(lengthMs ?? 0, wholeMs / 8), wholeMs / 2);
      return true;
    },

    learn: (seen) => learn(seen.span.to - seen.span.from, seen),
  };
}
