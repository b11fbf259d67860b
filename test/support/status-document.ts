import type { HourStatus, StatusDocument, StreamStatus, WindowStatus } from "../../src/status/status-document.ts";
import { epochMs, formatInstant, HOUR_MS, MINUTE_MS, type EpochMs } from "../../src/time.ts";
import { addTotals, NO_TOTALS, type Totals } from "../../src/totals.ts";

export const NOW = epochMs(Date.UTC(2026, 10, 20, 10, 42, 5));
export const before = (ms: number): string => formatInstant(epochMs(NOW - ms));

/** A document of these streams, at `NOW`. */
export function documentOf(...streams: readonly StreamStatus[]): StatusDocument {
  return { version: "0.1.0", startedAt: before(26 * HOUR_MS), now: formatInstant(NOW), stopping: false, streams };
}

/** A new stream before its first tick, with these changes. */
export function streamOf(changes: Partial<StreamStatus> = {}): StreamStatus {
  return {
    stream: "acme",
    state: "starting",
    ...{ why: null, hint: null },
    source: { type: "pachca", baseUrl: "https://api.pachca.com/api/shared/v1", account: "acme" },
    sink: "s3://acme-siem/audit/acme",
    schedule: "*/5 * * * *",
    ...{ exportedUntil: null, lagSeconds: null, lagLimitSeconds: 900 },
    ...{ nextTick: null, lastTick: null, lastSuccess: null, failedTicks: 0, running: null, failure: null, errors: [] },
    ...{ head: null, completeness: null, reconciledAt: null, retention: null, windows: [], hours: [] },
    gaps: { count: 0, seconds: 0, spans: [], knownFrom: null },
    last24Hours: NO_TOTALS,
    ...{ clockOffsetSeconds: null, isPastRead: true },
    day: { from: null, ...NO_TOTALS, lateness: {}, wouldCatch: "0s", keys: [] },
    totals: NO_TOTALS,
    ...changes,
  };
}

/** A window of five minutes that ended `endedMinutes` before the last full five minutes. */
export function windowOf(endedMinutes: number, changes: Partial<WindowStatus> = {}): WindowStatus {
  const end = epochMs(Math.floor(NOW / (5 * MINUTE_MS)) * 5 * MINUTE_MS - endedMinutes * MINUTE_MS);
  const from = epochMs(end - 5 * MINUTE_MS);
  return {
    sequence: 10_000 - endedMinutes / 5,
    kind: "window",
    ...{ from: formatInstant(from), to: formatInstant(end) },
    ...{ events: 0, late: 0, quarantined: 0, bytes: 0 },
    ...changes,
  };
}

/** The hours of these windows, as the document counts them. */
export function hoursOf(windows: readonly WindowStatus[]): HourStatus[] {
  const hours = new Map<EpochMs, HourStatus>();
  for (const window of windows) {
    const from = epochMs(Math.floor(Date.parse(window.from) / HOUR_MS) * HOUR_MS);
    const hour = hours.get(from) ?? { from: formatInstant(from), ...NO_TOTALS, exportedSeconds: 0, gapSeconds: 0 };
    const seconds = (Date.parse(window.to) - Date.parse(window.from)) / 1000;
    hours.set(from, {
      ...hour,
      ...addTotals(hour, { ...window, windows: 1, gaps: window.kind === "gap" ? 1 : 0 }),
      exportedSeconds: hour.exportedSeconds + (window.kind === "window" ? seconds : 0),
      gapSeconds: hour.gapSeconds + (window.kind === "gap" ? seconds : 0),
    });
  }
  return [...hours.values()].sort((one, other) => Date.parse(one.from) - Date.parse(other.from));
}

/** Six days of whole hours before a window. */
function olderHours({ from }: WindowStatus): HourStatus[] {
  return Array.from({ length: 144 }, (_, index) => ({
    from: formatInstant(epochMs(Math.floor(Date.parse(from) / HOUR_MS) * HOUR_MS - (144 - index) * HOUR_MS)),
    ...{ windows: 12, events: index % 24 < 4 ? 0 : 300, late: 0, quarantined: 0, gaps: 0, bytes: 18_000 },
    ...{ exportedSeconds: 3600, gapSeconds: 0 },
  }));
}

/** A well stream with a full day of windows behind it, some of them quiet, some with late events. */
export function busyStream(changes: Partial<StreamStatus> = {}): StreamStatus {
  const windows = Array.from({ length: 288 }, (_, index) => {
    const endedMinutes = 5 * (287 - index);
    const wave = Math.sin((Date.parse(windowOf(endedMinutes).from) / HOUR_MS / 24 - 0.25) * 2 * Math.PI) + 0.9;
    const events = Math.max(0, Math.round(60 * wave + 14 * Math.sin(index * 1.7) + 9 * Math.sin(index * 0.31)));
    return windowOf(endedMinutes, { events, late: index % 37 === 5 && events > 0 ? 3 : 0, bytes: events * 61 });
  });
  const hours = [...olderHours(windows[0]!), ...hoursOf(windows)];
  const totals = hoursOf(windows).reduce<Totals>(addTotals, NO_TOTALS);
  return streamOf({
    state: "ok",
    exportedUntil: windows.at(-1)!.to,
    lagSeconds: (NOW - Date.parse(windows.at(-1)!.to)) / 1000,
    nextTick: before(-175_000),
    lastTick: before(125_000),
    lastSuccess: before(125_000),
    head: { sequence: 10_000, sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" },
    completeness: 1,
    reconciledAt: before(7 * HOUR_MS),
    retention: { until: before(-90 * 24 * HOUR_MS), leftSeconds: 90 * 86_400 - 125 },
    ...{ windows, hours, totals, last24Hours: totals },
    gaps: { count: 0, seconds: 0, spans: [], knownFrom: 1 },
    day: {
      ...{ from: hours[144]!.from, ...totals, wouldCatch: "5m" },
      lateness: { "1m": 14, "2m": 6, "5m": 3, "1h": 1 },
      keys: [
        { key: "user_login", events: 5210 },
        { key: "audit_events_accessed", events: 4316 },
        { key: "user_2fa_fail", events: 822 },
        { key: "message_updated", events: 410 },
        { key: "access_token_created", events: 37 },
      ],
    },
    ...changes,
  });
}
