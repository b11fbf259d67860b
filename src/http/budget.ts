import { setMaxListeners } from "node:events";
import { RETRY_AFTER_MAX_MS } from "./retry.ts";
import { MINUTE_MS, SECOND_MS } from "../time.ts";

/**
 * Requests do not all take the same time to arrive: two that start a second apart here can arrive closer together. So a
 * second is taken to be this much longer, which costs 0.8 % of the limit. Each refusal adds a step, because it shows that
 * the travel times vary more than that.
 */
const JITTER_MS = 8;
const JITTER_STEP_MS = 8;
const JITTER_MAX_MS = 40;

/**
 * An answer that took longer than most may belong to a request that arrived late, by as much as that: its second is taken to
 * begin later. By no more than this, because the server may just have needed longer for the answer.
 */
const LATE_MAX_MS = 60;

/** "Most answers" are the last `ANSWERS` without the `SLOWEST_FEW`. */
const ANSWERS = 64;
const SLOWEST_FEW = 8;

/** Timers fire late, and sometimes no one waits: starts that were missed, up to this much, are made up for within the second. */
const CATCH_UP_MS = 50;

/** Requests sent before the first 429 are refused too, and so may be those of the same second: together they halve the rate once. */
const SAME_THROTTLING_MS = SECOND_MS;

/**
 * After this time (or ten requests, when the limit is below one a second) the rate is back at the plateau, just below the
 * rate that was refused. It is close to it after half of the time, then passes it slowly, then faster. So an accidental refusal
 * costs little, and a limit that is lower than ours is not hit much more often than this.
 */
const RECOVERY_MS = 10 * SECOND_MS;
const PLATEAU = 0.95;

/** The rate never falls below this share of the limit, however often the server refuses. */
const LEAST_SHARE = 1 / 64;

/** Timers overflow at 24.8 days and fire at once; this also limits how late a machine that slept notices the time. */
const TIMER_MAX_MS = MINUTE_MS;

/** After this time, half of what a user has used is forgotten. */
const USE_HALVES_MS = MINUTE_MS;

/** The place of a request among those of its second. The second begins when the request arrives at the server. */
export interface Place {
  /** Call this when the request has been sent: opening a connection takes time. */
  sent(): void;
  /** Call this when its answer begins. */
  answered(): void;
}

/** The requests that one account may make. All streams of an account in this process share one budget. */
export interface RequestBudget {
  /**
   * Resolves when a request may start. There are never more than the limit in any second, unless sending one takes a second.
   * A limit that is not a whole number is rounded up, and the second is longer by the same factor.
   *
   * The user with the least requests in the last minutes goes first: a live stream, which needs few, does not wait behind one
   * that fetches years, and two of the same kind share. The requests of one user keep their order.
   * @param user any object that identifies who asks
   * @throws the signal's reason when aborted; the place is then given up
   */
  take(signal: AbortSignal, user?: object): Promise<Place>;

  /**
   * Call this for each 429. It halves the rate, and no request starts before `retryAfterMs` is over. The rate recovers by itself.
   * @param startedMs when the request started: requests that were under way at a refusal do not halve the rate again
   */
  throttled(retryAfterMs: number, startedMs?: number): void;
}

/** @param now a monotonic clock in milliseconds */
export function requestBudget(requestsPerSecond: number, now: () => number = () => performance.now()): RequestBudget {
  const queue = fairQueue();
  const pace = pacer(requestsPerSecond);
  const mostMs = usual(ANSWERS, SLOWEST_FEW);
  let timer: NodeJS.Timeout | undefined;

  function admit(): void {
    clearTimeout(timer);
    for (let nowMs = now(), next = queue.first(nowMs); next !== undefined; nowMs = now(), next = queue.first(nowMs)) {
      const waitMs = pace.waitMs(nowMs);
      if (waitMs > 0) {
        timer = setTimeout(admit, Math.min(Math.ceil(waitMs), TIMER_MAX_MS));
        return;
      }
      const correct = pace.start(nowMs);
      queue.serve(next, nowMs);
      next(placeOf(correct, nowMs));
    }
  }

  function placeOf(correct: Correct, startMs: number): Place {
    let sentMs = startMs;
    return {
      sent() {
        sentMs = now();
        correct(sentMs);
      },
      answered() {
        const tookMs = now() - sentMs;
        correct(sentMs + Math.min(Math.max(tookMs - mostMs(tookMs), 0), LATE_MAX_MS));
      },
    };
  }

  return {
    take(signal, user = ANYONE) {
      return new Promise((resolve, reject) => {
        signal.throwIfAborted();
        const giveUp = () => {
          queue.leave(start);
          // A timer without anyone waiting would keep the process alive.
          if (queue.size() === 0) clearTimeout(timer);
          reject(signal.reason as Error);
        };
        const start: Start = (place) => {
          signal.removeEventListener("abort", giveUp);
          resolve(place);
        };
        // All waiting requests listen to one signal, which is not a leak.
        setMaxListeners(0, signal);
        signal.addEventListener("abort", giveUp, { once: true });
        queue.enter(start, user);
        if (queue.size() === 1) admit();
      });
    },
    throttled(retryAfterMs, startedMs = now()) {
      pace.throttled(Math.min(retryAfterMs, RETRY_AFTER_MAX_MS), startedMs, now());
    },
  };
}

/** The user of requests that name none. */
const ANYONE = {};

