import { setTimeout as sleep } from "node:timers/promises";
import { TransientError } from "../errors.ts";
import { HOUR_MS } from "../time.ts";

export interface RetryPolicy {
  /** Including the first try. */
  readonly attempts: number;
  readonly baseMs: number;
  readonly capMs: number;
}

/** For one page and for one write; nothing else retries. Gives up after about one minute of waiting. */
export const DEFAULT_RETRY: RetryPolicy = { attempts: 6, baseMs: 1000, capMs: 30_000 };

/** The longest wait that a server can ask for: one answer must not stall a stream for days. */
export const RETRY_AFTER_MAX_MS = HOUR_MS;

/** The wait before the next try, in milliseconds: exponential with full jitter, and at least what the server asked for. */
export function retryDelayMs(
  attempt: number,
  { baseMs, capMs }: RetryPolicy,
  retryAfterMs = 0,
  random = Math.random(),
): number {
  const stepMs = Math.min(capMs, baseMs * 2 ** (attempt - 1));
  return Math.max(Math.min(retryAfterMs, RETRY_AFTER_MAX_MS), Math.round(random * stepMs));
}

/**
 * Reads a `Retry-After` header (RFC 9110, 10.2.3: seconds or an HTTP date) into milliseconds from `nowMs`, capped at one
 * hour; 0 when there is none or it is not valid.
 */
export function parseRetryAfter(header: string | undefined, nowMs: number): number {
  if (header === undefined) return 0;
  const text = header.trim();
  const ms = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs;
  return Number.isNaN(ms) ? 0 : Math.min(Math.max(ms, 0), RETRY_AFTER_MAX_MS);
}

/** Called for each failure that will be retried. */
export type OnRetry = (error: TransientError, attempt: number, delayMs: number) => void;

/**
 * Tries `work` until it succeeds.
 * @throws its last error, when that is no TransientError or no attempts are left; the signal's reason when aborted
 */
export async function withRetry<Result>(
  work: () => Promise<Result>,
  policy: RetryPolicy,
  signal: AbortSignal,
  onRetry: OnRetry,
): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof TransientError) || attempt >= policy.attempts) throw error;
      const delayMs = retryDelayMs(attempt, policy, error.retryAfterMs);
      onRetry(error, attempt, delayMs);
      await sleep(delayMs, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }
}
