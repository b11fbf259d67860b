import { SECOND_MS, epochMs, type EpochMs } from "../time.ts";
import { pickKind } from "./catalogue.ts";
import { USER_AGENTS, address, bot, person } from "./organisation.ts";
import type { Random } from "./random.ts";
import {
  comparePositions,
  timelineOf,
  type Cell,
  type HistoryOptions,
  type Position,
  type Timeline,
} from "./timeline.ts";

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

/** A workspace's log. */
export type History = Timeline<HistoryEvent>;

/** One in so many events shares the millisecond of the one before it. */
const TIES = 24;
/** One in so many events falls on a whole second, and the first of one in so many cells on the cell's start: on bounds. */
const WHOLE_SECONDS = 40;
const CELL_STARTS = 4;
/** One in so many events has members that no contract names. */
const EXTRA_MEMBERS = 50;

/** A history is cheap to make, and asking it in the middle costs the span asked for. */
export function historyOf(options: HistoryOptions = {}): History {
  return timelineOf(options, 0, makeCell);
}

function makeCell(random: Random, { startMs, lengthMs, count, tieMs }: Cell): HistoryEvent[] {
  const positions: Position[] = [];
  let last = startMs;
  for (let number = 0; number < count; number++) {
    let time = startMs + random.below(lengthMs);
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
