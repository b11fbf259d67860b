import type { Stream } from "../assemble.ts";
import { longestSpanMs } from "../worker/schedule.ts";
import type { StreamDescription } from "../status/status.ts";

/** This many runs in a row may fail or be late before a stream counts as behind. */
const TICKS_ALLOWED = 3;

/** The description of a stream for its status. */
export function describeStream({ config, pipeline }: Pick<Stream, "config" | "pipeline">): StreamDescription {
  const { name, schedule, windows, lagLimitMs } = config;
  const { source, sink } = pipeline;
  return {
    stream: name,
    source: source.identity,
    sink: sink.place,
    schedule,
    start: windows.start,
    windowLagMs: windows.lagMs,
    retentionMs: source.retentionMs,
    lagLimitMs: lagLimitMs ?? windows.lagMs + windows.sizeMs + longestSpanMs(schedule, TICKS_ALLOWED),
  };
}
