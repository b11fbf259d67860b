import { MINUTE_MS, SECOND_MS, epochMs, type EpochMs, type Span } from "../time.ts";
import { GROUPS, dangling, hexId, known, pickMiningKind, rowOf, type Group } from "./mining-catalogue.ts";
import type { Random } from "./random.ts";
import {
  comparePositions,
  timelineOf,
  type Cell,
  type HistoryOptions,
  type Position,
  type Timeline,
} from "./timeline.ts";

/** An event of a Communications Mining log. Its `time` is the true one, in milliseconds; the API filters by it and never tells it. */
export interface MiningEvent extends Position {
  /** What the API tells: `time`, rounded to the nearest second. */
  readonly shown: EpochMs;
  /** The exact bytes that the API sends, in compact form. */
  readonly record: Buffer;
  /** The ids of each list that the event refers to, in the order of reference, the actor first, each once. */
  readonly references: Readonly<Record<Group, readonly string[]>>;
}

export type MiningHistory = Timeline<MiningEvent>;

/** Beyond the streams of the other history's cells. */
const FIRST_STREAM = 2 ** 32;

/** One in so many events shares the millisecond of the one before it. */
const TIES = 24;
/** One in so many events crowds a whole minute, at most so far from it: there, windows end, and rounding moves events over. */
const CROWDED = 12;
const CROWD_MS = 600;
/** One in so many references dangles. */
const DANGLING = 12;
/** One in so many events is the system's own: nobody known did it, and it refers to nothing. */
const BY_NOBODY = 150;
const WITHOUT_TENANT = 20;

/** Cheap to make; asking it in the middle costs the span asked for. */
export function miningHistoryOf(options: HistoryOptions = {}): MiningHistory {
  return timelineOf(options, FIRST_STREAM, makeCell);
}

/** `time`, as the API tells it. */
export const shownOf = (time: EpochMs): EpochMs => epochMs(Math.round(time / SECOND_MS) * SECOND_MS);

/** The events of which the API tells a time in `span`, by that time and then by id; only those whose true time is `within`. */
export function* shownIn(history: MiningHistory, { from, to }: Span, within?: Span): Generator<MiningEvent> {
  let tied: MiningEvent[] = [];
  const byId = (): MiningEvent[] => tied.sort((a, b) => (a.id < b.id ? -1 : 1));
  const trueTimes = {
    from: epochMs(Math.max(from - SECOND_MS, within?.from ?? -Infinity)),
    to: epochMs(Math.min(to + SECOND_MS, within?.to ?? Infinity)),
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

/** What an export must hold of an event: its own bytes, and a last member with the rows that it refers to. */
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

/** Just before or after a whole minute (in a cell that is shorter, its own bounds), within the cell. */
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
