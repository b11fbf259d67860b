import { SECOND_MS, type Span } from "../time.ts";

const MIB = 1024 * 1024;

/** A span is cut to hold about so much, judging by the spans before it: little enough to be held, enough to be worth a chain of pages. */
const SPAN_PAGES = 24;
export const SPAN_BYTES = 2 * MIB;

/** A span with more than this is cut again. Pages count only if the span can be shorter: sources are asked in whole seconds. */
const SPAN_PAGES_MAX = 48;
const SPAN_BYTES_MAX = 8 * MIB;

/** Near the end of the time to fetch, spans get shorter, so that there is one for each parallel fetch; but not shorter than this. */
const LEAST_PAGES = 2;

/** What has been fetched of a span so far. */
export interface Seen {
  readonly span: Span;
  pages: number;
  /** Within the span. */
  events: number;
  bytes: number;
  /** The time of the earliest event; the span's end before there is one. */
  oldest: number;
}

/** How long spans should be, learned from what they turn out to hold. */
export interface SpanLength {
  /** False until a page was seen. Until then a span is as long as possible, and it is better to fetch one at a time. */
  readonly isKnown: boolean;
  /** How much time should be available to cut from before the next span is cut, in milliseconds. */
  readonly horizonMs: number;
  /** The length of the next span if `leftMs` are left to cut, in milliseconds: whole seconds, unless it is less than one. */
  next(leftMs: number): number;
  /** Must be called for each page. True if the span is too long and should be cut: what was fetched of it is fetched again. */
  isTooLong(seen: Seen, pageEvents: number): boolean;
  /** Must be called for each span that was fetched whole. */
  learn(seen: Seen): void;
}

export function spanLength(parallel: number): SpanLength {
  let lengthMs: number | undefined;
  /** How long a span must at least be to be worth its request. */
  let leastMs = 0;
  let eventsPerPage = 50;

  /** At most twice as long as what was seen: a quiet minute says nothing about the busy hour after it. */
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
      // Pages come newest first. As long as they are full, the time they cover gives the density, and so the size of the span.
      const seenMs = pageEvents < eventsPerPage ? wholeMs : Math.max(seen.span.to - seen.oldest, 1);
      eventsPerPage = Math.max(eventsPerPage, pageEvents);
      if (lengthMs === undefined) learn(seenMs, seen);
      const times = wholeMs / seenMs;
      const hasManyPages = seen.pages * times > SPAN_PAGES_MAX && wholeMs > SECOND_MS;
      if (!hasManyPages && seen.bytes * times <= SPAN_BYTES_MAX) return false;
      learn(seenMs, seen, Infinity);
      // A burst at its end must not cut its quiet part into thousands of spans: it is cut into eight at most.
      lengthMs = Math.min(Math.max(lengthMs ?? 0, wholeMs / 8), wholeMs / 2);
      return true;
    },

    learn: (seen) => learn(seen.span.to - seen.span.from, seen),
  };
}
