import { SECOND_MS, epochMs, type EpochMs } from "../time.ts";
import { USER_AGENTS, address, bot, person, pickKind } from "./pachca-catalogue.ts";
import type { Random } from "./random.ts";
import {
  comparePositions,
  timelineOf,
  type Cell,
  type HistoryOptions,
  type Position,
  type Timeline,
} from "./timeline.ts";

/** One event: the members that the log sorts and filters by, and its compact JSON. */
export interface PachcaEvent {
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

/** The history of a workspace. */
export type PachcaHistory = Timeline<PachcaEvent>;

/** One event in N has the same millisecond as the one before it. */
const TIES = 24;
/** One event in N is at a whole second, and the first event of one cell in N is at the start of the cell: at bounds. */
const WHOLE_SECONDS = 40;
const CELL_STARTS = 4;
/** One event in N has members that the contract does not document. */
const EXTRA_MEMBERS = 50;

/** A history is cheap to create, and reading a span costs only that span. */
export function pachcaHistory(options: HistoryOptions = {}): PachcaHistory {
  return timelineOf(options, 0, makeCell);
}

function makeCell(random: Random, { startMs, lengthMs, count, tieMs }: Cell): PachcaEvent[] {
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

function makeEvent(random: Random, { time, id }: Position): PachcaEvent {
  const kind = pickKind(random);
  const entityId = String(kind.entityId(random));
  const details = kind.details(random);
  // People log in only as themselves. Events with an initiator or attributes may be about other people.
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
export function recordOf(event: Omit<PachcaEvent, "record">, rest: string): string {
  return (
    `{"id":"${event.id}","created_at":"${new Date(event.time).toISOString()}","event_key":"${event.key}",` +
    `"entity_id":"${event.entityId}","entity_type":"${event.entityType}",` +
    `"actor_id":"${event.actorId}","actor_type":"${event.actorType}",${rest}}`
  );
}

const actor = (random: Random): number => (random.below(15) === 0 ? bot(random) : person(random));

/** An integer that a double cannot represent. */
const bigNumber = (random: Random): string => `9007199254740993${random.below(10)}${random.below(10)}1`;
