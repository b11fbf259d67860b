import { setTimeout as sleep } from "node:timers/promises";
import { TransientError } from "../errors.ts";
import { HOUR_MS } from "../time.ts";

export interface RetryPolicy {
  /** Tries in all, the first included. */
  readonly attempts: number;
  readonly baseMs: number;
  readonly capMs: number;
}

/** Around one page and around one write; nothing else retries. Gives up after about a minute of waiting. */
export const DEFAULT_RETRY: RetryPolicy = { attempts: 6, baseMs: 1000, capMs: 30_000 };

/** The longest wait that a `Retry-After` can ask for: one answer must not stall a stream for days. */
export const RETRY_AFTER_MAX_MS = HOUR_MS;

/** The wait before the next try: exponential with full jitter, never shorter than what the other side asked for. */
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
 * hour; 0 when there is none or it cannot be read.
 */
export function parseRetryAfter(header: string | undefined, nowMs: number): number {
  if (header === undefined) return 0;
  const text = header.trim();
  const ms = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs;
  return Number.isNaN(ms) ? 0 : Math.min(Math.max(ms, 0), RETRY_AFTER_MAX_MS);
}

/** Told of each failure that will be tried again. */
export type OnRetry = (error: TransientError, attempt: number, delayMs: number) => void;

/** Tries `work` until it succeeds, fails for good, is aborted, or the attempts are used up; then its error is thrown. */
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
