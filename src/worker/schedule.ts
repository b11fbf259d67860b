import cron from "node-cron";
import { DAY_MS, epochMs, MINUTE_MS, SECOND_MS, type EpochMs } from "../time.ts";

/** Wakes whoever waits at each time of its cron expressions. */
export interface Alarm<Name extends string> {
  /**
   * Resolves at the next ring with the names that rang since the last call: rings of one name do not queue up.
   * @throws the signal's reason when it aborts
   */
  next(signal: AbortSignal): Promise<ReadonlySet<Name>>;
}

/** A wait is cut into steps: a timer does not see that the clock was set, and stands still while the machine sleeps. */
const STEP_MS = MINUTE_MS;

/**
 * An alarm by named cron expressions, in UTC. A ring that was slept through comes once, late: whoever wakes goes by the
 * checkpoint, not by it. When the clock is set back, it rings by the new time; a correction of less than a minute is waited
 * out, so that no instant rings twice.
 */
export function cronAlarm<Name extends string>(
  expressions: ReadonlyMap<Name, string>,
  clock: () => EpochMs,
): Alarm<Name> {
  const reckoned = (now: EpochMs): [Name, EpochMs | undefined][] =>
    [...expressions].map(([name, expression]) => [name, nextRing(expression, now)]);
  let latest = clock();
  let due = new Map(reckoned(latest));
  const rung = (): ReadonlySet<Name> => {
    const now = clock();
    if (now <= latest - STEP_MS) [latest, due] = [now, new Map(reckoned(now))];
    latest = epochMs(Math.max(latest, now));
    const names = [...due].flatMap(([name, ring]) => (ring !== undefined && ring <= now ? [name] : []));
    for (const name of names) due.set(name, nextRing(expressions.get(name) ?? "", now));
    return new Set(names);
  };
  return {
    async next(signal) {
      for (;;) {
        signal.throwIfAborted();
        const names = rung();
        if (names.size > 0) return names;
        const first = Math.min(...[...due.values()].map((ring) => ring ?? Infinity));
        await atMost(Math.min(first - clock(), STEP_MS), signal);
      }
    },
  };
}

/** Resolves after so long, or when the signal aborts. */
async function atMost(durationMs: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, durationMs);
    signal.addEventListener("abort", done, { once: true });
  });
}

/** A cron expression, as it is reckoned with. */
interface Timetable {
  /** Times of a day that it names, in milliseconds since midnight, rising. */
  readonly times: readonly number[];
  /** Whether it names a day, given by its midnight. */
  readonly isOn: (day: EpochMs) => boolean;
  /** It names each day. */
  readonly isDaily: boolean;
}

const timetables = new Map<string, Timetable>();

/** Kept by expression: a hundred streams have few schedules between them. */
function timetableOf(expression: string): Timetable {
  const known = timetables.get(expression);
  if (known !== undefined) return known;
  const { hour, minute, second, month } = cron.parse(expression);
  const times = hour
    .flatMap((h) => minute.flatMap((m) => second.map((s) => ((h * 60 + m) * 60 + s) * SECOND_MS)))
    .sort((one, other) => one - other);
  // Days are node-cron's to judge (last of a month, second Friday): it is asked for a time of the day that is named anyway.
  const task = cron.createTask(expression, () => undefined, { timezone: "UTC" });
  const isOn = (day: EpochMs): boolean =>
    month.includes(new Date(day).getUTCMonth() + 1) && task.match(new Date(day + (times[0] ?? 0)));
  void task.destroy();
  const isDaily = expression
    .trim()
    .split(/\s+/)
    .slice(-3)
    .every((field) => field === "*");
  const made = { times, isOn: isDaily ? () => true : isOn, isDaily };
  timetables.set(expression, made);
  return made;
}

/** The 29th of February can be eight years away. */
const DAYS_AHEAD = 8 * 366 + 1;

const rings = new Map<string, { readonly from: EpochMs; readonly ring: EpochMs | undefined }>();

/**
 * When an expression rings next after `now`; undefined where that is never, or not within eight years. Worker and status
 * ask here, so that what is shown is what comes. What was reckoned last is kept: it is asked for again and again.
 */
export function nextRing(expression: string, now: EpochMs): EpochMs | undefined {
  const last = rings.get(expression);
  if (last !== undefined && last.from <= now && now < (last.ring ?? Infinity)) return last.ring;
  const ring = reckonRing(timetableOf(expression), now);
  rings.set(expression, { from: now, ring });
  return ring;
}

function reckonRing({ times, isOn }: Timetable, now: EpochMs): EpochMs | undefined {
  const today = Math.floor(now / DAY_MS) * DAY_MS;
  for (let days = 0; days < DAYS_AHEAD; days++) {
    const day = epochMs(today + days * DAY_MS);
    const time = times.find((one) => day + one > now);
    if (time !== undefined && isOn(day)) return epochMs(day + time);
  }
  return undefined;
}

/** A year and the beginning of the next: each month beside the one after it. */
const LOOKED_AT_FROM = epochMs(Date.UTC(2024, 0, 1));
const DAYS_LOOKED_AT = 366 + 62;
const waits = new Map<string, number>();

/**
 * The longest span of so many waits in a row, in milliseconds: of a schedule for working hours, a weekend with the short
 * waits beside it. A year and two months are looked at; where those have fewer rings, for as long as it takes.
 */
export function longestSpanMs(expression: string, count: number): number {
  const key = `${count} ${expression}`;
  const span = waits.get(key) ?? reckonSpanMs(timetableOf(expression), count);
  waits.set(key, span);
  return span;
}

function reckonSpanMs({ times, isOn, isDaily }: Timetable, count: number): number {
  const daysLookedAt = isDaily ? count + 2 : DAYS_LOOKED_AT;
  let longest = 0;
  let seen = 0;
  let silentDays = 0;
  const last: EpochMs[] = [];
  for (let days = 0; (days < daysLookedAt || seen <= count) && silentDays < DAYS_AHEAD; days++, silentDays++) {
    const day = epochMs(LOOKED_AT_FROM + days * DAY_MS);
    if (!isOn(day)) continue;
    silentDays = 0;
    for (const time of times) {
      const ring = epochMs(day + time);
      const before = last[seen % count];
      if (before !== undefined) longest = Math.max(longest, ring - before);
      last[seen++ % count] = ring;
    }
  }
  return longest;
}