/** Starts a waiting request. */
type Start = (place: Place) => void;
/** Corrects the time of a start to when the request arrived. */
type Correct = (arrivedMs: number) => void;

/** The waiting requests, in the order in which they came. */
function fairQueue() {
  const waiting = new Map<Start, object>();
  const use = recentUse();
  return {
    size: () => waiting.size,
    enter: (start: Start, user: object) => void waiting.set(start, user),
    leave: (start: Start) => void waiting.delete(start),

    /** The oldest request of the user who used least. */
    first(nowMs: number): Start | undefined {
      let least = Infinity;
      let chosen: Start | undefined;
      const seen = new Set<object>();
      for (const [start, user] of waiting) {
        if (seen.has(user)) continue;
        seen.add(user);
        const used = use.at(user, nowMs);
        if (used < least) [least, chosen] = [used, start];
      }
      return chosen;
    },

    /** Removes a request that starts now, and counts it for its user. */
    serve(start: Start, nowMs: number): void {
      use.add(waiting.get(start) ?? ANYONE, nowMs);
      waiting.delete(start);
    },
  };
}

/** The requests of each user; the older they are, the less they count. */
function recentUse(): { at(user: object, nowMs: number): number; add(user: object, nowMs: number): void } {
  const counts = new WeakMap<object, { readonly count: number; readonly atMs: number }>();
  const at = (user: object, nowMs: number): number => {
    const known = counts.get(user);
    return known === undefined ? 0 : known.count * 2 ** ((known.atMs - nowMs) / USE_HALVES_MS);
  };
  return {
    at,
    add: (user, nowMs) => counts.set(user, { count: at(user, nowMs) + 1, atMs: nowMs }),
  };
}

/** Decides when the next request may start. */
function pacer(requestsPerSecond: number) {
  const places = Math.ceil(requestsPerSecond);
  const starts = lastStarts(places);
  let jitterMs = JITTER_MS;
  const secondMs = () => (SECOND_MS * places) / requestsPerSecond + jitterMs;
  // Evenly spaced instead of all at once: requests that arrive in a bunch are refused sooner.
  const rate = recoveringRate(() => (requestsPerSecond * SECOND_MS) / (SECOND_MS + jitterMs));
  /** When the last start was due by the rate alone; it may have been later. */
  let lastDueMs = -Infinity;
  let pausedUntilMs = -Infinity;

  const dueMs = (nowMs: number): number =>
    Math.max(lastDueMs + SECOND_MS / rate.at(nowMs), nowMs - CATCH_UP_MS, pausedUntilMs);

  return {
    /** Zero or less when a request may start now. */
    waitMs: (nowMs: number): number => Math.max(dueMs(nowMs), starts.oldestMs() + secondMs()) - nowMs,

    start(nowMs: number): Correct {
      lastDueMs = dueMs(nowMs);
      return starts.add(nowMs);
    },

    throttled(retryAfterMs: number, startedMs: number, nowMs: number): void {
      pausedUntilMs = Math.max(pausedUntilMs, nowMs + retryAfterMs);
      if (rate.halve(startedMs, nowMs, pausedUntilMs)) jitterMs = Math.min(jitterMs + JITTER_STEP_MS, JITTER_MAX_MS);
    },
  };
}

/** The largest of the last `size` values without the `exceptions` largest; the smallest, as long as there are no more than those. */
function usual(size: number, exceptions: number): (value: number) => number {
  const values: number[] = [];
  let count = 0;
  return (value) => {
    values[count++ % size] = value;
    const ascending = values.toSorted((one, other) => one - other);
    return ascending[Math.max(ascending.length - 1 - exceptions, 0)] ?? value;
  };
}

/** When the last `size` requests started. */
function lastStarts(size: number): { oldestMs(): number; add(nowMs: number): Correct } {
  const times = new Float64Array(size).fill(-Infinity);
  let count = 0;
  return {
    oldestMs: () => times[count % size] ?? -Infinity,
    add(nowMs) {
      const mine = count++;
      times[mine % size] = nowMs;
      return (arrivedMs) => {
        // A later request may have the place by now.
        if (count - mine <= size) times[mine % size] = arrivedMs;
      };
    },
  };
}

/** Requests per second: halved when throttled, then back along a cubic curve that is flat just below the refused rate. */
function recoveringRate(limitOf: () => number) {
  let plateau = limitOf();
  let low = plateau / 2;
  let sinceMs = -Infinity;
  let halvedMs = -Infinity;
  const recoveryMs = RECOVERY_MS * Math.max(1, 1 / limitOf());

  function at(nowMs: number): number {
    const share = Math.max(0, nowMs - sinceMs) / recoveryMs - 1;
    return Math.min(limitOf(), plateau + (plateau - low) * share ** 3);
  }

  return {
    at,
    /** False when the rate was halved for the same reason a moment ago. */
    halve(startedMs: number, nowMs: number, resumeMs: number): boolean {
      const isNews = startedMs >= Math.max(halvedMs + SAME_THROTTLING_MS, sinceMs);
      if (isNews) {
        const refused = Math.max(at(nowMs), 2 * limitOf() * LEAST_SHARE);
        low = refused / 2;
        plateau = refused * PLATEAU;
        halvedMs = nowMs;
      }
      sinceMs = Math.max(nowMs, resumeMs);
      return isNews;
    },
  };
}
