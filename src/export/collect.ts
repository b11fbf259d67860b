import { kindCounter, type KindCounter } from "../ledger/event-counts.ts";
import { idSet, type IdSet } from "../ledger/ids.ts";
import { latenessHistogram, type LatenessHistogram } from "../ledger/lateness.ts";
import type { Plan, StoredObject } from "../sink.ts";
import type { AuditEvent, Poison } from "../source.ts";
import { epochMs, type EpochMs } from "../time.ts";
import type { Pipeline } from "./pipeline.ts";
import type { Fetched } from "./fetch-piece.ts";
import { lookbackStart } from "./window.ts";

/** What a window has so far. Each item counts once, however often it comes: on a page, on a shifted page, in an earlier attempt. */
export interface Collection {
  /** Of the events and of the items in quarantine. */
  readonly ids: IdSet;
  readonly events: number;
  /** Events older than the window: they became visible after their own window was exported. */
  readonly late: number;
  readonly lateness: LatenessHistogram;
  readonly kinds: KindCounter;
  /** Takes what is new and belongs to the plan. An event that the sink refuses becomes an item for quarantine. */
  readonly fresh: (fetched: Fetched) => Promise<Fetched>;
  /** Takes all events of an object, if all belong to the plan and are new. Returns undefined, or the reason why not. */
  readonly takeAll: (events: readonly AuditEvent[]) => string | undefined;
}

export interface CollectionOptions {
  readonly plan: Plan;
  /** Ids that the ledger has of the time that the plan reads. */
  readonly known: IdSet;
  /** The run's time: an event's lateness is the time from its own time to this. */
  readonly now: EpochMs;
  readonly refusal: Refusal;
  /** Ids of the windows just before this one. Asked for items without a time, which are rare. */
  readonly seenBefore: () => Promise<IdSet>;
}

export function collection({ plan, known, now, refusal, seenBefore }: CollectionOptions): Collection {
  const ids = idSet();
  const lateness = latenessHistogram();
  const kinds = kindCounter();
  let events = 0;
  let late = 0;

  function count({ time, key }: AuditEvent): void {
    events++;
    kinds.add(key);
    if (time >= plan.from) return;
    late++;
    lateness.add(now - time);
  }

  const isOurs = (time: EpochMs): boolean => time >= plan.since && time < plan.to;

  function freshEvents(given: readonly AuditEvent[]): Fetched {
    const events: AuditEvent[] = [];
    const poison: Poison[] = [];
    for (const event of given) {
      const { id, time, record } = event;
      if (!isOurs(time) || known.has(id) || !ids.add(id)) continue;
      const reason = refusal(event);
      if (reason !== undefined) {
        poison.push({ reason, record, id, time });
        continue;
      }
      count(event);
      events.push(event);
    }
    return { events, poison };
  }

  async function freshPoison(items: readonly Poison[]): Promise<Poison[]> {
    // An item without a time belongs to the first window that sees it.
    const seen = items.some(({ time }) => time === undefined) ? await seenBefore() : undefined;
    return items.filter(({ id, time, record }) => {
      const item = id ?? record;
      const isThisWindows = time === undefined ? seen?.has(item) !== true : isOurs(time);
      return isThisWindows && !known.has(item) && ids.add(item);
    });
  }

  return {
    ids,
    lateness,
    kinds,
    get events() {
      return events;
    },
    get late() {
      return late;
    },
    async fresh(fetched) {
      const { events, poison: refused } = freshEvents(fetched.events);
      return { events, poison: [...(await freshPoison(fetched.poison)), ...refused] };
    },
    takeAll(given) {
      const own = idSet();
      for (const { id, time } of given) {
        if (!isOurs(time)) return "it holds an event outside of the plan";
        if (known.has(id)) return "it holds an event that an earlier manifest names";
        if (ids.has(id) || !own.add(id)) return "it holds an event twice, or one that another object holds";
      }
      for (const event of given) {
        ids.add(event.id);
        count(event);
      }
      return undefined;
    },
  };
}

/** Why an event cannot be written; undefined for nearly all. */
export type Refusal = (event: AuditEvent) => string | undefined;

export function refusalOf({ maxEventBytes, sink }: Pipeline): Refusal {
  return (event) =>
    event.record.length > maxEventBytes ? `larger than batch.maxEventBytes (${maxEventBytes})` : sink.refuses?.(event);
}

/** Ids of the look-back before a plan, but at least of the window before it: the bounds that sources are asked for are inclusive. */
export async function seenJustBefore({ ledger, windows }: Pipeline, plan: Plan, signal: AbortSignal): Promise<IdSet> {
  return ledger.idsSince(epochMs(Math.min(lookbackStart(plan.from, windows), plan.from - 1)), signal);
}

/** Objects of an earlier attempt at a plan that this one keeps. */
export interface Reused {
  readonly objects: readonly StoredObject[];
  /** The number for the next object of the window: no earlier attempt used it. */
  readonly nextPart: number;
}

export const NOTHING_REUSED: Reused = { objects: [], nextPart: 0 };

/**
 * Reuses what an earlier attempt at this plan wrote: each whole object whose events all belong to this window and are new. Only
 * events that are in none of them are written again, so that no reader of the folder sees an event twice.
 */
export async function reuseObjects(
  { sink, observe }: Pipeline,
  plan: Plan,
  into: Collection,
  signal: AbortSignal,
): Promise<Reused> {
  const objects: StoredObject[] = [];
  let nextPart = 0;
  for await (const { key, part, whole } of sink.leftovers(plan, signal)) {
    nextPart = part + 1;
    const reason = whole === undefined ? "it is not whole" : into.takeAll(whole.events);
    if (whole === undefined || reason !== undefined) {
      observe({ kind: "object.left", sequence: plan.seq, key, reason: reason ?? "" });
      continue;
    }
    objects.push(whole.object);
    observe({ kind: "object.taken", sequence: plan.seq, key, lines: whole.object.lines });
  }
  return { objects, nextPart };
}
