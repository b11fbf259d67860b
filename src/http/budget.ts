import { setMaxListeners } from "node:events";
import { RETRY_AFTER_MAX_MS } from "./retry.ts";
import { MINUTE_MS, SECOND_MS } from "../time.ts";

/**
 * Requests do not all travel equally fast: two starts a second apart here may arrive closer together there. So the second
 * is taken to be this much longer, which costs 0.8 % of the limit; each refusal that comes nevertheless adds a little, for by
 * then it is known that the way is not that even.
 */
const JITTER_MS = 8;
const JITTER_STEP_MS = 8;
const JITTER_MAX_MS = 40;

/**
 * An answer that took longer than most may be that of a request which arrived late, by as much as that: its second is taken
 * to begin later. By no more than this, for an answer may as well have been long in the making.
 */
const LATE_MAX_MS = 60;

/** Most answers: all of the last so many, but for the slowest few. */
const ANSWERS = 64;
const SLOWEST_FEW = 8;

/** Timers fire late, and there is not always somebody who waits: what was missed, up to this much, is made good within the second. */
const CATCH_UP_MS = 50;

/** What was sent before the first 429 is refused as well, and so may be what follows in the same second: that halves the rate once. */
const SAME_THROTTLING_MS = SECOND_MS;

/**
 * After this, or after ten requests where they are fewer than one a second, the rate is back at the plateau, just under where
 * it was refused: nearly there in half of it, then slowly past it, then faster. So a refusal by mischance costs little, and a
 * limit lower than ours is not met much oftener than this.
 */
const RECOVERY_MS = 10 * SECOND_MS;
const PLATEAU = 0.95;

/** Not slower than this share of the limit, however often the other side refuses. */
const LEAST_SHARE = 1 / 64;

/** Timers overflow at 24.8 days and fire at once; and a machine that slept is seen within this. */
const TIMER_MAX_MS = MINUTE_MS;

/** After this, half of what a user has used is forgotten. */
const USE_HALVES_MS = MINUTE_MS;

/** A request's place among those of its second, which counts from when the request arrives there. */
export interface Place {
  /** To be called when the request has been sent: a connection takes its time. */
  sent(): void;
  /** To be called when its answer begins. */
  answered(): void;
}

/** The requests that one account may make. One budget for all streams of an account in this process. */
export interface RequestBudget {
  /**
   * Resolves when a request may start. Never more than the limit in any second, as long as none takes a second to be sent; of
   * a limit that is no whole number, as many as the next whole one in as much longer a time.
   *
   * Of several users, the one who used least in the last minutes goes first: a stream that is live, and asks for little, need
   * not wait behind one that fetches years; two of the same kind share. Each one's requests go in the order they came.
   * @param user who asks: any object of its own
   * @throws the signal's reason when aborted; the place is given up then
   */
  take(signal: AbortSignal, user?: object): Promise<Place>;

  /**
   * To be told of each 429: halves the rate, and nobody starts before `retryAfterMs` is over. The rate recovers by itself.
   * @param startedMs when the request started: those under way at a refusal do not halve the rate once more
   */
  throttled(retryAfterMs: number, startedMs?: number): void;
}

