import { atStage } from "../errors.ts";
import type { ObserveStream } from "../fact.ts";
import { idSet, type IdSet } from "../ledger/ids.ts";
import { kindCounter, type KindCounter } from "../ledger/event-counts.ts";
import { latenessHistogram, type LatenessHistogram } from "../ledger/lateness.ts";
import type { QuarantineObject } from "../ledger/manifest.ts";
import { writeQuarantine } from "../archive/quarantine.ts";
import type { Fetched } from "./read-ahead.ts";
import type { Sink, Plan, StoredObject } from "../sink.ts";
import type { AuditEvent, Poison } from "../source.ts";
import { epochMs, type EpochMs, type Span } from "../time.ts";
import { lookbackStart } from "./window.ts";
import type { Pipeline } from "./pipeline.ts";

/** What a window has so far. Each item counts once, whoever brings it: a page, a page that shifted, a broken attempt. */
export interface Collection {
  /** Of its events, and of its items in quarantine. */
  readonly ids: IdSet;
  readonly events: number;
  /** Events older than the window: they became visible after their own was exported. */
  readonly late: number;
  readonly lateness: LatenessHistogram;
  readonly keys: KindCounter;
  /** The events that are new, of those given; one that cannot be written is an item. `refusal` is asked of new ones only. */
  fresh(events: readonly AuditEvent[], refusal: Refusal): Fetched;
  /** The items that are new, and of this window as far as can be told. */
  freshPoison(items: readonly Poison[]): Poison[];
  /** True when the object's events are all of this window and new: then they are counted. Else why they are not. */
  take(events: readonly AuditEvent[]): true | string;
}

export interface CollectionOptions {
  readonly plan: Plan;
  /** What the ledger has of the time that the plan asks for. */
  readonly known: IdSet;
  /** The tick's time, by which a late event is seen. */
  readonly now: EpochMs;
}

export function collection({ plan, known, now }: CollectionOptions): Collection {
  const ids = idSet();
  const lateness = latenessHistogram();
  const keys = kindCounter();
  let events = 0;
  let late = 0;

  function count({ time, key }: AuditEvent): void {
    events++;
    keys.add(key);
    if (time >= plan.from) return;
    late++;
    lateness.add(now - time);
  }

  const isOurs = (time: EpochMs): boolean => time >= plan.since && time < plan.to;

  return {
    ids,
    lateness,
    keys,
    get events() {
      return events;
    },
    get late() {
      return late;
    },
    fresh(given, refusal) {
      const fit: AuditEvent[] = [];
      const unfit: Poison[] = [];
      for (const event of given) {
        const { id, time, record } = event;
        if (!isOurs(time) || known.has(id) || !ids.add(id)) continue;
        const reason = refusal(event);
        if (reason !== undefined) {
          unfit.push({ reason, record, id, time });
          continue;
        }
        count(event);
        fit.push(event);
      }
      return { events: fit, poison: unfit };
    },
    freshPoison: (items) =>
      items.filter(({ id, time, record }) => {
        const item = id ?? record;
        return (time === undefined || isOurs(time)) && !known.has(item) && ids.add(item);
      }),
    take(given) {
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
      return true;
    },
  };
}

/** Why an event cannot be written; undefined for nearly all. */
export type Refusal = (event: AuditEvent) => string | undefined;

function refusalOf({ maxEventBytes, sink }: Pipeline): Refusal {
  return (event) =>
    event.record.length > maxEventBytes ? `larger than batch.maxEventBytes (${maxEventBytes})` : sink.refuses?.(event);
}

/** The events of the plan that are new, each once, in order of time. Items that are no events go aside on the way. */
export async function* newEvents(
  pipeline: Pipeline,
  plan: Plan,
  collected: Collection,
  quarantine: QuarantineObject[],
  ahead: Iterable<Span>,
  signal: AbortSignal,
): AsyncGenerator<readonly AuditEvent[]> {
  const { reader, batch } = pipeline;
  const refusal = refusalOf(pipeline);
  const fetching = reader.read({ from: plan.since, to: plan.to }, ahead, signal);
  let aside: Poison[] = [];
  let asideBytes = 0;
  async function putAside(): Promise<void> {
    if (aside.length === 0) return;
    quarantine.push(await atStage("write", quarantined(pipeline, plan, aside, quarantine, signal)));
    aside = [];
    asideBytes = 0;
  }
  try {
    for (;;) {
      const next = await atStage("fetch", fetching.next());
      if (next.done === true) break;
      const unseen = await atStage("plan", withoutSeen(pipeline, plan, next.value, signal));
      const { events, poison } = collected.fresh(unseen.events, refusal);
      for (const item of [...collected.freshPoison(unseen.poison), ...poison]) {
        aside.push(item);
        asideBytes += item.record.length;
      }
      if (asideBytes >= batch.maxBytes) await putAside();
      yield events;
    }
    await putAside();
  } finally {
    await fetching.return(undefined);
  }
}

/** An item without a time belongs to the first window that sees it: what the windows just before have is left out. */
async function withoutSeen(
  { ledger, windows }: Pipeline,
  plan: Plan,
  fetched: Fetched,
  signal: AbortSignal,
): Promise<Fetched> {
  if (fetched.poison.every(({ time }) => time !== undefined)) return fetched;
  // At least the window before, whatever the look-back: the source's bounds are inclusive.
  const since = epochMs(Math.min(lookbackStart(plan.from, windows), plan.from - 1));
  const seen = await ledger.idsSince(since, signal);
  const poison = fetched.poison.filter(({ id, time, record }) => time !== undefined || !seen.has(id ?? record));
  return { ...fetched, poison };
}

async function quarantined(
  { quarantine: store, observe }: Pipeline,
  plan: Plan,
  items: readonly Poison[],
  before: readonly QuarantineObject[],
  signal: AbortSignal,
): Promise<QuarantineObject> {
  const count = before.reduce((sum, { lines }) => sum + lines, 0);
  const object = await writeQuarantine(store, plan, items, count, signal);
  const reasons = [...new Set(items.map(({ reason }) => reason))];
  observe({ kind: "items.quarantined", sequence: plan.seq, key: object.key, lines: object.lines, reasons });
  return object;
}

/**
 * Takes over what a broken attempt at this plan left: each whole object whose events are all of this window and new. Only what
 * is in none of them is written again, so that no reader of the folder sees an event twice. Resolves with the number of the
 * next part.
 */
export async function takeOver(
  sink: Sink,
  plan: Plan,
  into: Collection,
  objects: StoredObject[],
  observe: ObserveStream,
  signal: AbortSignal,
): Promise<number> {
  let nextPart = 0;
  for await (const { key, part, whole } of sink.leftovers(plan, signal)) {
    nextPart = part + 1;
    const outcome = whole === undefined ? "it is not whole" : into.take(whole.events);
    if (whole === undefined || outcome !== true) {
      observe({ kind: "object.left", sequence: plan.seq, key, reason: String(outcome) });
      continue;
    }
    objects.push(whole.object);
    observe({ kind: "object.taken", sequence: plan.seq, key, lines: whole.object.lines });
  }
  return nextPart;
}
