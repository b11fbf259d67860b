/**
 * Does `work` with a signal that aborts when `limitMs` is over (the reason is a `TimeoutError`), or when `signal` aborts
 * (with its reason). It does not stop waiting for work that ignores its signal.
 *
 * Written by hand because of Node 20: `AbortSignal.any` over a signal that lives for months leaks, and a signal of
 * `AbortSignal.timeout` that is combined with another can be collected as garbage and then never aborts.
 */
export async function withTimeLimit<Result>(
  limitMs: number,
  work: (limit: AbortSignal) => Promise<Result>,
  signal?: AbortSignal,
): Promise<Result> {
  const limit = new AbortController();
  const stop = (): void => limit.abort(signal?.reason);
  if (signal?.aborted) stop();
  signal?.addEventListener("abort", stop, { once: true });
  const timer = setTimeout(
    () => limit.abort(new DOMException(`took longer than ${limitMs / 1000} s`, "TimeoutError")),
    limitMs,
  );
  try {
    return await work(limit.signal);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  }
}