/** `now` is a monotonic clock in milliseconds. */
export function requestBudget(requestsPerSecond: number, now: () => number = () => performance.now()): RequestBudget {
  /** Who waits, in the order they came. */
  const waiting = new Map<(place: Place) => void, object>();
  const use = recentUse();
  const places = Math.ceil(requestsPerSecond);
  const starts = lastStarts(places);
  let jitterMs = JITTER_MS;
  const secondMs = () => (SECOND_MS * places) / requestsPerSecond + jitterMs;
  // Evenly spaced, rather than a second's worth at once: what arrives bunched up is refused sooner.
  const rate = recoveringRate(() => (requestsPerSecond * SECOND_MS) / (SECOND_MS + jitterMs));
  const mostMs = usual(ANSWERS, SLOWEST_FEW);
  /** When the last place was due by the rate alone; it may have been given later. */
  let lastDueMs = -Infinity;
  let pausedUntilMs = -Infinity;
  let timer: NodeJS.Timeout | undefined;

  function nextDueMs(nowMs: number): number {
    return Math.max(lastDueMs + SECOND_MS / rate.at(nowMs), nowMs - CATCH_UP_MS, pausedUntilMs);
  }

  /** The first in line of the user who used least. */
  function first(): ((place: Place) => void) | undefined {
    let least = Infinity;
    let chosen: ((place: Place) => void) | undefined;
    const nowMs = now();
    const looked = new Set<object>();
    for (const [start, user] of waiting) {
      if (looked.has(user)) continue;
      looked.add(user);
      const used = use.at(user, nowMs);
      if (used < least) [least, chosen] = [used, start];
    }
    return chosen;
  }

  function admit(): void {
    clearTimeout(timer);
    for (let start = first(); start !== undefined; start = first()) {
      const nowMs = now();
      const dueMs = nextDueMs(nowMs);
      const waitMs = Math.max(dueMs, starts.oldestMs() + secondMs()) - nowMs;
      if (waitMs > 0) {
        timer = setTimeout(admit, Math.min(Math.ceil(waitMs), TIMER_MAX_MS));
        return;
      }
      lastDueMs = dueMs;
      const correct = starts.add(nowMs);
      use.add(waiting.get(start) ?? EVERYBODY, nowMs);
      waiting.delete(start);
      start(placeOf(correct, nowMs));
    }
  }

  function placeOf(correct: (arrivedMs: number) => void, startMs: number): Place {
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
    take(signal, user = EVERYBODY) {
      return new Promise((resolve, reject) => {
        signal.throwIfAborted();
        const giveUp = () => {
          waiting.delete(start);
          // A timer that nobody waits for would keep the process from ending.
          if (waiting.size === 0) clearTimeout(timer);
          reject(signal.reason as Error);
        };
        const start = (place: Place) => {
          signal.removeEventListener("abort", giveUp);
          resolve(place);
        };
        // All who wait listen to one signal: that is no leak.
        setMaxListeners(0, signal);
        signal.addEventListener("abort", giveUp, { once: true });
        waiting.set(start, user);
        if (waiting.size === 1) admit();
      });
    },

    throttled(retryAfterMs, startedMs = now()) {
      const nowMs = now();
      pausedUntilMs = Math.max(pausedUntilMs, nowMs + Math.min(retryAfterMs, RETRY_AFTER_MAX_MS));
      if (rate.halve(startedMs, nowMs, pausedUntilMs)) jitterMs = Math.min(jitterMs + JITTER_STEP_MS, JITTER_MAX_MS);
    },
  };
}

/** Who asks without saying who. */
const EVERYBODY = {};

/** Requests of each user, the older the less. */
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

/** The most among the last `size` values but for `exceptions`: the least, as long as there are no more than those. */
function usual(size: number, exceptions: number): (value: number) => number {
  const values: number[] = [];
  let count = 0;
  return (value) => {
    values[count++ % size] = value;
    const ascending = values.toSorted((one, other) => one - other);
    return ascending[Math.max(ascending.length - 1 - exceptions, 0)] ?? value;
  };
}

/** When the last `size` requests started; `add` gives back what corrects that to when the request arrived. */
function lastStarts(size: number): { oldestMs(): number; add(nowMs: number): (arrivedMs: number) => void } {
  const times = new Float64Array(size).fill(-Infinity);
  let count = 0;
  return {
    oldestMs: () => times[count % size] ?? -Infinity,
    add(nowMs) {
      const mine = count++;
      times[mine % size] = nowMs;
      return (arrivedMs) => {
        // Its place may be another's by now.
        if (count - mine <= size) times[mine % size] = arrivedMs;
      };
    },
  };
}

/** Requests a second: halved when throttled, then back along a cubic curve, flat just under the rate that was refused. */
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
    /** False when the rate was halved for the same reason just now. */
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
