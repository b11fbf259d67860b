import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, type EpochMs, type Span } from "../time.ts";
import { randomOf, type Random } from "./random.ts";

export interface HistoryOptions {
  /** An integer. Default 1. */
  readonly seed?: number | undefined;
  /** The approximate number of events a day. Default 20,000. */
  readonly eventsPerDay?: number | undefined;
  /** All events within this time have the same instant, even when they fill several pages. Default 1. */
  readonly tieMs?: number | undefined;
}

/** Events are ordered by time, then by id. */
export interface Position {
  readonly time: EpochMs;
  readonly id: string;
}

export function comparePositions(a: Position, b: Position): number {
  if (a.time !== b.time) return a.time - b.time;
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

/** A piece of time whose events are generated together. */
export interface Cell {
  readonly startMs: number;
  readonly lengthMs: number;
  /** The number of its events. */
  readonly count: number;
  readonly tieMs: number;
}

/** A log without beginning or end: a pure function of its options, so a span always has the same events. */
export interface Timeline<Event extends Position> {
  /** The events of `span`, oldest first; events of the same millisecond by id. */
  events(span: Span): Iterable<Event>;
  /** The same, newest first. */
  eventsBackwards(span: Span): Iterable<Event>;
  /** All events of each cell that overlaps `span`, oldest first. */
  cells(span: Span): Iterable<{ readonly startMs: number; readonly events: readonly Event[] }>;
}

export const DEFAULT_SEED = 1;
export const DEFAULT_EVENTS_PER_DAY = 20_000;

/** Share of a day's events in each hour of UTC, in thousandths: an office in Moscow. */
const RHYTHM = [6, 5, 5, 8, 18, 45, 80, 95, 100, 92, 75, 85, 92, 88, 75, 55, 30, 16, 10, 7, 5, 3, 3, 2];
const RHYTHM_MEAN = RHYTHM.reduce((sum, weight) => sum + weight, 0) / RHYTHM.length;

/** A cell is as long as gives it about this many events, so that generating a page costs about a page. */
const CELL_EVENTS = 500;
const CELL_SIZES_MS = [HOUR_MS, 10 * MINUTE_MS, MINUTE_MS, 10 * SECOND_MS, SECOND_MS];

/** Generated cells are cached up to this many events, about 40 MB. */
const CACHED_EVENTS_MAX = 30_000;

/**
 * A timeline is cheap to create, and reading a span costs only that span.
 * @param firstStream the stream of random numbers of the cell at the epoch; each cell has its own stream
 * @param make generates the events of a cell, oldest first
 */
export function timelineOf<Event extends Position>(
  { seed = DEFAULT_SEED, eventsPerDay = DEFAULT_EVENTS_PER_DAY, tieMs = 1 }: HistoryOptions,
  firstStream: number,
  make: (random: Random, cell: Cell) => Event[],
): Timeline<Event> {
  const cellMs = CELL_SIZES_MS.find((size) => (eventsPerDay * size) / DAY_MS <= CELL_EVENTS) ?? SECOND_MS;
  const cache = new Map<number, readonly Event[]>();
  let cachedEvents = 0;

  /** The events of one cell, oldest first. */
  function cell(index: number): readonly Event[] {
    const known = cache.get(index);
    if (known !== undefined) {
      // A Map keeps the order of insertion: deleted and set again, the entry becomes the newest.
      cache.delete(index);
      cache.set(index, known);
      return known;
    }
    const random = randomOf(seed, firstStream + index);
    const startMs = index * cellMs;
    const made = make(random, { startMs, lengthMs: cellMs, count: countOf(random, startMs), tieMs });
    cache.set(index, made);
    cachedEvents += made.length + 1;
    for (const [oldest, events] of cache) {
      if (cachedEvents <= CACHED_EVENTS_MAX || oldest === index) break;
      cache.delete(oldest);
      cachedEvents -= events.length + 1;
    }
    return made;
  }

  /** A random number between 0.85 and 1.15 of the mean, rounded up or down at random, so that its average is the mean. */
  function countOf(random: Random, startMs: number): number {
    const hour = Math.floor((((startMs % DAY_MS) + DAY_MS) % DAY_MS) / HOUR_MS);
    const mean = (eventsPerDay * cellMs * (RHYTHM[hour] ?? 0)) / RHYTHM_MEAN / DAY_MS;
    return Math.floor(mean * (0.85 + 0.3 * random.share()) + random.share());
  }

  return {
    *events({ from, to }) {
      for (let index = Math.floor(from / cellMs); index * cellMs < to; index++) {
        for (const event of cell(index)) {
          if (event.time >= from && event.time < to) yield event;
        }
      }
    },
    *eventsBackwards({ from, to }) {
      for (let index = Math.ceil(to / cellMs) - 1; (index + 1) * cellMs > from; index--) {
        const events = cell(index);
        for (let place = events.length - 1; place >= 0; place--) {
          const event = events[place] as Event;
          if (event.time >= from && event.time < to) yield event;
        }
      }
    },
    *cells({ from, to }) {
      for (let index = Math.floor(from / cellMs); index * cellMs < to; index++) {
        yield { startMs: index * cellMs, events: cell(index) };
      }
    },
  };
}

/** A share of the events becomes visible late, by at most this many seconds. */
export interface Lateness {
  readonly share: number;
  readonly maxSeconds: number;
}

/** Whether the event is visible at `now`. The first 6 and the last 8 characters of its id have to be random hexadecimal digits. */
export function isVisible(event: Position, lateness: Lateness | undefined, now: EpochMs): boolean {
  if (lateness === undefined || event.time < now - lateness.maxSeconds * SECOND_MS) return true;
  // Decided by the id, so that an event is equally late in every answer.
  const isLate = Number.parseInt(event.id.slice(0, 6), 16) / 2 ** 24 < lateness.share;
  const delay = (Number.parseInt(event.id.slice(-8, -2), 16) / 2 ** 24) * lateness.maxSeconds * SECOND_MS;
  return !isLate || event.time + delay <= now;
}
