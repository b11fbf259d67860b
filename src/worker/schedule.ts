import cron from "node-cron";
import { DAY_MS, epochMs, MINUTE_MS, SECOND_MS, type EpochMs } from "../time.ts";

/*
 * node-cron parses the expressions and judges days. What is around it here it does not do: it reports missed runs and does not
 * recover them, `execute()` ignores `noOverlap`, and its timers do not notice that the clock was set. A run that was missed or
 * late is harmless to us, because windows follow from the checkpoint, but it has to come.
 */

/** Waits for the times of named cron expressions. */
export interface CronTimer<Name extends string> {
  /**
   * Resolves at the next time with the names that are due since the last call. Several times of one name count once.
   * @throws the signal's reason when it aborts
   */
  next(signal: AbortSignal): Promise<ReadonlySet<Name>>;
}

/** A wait is divided into steps: a timer does not notice that the clock was set, and stops while the machine sleeps. */
const STEP_MS = MINUTE_MS;

/**
 * A timer by named cron expressions, in UTC. Times that passed while the machine slept count once, late: a run follows the
 * checkpoint, not its time. If the clock is set back, the new time counts. A correction of less than a minute is waited out, so
 * that no time counts twice.
 */
export function cronTimer<Name extends string>(
  expressions: ReadonlyMap<Name, string>,
  clock: () => EpochMs,
): CronTimer<Name> {
  const nextTimes = (now: EpochMs) =>
    new Map([...expressions].map(([name, expression]) => [name, nextRun(expression, now)]));
  let latest = clock();
  let next = nextTimes(latest);

  function dueNames(): ReadonlySet<Name> {
    const now = clock();
    if (now <= latest - STEP_MS) [latest, next] = [now, nextTimes(now)];
    latest = epochMs(Math.max(latest, now));
    const names = [...next].flatMap(([name, time]) => (time !== undefined && time <= now ? [name] : []));
    for (const name of names) next.set(name, nextRun(expressions.get(name) ?? "", now));
    return new Set(names);
  }

  return {
    async next(signal) {
      for (;;) {
        signal.throwIfAborted();
        const names = dueNames();
        if (names.size > 0) return names;
        const first = Math.min(...[...next.values()].map((time) => time ?? Infinity));
        await atMost(Math.min(first - clock(), STEP_MS), signal);
      }
    },
  };
}

/** Resolves after the duration, or when the signal aborts. */
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

/** What a cron expression says. */
interface Timetable {
  /** The times of a day, in milliseconds since midnight, rising. */
  readonly times: readonly number[];
  /** Whether it includes a day, given by its midnight. */
  readonly isOn: (day: EpochMs) => boolean;
  /** It includes every day. */
  readonly isDaily: boolean;
}

const timetables = new Map<string, Timetable>();

/** Cached by expression: a hundred streams share few schedules. */
function timetableOf(expression: string): Timetable {
  const known = timetables.get(expression);
  if (known !== undefined) return known;
  const { hour, minute, second, month } = cron.parse(expression);
  const times = hour
    .flatMap((h) => minute.flatMap((m) => second.map((s) => ((h * 60 + m) * 60 + s) * SECOND_MS)))
    .sort((one, other) => one - other);
  // node-cron judges days (last of a month, second Friday). It gets a time of day that the expression includes.
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

const nextRuns = new Map<string, { readonly from: EpochMs; readonly time: EpochMs | undefined }>();

/**
 * The next time of an expression after `now`; undefined if there is none within eight years. Worker and status both use it, so
 * that the time shown is the time of the run. The last result is cached, because it is needed often.
 */
export function nextRun(expression: string, now: EpochMs): EpochMs | undefined {
  const last = nextRuns.get(expression);
  if (last !== undefined && last.from <= now && now < (last.time ?? Infinity)) return last.time;
  const time = nextTime(timetableOf(expression), now);
  nextRuns.set(expression, { from: now, time });
  return time;
}

function nextTime({ times, isOn }: Timetable, now: EpochMs): EpochMs | undefined {
  const today = Math.floor(now / DAY_MS) * DAY_MS;
  for (let days = 0; days < DAYS_AHEAD; days++) {
    const day = epochMs(today + days * DAY_MS);
    const time = times.find((one) => day + one > now);
    if (time !== undefined && isOn(day)) return epochMs(day + time);
  }
  return undefined;
}

/** A leap year and two months: each month with the one after it. */
const EXAMINED_FROM = epochMs(Date.UTC(2024, 0, 1));
const DAYS_EXAMINED = 366 + 62;
const longestSpans = new Map<string, number>();

/**
 * The longest time that `count` consecutive waits can take, in milliseconds. For a schedule of working hours that is a weekend with
 * the short waits beside it. Examines a year and two months, or more if that has too few times.
 */
export function longestSpanMs(expression: string, count: number): number {
  const key = `${count} ${expression}`;
  const span = longestSpans.get(key) ?? computeSpanMs(timetableOf(expression), count);
  longestSpans.set(key, span);
  return span;
}

function computeSpanMs({ times, isOn, isDaily }: Timetable, count: number): number {
  const daysExamined = isDaily ? count + 2 : DAYS_EXAMINED;
  let longest = 0;
  let seen = 0;
  let silentDays = 0;
  const last: EpochMs[] = [];
  for (let days = 0; (days < daysExamined || seen <= count) && silentDays < DAYS_AHEAD; days++, silentDays++) {
    const day = epochMs(EXAMINED_FROM + days * DAY_MS);
    if (!isOn(day)) continue;
    silentDays = 0;
    for (const time of times) {
      const at = epochMs(day + time);
      const before = last[seen % count];
      if (before !== undefined) longest = Math.max(longest, at - before);
      last[seen++ % count] = at;
    }
  }
  return longest;
}
