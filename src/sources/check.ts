import { codeOf } from "../errors.ts";
import type { Finding } from "../source.ts";
import { formatDuration, SECOND_MS } from "../time.ts";

/** The earlier of two clocks decides when a window is ready, so a wrong clock exports windows late, or too early. */
export function clockFinding(offsetMs: number | undefined, lagMs: number): Finding {
  if (offsetMs === undefined) {
    return { state: "warning", what: "clocks: the API sends no Date header", hint: "synchronize this machine's clock" };
  }
  // The offset is known to the second.
  const seconds = Math.round(Math.abs(offsetMs) / SECOND_MS);
  const difference = formatDuration(seconds * SECOND_MS);
  const what = `clocks: this machine and the API differ by ${difference}`;
  if (Math.abs(offsetMs) <= lagMs / 3) return { state: "ok", what };
  const hint = `set this machine's clock: it is ${difference} ${offsetMs > 0 ? "behind" : "ahead"}`;
  return { state: Math.abs(offsetMs) > lagMs ? "failed" : "warning", what, hint };
}

/** The finding for a refusal or an outage. Throws aborts and bugs. */
export function failedFinding(what: string, error: unknown, signal: AbortSignal): Finding {
  signal.throwIfAborted();
  if (!(error instanceof Error) || codeOf(error) === "bug") throw error;
  const hint = "hint" in error && typeof error.hint === "string" ? error.hint : undefined;
  return { state: "failed", what: `${what}: ${error.message}`, hint, error };
}
