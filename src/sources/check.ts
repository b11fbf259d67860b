import { codeOf } from "../errors.ts";
import type { Finding } from "../source.ts";
import { formatDuration, SECOND_MS } from "../time.ts";

/** A window is ready by the earlier of two clocks, so a wrong clock delays windows, or reads them too early. */
export function clockFinding(offsetMs: number | undefined, lagMs: number): Finding {
  if (offsetMs === undefined) {
    return { state: "warning", what: "clocks: the API does not say its time", hint: "keep this machine's clock right" };
  }
  // The offset is known to the second.
  const seconds = Math.round(Math.abs(offsetMs) / SECOND_MS);
  const apart = formatDuration(seconds * SECOND_MS);
  const what = `clocks: ours and the API's are ${apart} apart`;
  if (Math.abs(offsetMs) <= lagMs / 3) return { state: "ok", what };
  const hint = `set this machine's clock: it is ${apart} ${offsetMs > 0 ? "behind" : "ahead"}`;
  return { state: Math.abs(offsetMs) > lagMs ? "failed" : "warning", what, hint };
}

/** A refusal or an outage is a finding. An abort and a bug are thrown. */
export function failedFinding(what: string, error: unknown, signal: AbortSignal): Finding {
  signal.throwIfAborted();
  if (!(error instanceof Error) || codeOf(error) === "bug") throw error;
  const hint = "hint" in error && typeof error.hint === "string" ? error.hint : undefined;
  return { state: "failed", what: `${what}: ${error.message}`, hint, error };
}
