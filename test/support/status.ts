import type { Fact } from "../../src/fact.ts";
import { metrics } from "../../src/observe/metrics.ts";
import type { ServerContent } from "../../src/server/server.ts";
import { applyFact, initialStatus, type Status, type StreamDescription } from "../../src/status/status.ts";
import { epochMs, HOUR_MS, MINUTE_MS, type EpochMs } from "../../src/time.ts";
import { START } from "./world.ts";
import { statusAt } from "../../src/status/status-at.ts";

/** The description of a stream, for a status. */
export const described = (stream: string, changes: Partial<StreamDescription> = {}): StreamDescription => ({
  ...{ stream, sink: "memory", schedule: "*/5 * * * *", start: START, retentionMs: undefined },
  source: { type: "memory", baseUrl: "memory:", account: "acme" },
  ...{ lagLimitMs: 30 * MINUTE_MS, windowLagMs: 2 * MINUTE_MS },
  ...changes,
});

const HELLO: Fact = { kind: "worker.started", version: "1.2.3", config: "x", streams: ["acme"] };

/** The status after these facts, each with the time at which it happened. */
export function fold(
  facts: readonly (readonly [at: EpochMs, fact: Fact])[],
  streams: readonly StreamDescription[] = [described("acme")],
): Status {
  const hello = applyFact(initialStatus("1.2.3", streams), HELLO, START);
  return facts.reduce<Status>((status, [at, fact]) => applyFact(status, fact, at), hello);
}

type Window = Extract<Fact, { kind: "window.committed" }>;

/** The window of five minutes with this sequence was committed; the first begins at `START`. */
export function committed(sequence: number, changes: Partial<Window> = {}): Window {
  const from = epochMs(START + (sequence - 1) * 5 * MINUTE_MS);
  return {
    ...{ kind: "window.committed", stream: "acme", type: "window", sequence, sha256: "ab".repeat(32) },
    window: { from, to: epochMs(from + 5 * MINUTE_MS) },
    ...{ events: 5, late: 0, quarantined: 0, objects: 1, bytes: 100 },
    ...changes,
  };
}

type Tick = Extract<Fact, { kind: "tick.done" }>;

export function ticked(sequence: number, changes: Partial<Tick> = {}): Tick {
  return {
    ...{ kind: "tick.done", stream: "acme", windows: 1, events: 5, late: 0, quarantined: 0, gaps: 0, bytes: 100 },
    ...{ durationMs: 9, exportedUntil: committed(sequence).window.to, head: { sequence, sha256: "ab".repeat(32) } },
    ...changes,
  };
}

/** An hour and a half after the start. */
export const LATER = epochMs(START + 1.5 * HOUR_MS);

/** The content of a server for a status. */
export function contentOf(status: () => Status, now: () => EpochMs = () => LATER): ServerContent {
  const document = () => statusAt(status(), now());
  return {
    document,
    metrics: metrics([...status().streams.keys()], "1.2.3", document),
    page: {
      render: ({ streams }, stream) => `<!doctype html><title>${stream ?? streams.length}</title>`,
      assets: new Map([["/style.css", { type: "text/css; charset=utf-8", body: Buffer.from("p {}") }]]),
    },
  };
}
