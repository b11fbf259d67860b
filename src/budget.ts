import { setMaxListeners } from "node:events";
import { RETRY_AFTER_MAX_MS } from "./retry.ts";
import { MINUTE_MS, SECOND_MS } from "./time.ts";

/**
 * Requests do not all travel equally fast: two starts a second apart here may arrive closer together there. So the second
 * is taken to be this much longer, which costs 1.2 % of the limit; each refusal that comes nevertheless adds a little, for by
 * then it is known that the way is not that even.
 */
const JITTER_MS = 12;
const JITTER_STEP_MS = 8;
const JITTER_MAX_MS = 40;

/** A timer fires late, never early; what it is late, up to this much, the next start makes good. */
const LATENESS_MS = 50;

/** Requests under way when the first 429 arrives are refused as well: they do not halve the rate once more. */
const SAME_THROTTLING_MS = SECOND_MS;

/**
 * After this the rate is back at the plateau, just under where it was refused: nearly there in half of it, then slowly past
 * it, then faster. So a refusal by mischance costs little, and a limit lower than ours is not met much oftener than this.
 */
const RECOVERY_MS = 10 * SECOND_MS;
const PLATEAU = 0.95;

/** Not slower than this share of the limit, however often the other side refuses. */
const SLOWEST = 1 / 64;

/** Timers overflow at 24.8 days and fire at once; and a machine that slept is seen within this. */
const TIMER_MAX_MS = MINUTE_MS;

/** After this, half of what a user has used is forgotten. */
const USE_HALVES_MS = MINUTE_MS;

export type Sent = () => void;

/** The requests that one account may make. One budget for all streams of an account in this process. */
export interface RequestBudget {
  /**
   * Resolves when a request may start, with what is to be called when it has been sent (a connection takes its time, and
   * the second counts from when it arrives). Never more than the limit in any second (below one a second: in any such time).
   *
   * Of several users, the one who used least in the last minutes goes first: a stream that is live, and asks for little, need
   * not wait behind one that fetches years; two of the same kind share. Each one's requests go in the order they came.
   * @param user who asks: any object of its own
   * @throws the signal's reason when aborted; the place is given up then
   */
  take(signal: AbortSignal, user?: object): Promise<Sent>;

  /** To be told of each 429: halves the rate, and nobody starts before `retryAfterMs` is over. It recovers by itself. */
  throttled(retryAfterMs: number): void;
}

/** `now` is a monotonic clock in milliseconds. */
export function requestBudget(requestsPerSecond: number, now: () => number = () => performance.now()): RequestBudget {
  /** Who waits, in the order they came. */
  const waiting = new Map<(sent: Sent) => void, object>();
  const use = recentUse();
  const starts = lastStarts(Math.max(1, Math.floor(requestsPerSecond)));
  let jitterMs = JITTER_MS;
  // Below one request a second, the limit is one in several.
  const secondMs = () => SECOND_MS * Math.max(1, 1 / requestsPerSecond) + jitterMs;
  // Evenly spaced, rather than a second's worth at once: what arrives bunched up is refused sooner.
  const rate = recoveringRate(() => (requestsPerSecond * SECOND_MS) / (SECOND_MS + jitterMs));
  let lastSlotMs = -Infinity;
  let pausedUntilMs = -Infinity;
  let timer: NodeJS.Timeout | undefined;

  function nextSlotMs(nowMs: number): number {
    const pacedMs = Math.max(lastSlotMs + SECOND_MS / rate.at(nowMs), nowMs - LATENESS_MS);
    return Math.max(pacedMs, pausedUntilMs, starts.oldestMs() + secondMs());
  }

  /** The first in line of the user who used least. */
  function first(): ((sent: Sent) => void) | undefined {
    let least = Infinity;
    let chosen: ((sent: Sent) => void) | undefined;
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
      const slotMs = nextSlotMs(nowMs);
      if (slotMs > nowMs) {
        timer = setTimeout(admit, Math.min(Math.ceil(slotMs - nowMs), TIMER_MAX_MS));
        return;
      }
      lastSlotMs = slotMs;
      const correct = starts.add(nowMs);
      use.add(waiting.get(start) ?? EVERYBODY, nowMs);
      waiting.delete(start);
      start(() => correct(now()));
    }
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
        const start = (sent: Sent) => {
          signal.removeEventListener("abort", giveUp);
          resolve(sent);
        };
        // All who wait listen to one signal: that is no leak.
        setMaxListeners(0, signal);
        signal.addEventListener("abort", giveUp, { once: true });
        waiting.set(start, user);
        if (waiting.size === 1) admit();
      });
    },

    throttled(retryAfterMs) {
      const nowMs = now();
      pausedUntilMs = Math.max(pausedUntilMs, nowMs + Math.min(retryAfterMs, RETRY_AFTER_MAX_MS));
      if (rate.halve(nowMs, pausedUntilMs)) jitterMs = Math.min(jitterMs + JITTER_STEP_MS, JITTER_MAX_MS);
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

/** When the last `size` requests started; `add` gives back what corrects that to when the request was sent. */
function lastStarts(size: number): { oldestMs(): number; add(nowMs: number): (sentMs: number) => void } {
  const times = new Float64Array(size).fill(-Infinity);
  let count = 0;
  return {
    oldestMs: () => times[count % size] ?? -Infinity,
    add(nowMs) {
      const mine = count++;
      times[mine % size] = nowMs;
      return (sentMs) => {
        // Its place may be another's by now.
        if (count - mine <= size) times[mine % size] = sentMs;
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

  function at(nowMs: number): number {
    const share = Math.max(0, nowMs - sinceMs) / RECOVERY_MS - 1;
    return Math.min(limitOf(), plateau + (plateau - low) * share ** 3);
  }

  return {
    at,
    /** False when the rate was halved for the same reason just now. */
    halve(nowMs: number, resumeMs: number): boolean {
      const isNews = nowMs >= Math.max(halvedMs + SAME_THROTTLING_MS, sinceMs);
      if (isNews) {
        const refused = Math.max(at(nowMs), 2 * limitOf() * SLOWEST);
        low = refused / 2;
        plateau = refused * PLATEAU;
        halvedMs = nowMs;
      }
      sinceMs = Math.max(nowMs, resumeMs);
      return isNews;
    },
  };
}
