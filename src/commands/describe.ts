import type { Stream } from "../assemble.ts";
import { longestSpanMs } from "../worker/schedule.ts";
import type { StreamDescription } from "../status/status.ts";

/** So many ticks in a row may fail or be late before a stream counts as behind. */
const TICKS_ALLOWED = 3;

/** A stream as its status shows it. */
export function describe({ config, pipeline }: Pick<Stream, "config" | "pipeline">): StreamDescription {
  const { name, schedule, windows, lagLimitMs } = config;
  const { source, sink } = pipeline;
  return {
    stream: name,
    source: source.identity,
    sink: sink.place,
    schedule,
    start: windows.start,
    settleMs: windows.lagMs,
    retentionMs: source.retentionMs,
    lagLimitMs: lagLimitMs ?? windows.lagMs + windows.sizeMs + longestSpanMs(schedule, TICKS_ALLOWED),
  };
}
