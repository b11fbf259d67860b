import { MINUTE_MS, SECOND_MS, epochMs, type EpochMs, type Span } from "../time.ts";
import {
  GROUPS,
  dangling,
  hexId,
  known,
  pickMiningKind,
  rowOf,
  type Group,
} from "./communications-mining-catalogue.ts";
import type { Random } from "./random.ts";
import {
  comparePositions,
  timelineOf,
  type Cell,
  type HistoryOptions,
  type Position,
  type Timeline,
} from "./timeline.ts";

/** An event. Its `time` is the true time, in milliseconds: the API filters by it, but does not show it. */
export interface MiningEvent extends Position {
  /** The time that the API shows: `time`, rounded to the nearest second. */
  readonly shown: EpochMs;
  /** The exact bytes that the API sends: compact JSON. */
  readonly record: Buffer;
  /** The ids that the event refers to, without repeats, in the order of reference, the actor first. */
  readonly references: Readonly<Record<Group, readonly string[]>>;
}

export type MiningHistory = Timeline<MiningEvent>;

/** Above the streams of the cells of Pachca's history. */
const FIRST_STREAM = 2 ** 32;

/** One event in N has the same millisecond as the one before it. */
const TIES = 24;
/** One event in N is this close to a whole minute, where windows end and rounding moves events into the next window. */
const CROWDED = 12;
const CROWD_MS = 600;
/** One reference in N is to an unknown id. */
const DANGLING = 12;
/** One event in N is by the system: its actor is unknown, and it has no references. */
const BY_NOBODY = 150;
const WITHOUT_TENANT = 20;

/** A history is cheap to create, and reading a span costs only that span. */
export function communicationsMiningHistory(options: HistoryOptions = {}): MiningHistory {
  return timelineOf(options, FIRST_STREAM, makeCell);
}

/** `time` as the API shows it. */
export const shownOf = (time: EpochMs): EpochMs => epochMs(Math.round(time / SECOND_MS) * SECOND_MS);

/** The events with a shown time in `span`, by that time and then by id; only those with a true time in `trueSpan`. */
export function* shownIn(history: MiningHistory, { from, to }: Span, trueSpan?: Span): Generator<MiningEvent> {
  let tied: MiningEvent[] = [];
  const byId = (): MiningEvent[] => tied.sort((a, b) => (a.id < b.id ? -1 : 1));
  const trueTimes = {
    from: epochMs(Math.max(from - SECOND_MS, trueSpan?.from ?? -Infinity)),
    to: epochMs(Math.min(to + SECOND_MS, trueSpan?.to ?? Infinity)),
  };
  for (const event of history.events(trueTimes)) {
    if (event.shown < from || event.shown >= to) continue;
    if (tied[0] !== undefined && tied[0].shown !== event.shown) {
      yield* byId();
      tied = [];
    }
    tied.push(event);
  }
  yield* byId();
}

/** The line that an export must contain for an event: its own bytes, and a last member with its resources. */
export function lineOf({ record, references }: MiningEvent): Buffer {
  const groups: string[] = [];
  for (const group of GROUPS) {
    const rows = references[group].flatMap((id) => rowOf(group, id) ?? []);
    if (rows.length > 0) groups.push(`"${group}":[${rows.join(",")}]`);
  }
  if (groups.length === 0) return record;
  return Buffer.concat([record.subarray(0, -1), Buffer.from(`,"_resources":{${groups.join(",")}}}`)]);
}

function makeCell(random: Random, { startMs, lengthMs, count, tieMs }: Cell): MiningEvent[] {
  const positions: Position[] = [];
  let last = startMs;
  for (let number = 0; number < count; number++) {
    let time = startMs + random.below(lengthMs);
    const dice = random.share();
    if (dice * TIES < 1) time = last;
    else if ((1 - dice) * CROWDED < 1) time = crowded(random, time, startMs, lengthMs);
    time -= (time - startMs) % tieMs;
    positions.push({ time: epochMs(time), id: hexId(random) });
    last = time;
  }
  return positions.sort(comparePositions).map((position) => makeEvent(random, position));
}

/** Just before or after a whole minute, within the cell. In a cell shorter than a minute, close to its bounds. */
function crowded(random: Random, time: number, startMs: number, lengthMs: number): number {
  const unit = Math.min(MINUTE_MS, lengthMs);
  const minute = time - ((time - startMs) % unit);
  const away = random.below(CROWD_MS);
  return random.below(2) === 0 ? minute + away : minute + unit - 1 - away;
}

function makeEvent(random: Random, { time, id }: Position): MiningEvent {
  const kind = pickMiningKind(random);
  const byNobody = random.below(BY_NOBODY) === 0;
  const actor = byNobody ? hexId(random) : reference(random, "users");
  const tenant = byNobody || random.below(WITHOUT_TENANT) === 0 ? undefined : reference(random, "tenants");
  const tenants = byNobody ? [] : [tenant ?? known(random, "tenants")];
  if (!byNobody && random.below(10) === 0) tenants.push(reference(random, "tenants"));
  const lists: Partial<Record<Group, readonly string[]>> = { tenants };
  let members =
    `"event_id":"${id}","event_type":"${kind.type}","timestamp":"${secondOf(time)}","actor_user_id":"${actor}"` +
    `${tenant === undefined ? "" : `,"actor_tenant_id":"${tenant}"`},"tenant_ids":${JSON.stringify(tenants)}`;
  for (const group of byNobody ? [] : kind.refers) {
    const list = Array.from({ length: 1 + random.below(3) }, () => reference(random, group));
    lists[group] = list;
    members += `,"${group.slice(0, -1)}_ids":${JSON.stringify(list)}`;
  }
  members += kind.more(random);
  return {
    time,
    id,
    shown: shownOf(time),
    record: Buffer.from(`{${members}}`),
    references: {
      users: each([actor, ...(lists.users ?? [])]),
      tenants: each(tenant === undefined ? tenants : [tenant, ...tenants]),
      projects: each(lists.projects),
      datasets: each(lists.datasets),
      sources: each(lists.sources),
      triggers: each(lists.triggers),
    },
  };
}

function reference(random: Random, group: Group): string {
  return random.below(DANGLING) === 0 ? dangling(random, group) : known(random, group);
}

const each = (ids: readonly string[] = []): readonly string[] => [...new Set(ids)];

/** `2026-11-20T10:00:00Z` */
const secondOf = (time: EpochMs): string => `${new Date(shownOf(time)).toISOString().slice(0, 19)}Z`;
