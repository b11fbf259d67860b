import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, type EpochMs, type Span } from "../time.ts";
import { randomOf, type Random } from "./random.ts";

export interface HistoryOptions {
  /** A whole number. Default 1. */
  readonly seed?: number | undefined;
  /** About how many on each day. Default 20,000. */
  readonly eventsPerDay?: number | undefined;
  /** All events of so many milliseconds share one instant, over as many pages as they fill. Default 1. */
  readonly tieMs?: number | undefined;
}

/** What two events are ordered by; a log has no other total order. */
export interface Position {
  readonly time: EpochMs;
  readonly id: string;
}

export function comparePositions(a: Position, b: Position): number {
  if (a.time !== b.time) return a.time - b.time;
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

/** A piece of time whose events are made at once. */
export interface Cell {
  readonly startMs: number;
  readonly lengthMs: number;
  /** How many events it has. */
  readonly count: number;
  readonly tieMs: number;
}

/** A log without beginning or end: a pure function of its options, so that any span always answers the same. */
export interface Timeline<Event extends Position> {
  /** The events of `span`, oldest first, those of one millisecond by id. */
  events(span: Span): Iterable<Event>;
  /** The same, newest first. */
  eventsBackwards(span: Span): Iterable<Event>;
  /** All events of each cell that `span` touches, oldest first. */
  cells(span: Span): Iterable<{ readonly startMs: number; readonly events: readonly Event[] }>;
}

export const DEFAULT_SEED = 1;
export const DEFAULT_EVENTS_PER_DAY = 20_000;

/** Share of a day's events in each hour of UTC, in thousandths: an office in Moscow. */
const RHYTHM = [6, 5, 5, 8, 18, 45, 80, 95, 100, 92, 75, 85, 92, 88, 75, 55, 30, 16, 10, 7, 5, 3, 3, 2];
const RHYTHM_MEAN = RHYTHM.reduce((sum, weight) => sum + weight, 0) / RHYTHM.length;

/** A cell is made at once. It is as long as keeps it near this many events, so that a page costs about a page. */
const CELL_EVENTS = 500;
const CELL_SIZES_MS = [HOUR_MS, 10 * MINUTE_MS, MINUTE_MS, 10 * SECOND_MS, SECOND_MS];

/** Made cells are kept up to this many events, about 40 MB. */
const KEPT_EVENTS_MAX = 30_000;

/**
 * A timeline is cheap to make, and asking it in the middle costs the span asked for.
 * @param firstStream the stream of random numbers of the cell at the epoch; each cell has its own
 * @param make the events of a cell, oldest first
 */
export function timelineOf<Event extends Position>(
  { seed = DEFAULT_SEED, eventsPerDay = DEFAULT_EVENTS_PER_DAY, tieMs = 1 }: HistoryOptions,
  firstStream: number,
  make: (random: Random, cell: Cell) => Event[],
): Timeline<Event> {
  const cellMs = CELL_SIZES_MS.find((size) => (eventsPerDay * size) / DAY_MS <= CELL_EVENTS) ?? SECOND_MS;
  const kept = new Map<number, readonly Event[]>();
  let keptEvents = 0;

  /** The events of one cell, oldest first. */
  function cell(index: number): readonly Event[] {
    const known = kept.get(index);
    if (known !== undefined) {
      // Deleted and set again it is the youngest: a Map keeps the order of insertion.
      kept.delete(index);
      kept.set(index, known);
      return known;
    }
    const random = randomOf(seed, firstStream + index);
    const startMs = index * cellMs;
    const made = make(random, { startMs, lengthMs: cellMs, count: countOf(random, startMs), tieMs });
    kept.set(index, made);
    keptEvents += made.length + 1;
    for (const [oldest, events] of kept) {
      if (keptEvents <= KEPT_EVENTS_MAX || oldest === index) break;
      kept.delete(oldest);
      keptEvents -= events.length + 1;
    }
    return made;
  }

  /** Between 0.85 and 1.15 of the mean, and the rest of a whole number by chance: on average the mean. */
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
