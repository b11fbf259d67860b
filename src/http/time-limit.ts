/**
 * Does `work` with a signal that aborts with `signal`, or when the time is over. By hand: in Node 20 the signal of
 * `AbortSignal.timeout`, once it is composed with another, is forgotten and never aborts.
 */
export async function within<Result>(
  limitMs: number,
  signal: AbortSignal,
  work: (limit: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const limit = new AbortController();
  const stop = (): void => limit.abort(signal.reason);
  if (signal.aborted) stop();
  signal.addEventListener("abort", stop, { once: true });
  const timer = setTimeout(() => limit.abort(new DOMException("the time is over", "TimeoutError")), limitMs);
  try {
    return await work(limit.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }
}
