import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, epochMs, type EpochMs, type Span } from "../time.ts";
import { pickKind } from "./catalogue.ts";
import { USER_AGENTS, address, bot, person } from "./organisation.ts";
import { randomOf, type Random } from "./random.ts";

/** One event: what the log is ordered and filtered by, and its JSON in compact form. */
export interface HistoryEvent {
  readonly time: EpochMs;
  readonly id: string;
  readonly key: string;
  readonly actorId: string;
  readonly actorType: string;
  readonly entityId: string;
  readonly entityType: string;
  /** The exact bytes that the API sends. */
  readonly record: Buffer;
}

export interface HistoryOptions {
  /** A whole number. Default 1. */
  readonly seed?: number | undefined;
  /** About how many on each day. Default 20,000. */
  readonly eventsPerDay?: number | undefined;
  /** All events of so many milliseconds share one instant, over as many pages as they fill. Default 1. */
  readonly tieMs?: number | undefined;
}

/** A log without beginning or end: a pure function of its options, so that any span always answers the same. */
export interface History {
  /** The events of `span`, oldest first, those of one millisecond by id. */
  events(span: Span): Iterable<HistoryEvent>;
  /** The same, newest first. */
  eventsBackwards(span: Span): Iterable<HistoryEvent>;
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

/** One in so many events shares the millisecond of the one before it. */
const TIES = 24;
/** One in so many events falls on a whole second, and the first of one in so many cells on the cell's start: on bounds. */
const WHOLE_SECONDS = 40;
const CELL_STARTS = 4;
/** One in so many events has members that no contract names. */
const EXTRA_MEMBERS = 50;

/** A history is cheap to make, and asking it in the middle costs the span asked for. */
export function historyOf({
  seed = DEFAULT_SEED,
  eventsPerDay = DEFAULT_EVENTS_PER_DAY,
  tieMs = 1,
}: HistoryOptions = {}): History {
  const cellMs = CELL_SIZES_MS.find((size) => (eventsPerDay * size) / DAY_MS <= CELL_EVENTS) ?? SECOND_MS;
  const kept = new Map<number, readonly HistoryEvent[]>();
  let keptEvents = 0;

  /** The events of one cell, oldest first. */
  function cell(index: number): readonly HistoryEvent[] {
    const known = kept.get(index);
    if (known !== undefined) {
      // Deleted and set again it is the youngest: a Map keeps the order of insertion.
      kept.delete(index);
      kept.set(index, known);
      return known;
    }
    const made = makeCell(randomOf(seed, index), index * cellMs, cellMs, eventsPerDay, tieMs);
    kept.set(index, made);
    keptEvents += made.length + 1;
    for (const [oldest, events] of kept) {
      if (keptEvents <= KEPT_EVENTS_MAX || oldest === index) break;
      kept.delete(oldest);
      keptEvents -= events.length + 1;
    }
    return made;
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
          const event = events[place] as HistoryEvent;
          if (event.time >= from && event.time < to) yield event;
        }
      }
    },
  };
}

/** What two events are ordered by; the log has no other total order. */
export interface Position {
  readonly time: EpochMs;
  readonly id: string;
}

export function comparePositions(a: Position, b: Position): number {
  if (a.time !== b.time) return a.time - b.time;
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

function makeCell(
  random: Random,
  startMs: number,
  cellMs: number,
  eventsPerDay: number,
  tieMs: number,
): HistoryEvent[] {
  const hour = Math.floor((((startMs % DAY_MS) + DAY_MS) % DAY_MS) / HOUR_MS);
  const mean = (eventsPerDay * cellMs * (RHYTHM[hour] ?? 0)) / RHYTHM_MEAN / DAY_MS;
  // Between 0.85 and 1.15 of the mean, and the rest of a whole number by chance: on average the mean.
  const count = Math.floor(mean * (0.85 + 0.3 * random.share()) + random.share());
  const positions: Position[] = [];
  let last = startMs;
  for (let number = 0; number < count; number++) {
    let time = startMs + random.below(cellMs);
    const dice = random.share();
    if (number === 0 && dice * CELL_STARTS < 1) time = startMs;
    else if (dice * TIES < 1) time = last;
    else if ((1 - dice) * WHOLE_SECONDS < 1) time -= time % SECOND_MS;
    time -= (time - startMs) % tieMs;
    positions.push({ time: epochMs(time), id: random.uuid() });
    last = time;
  }
  return positions.sort(comparePositions).map((position) => makeEvent(random, position));
}

function makeEvent(random: Random, { time, id }: Position): HistoryEvent {
  const kind = pickKind(random);
  const entityId = String(kind.entityId(random));
  const details = kind.details(random);
  // Nobody logs in for somebody else; all that has an initiator or attributes may be done to others.
  const actorId = kind.entityType === "User" && details === "{}" ? entityId : String(actor(random));
  const from = kind.serverSide
    ? '"ip_address":null,"user_agent":null'
    : `"ip_address":"${address(random)}","user_agent":${random.pick(USER_AGENTS)}`;
  const extra =
    random.below(EXTRA_MEMBERS) === 0
      ? `,"risk":{"score":${random.below(9)}.10,"model":"v2"},"trace":${bigNumber(random)}`
      : "";
  const fields = { time, id, key: kind.key, actorId, actorType: "User", entityId, entityType: kind.entityType };
  return { ...fields, record: Buffer.from(recordOf(fields, `"details":${details},${from}${extra}`)) };
}

/** The JSON of an event: its fields in the vendor's order, then `rest`. */
export function recordOf(event: Omit<HistoryEvent, "record">, rest: string): string {
  return (
    `{"id":"${event.id}","created_at":"${new Date(event.time).toISOString()}","event_key":"${event.key}",` +
    `"entity_id":"${event.entityId}","entity_type":"${event.entityType}",` +
    `"actor_id":"${event.actorId}","actor_type":"${event.actorType}",${rest}}`
  );
}

const actor = (random: Random): number => (random.below(15) === 0 ? bot(random) : person(random));

/** A whole number that no double holds. */
const bigNumber = (random: Random): string => `9007199254740993${random.below(10)}${random.below(10)}1`;
