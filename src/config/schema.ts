import { z } from "zod";
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from "../time.ts";
import {
  byteSize,
  choice,
  cron,
  directory,
  divisorOfHour,
  duration,
  group,
  instant,
  list,
  oneOf,
  text,
  whole,
} from "./values/values.ts";
import { FORMATS } from "../formats/index.ts";
import { lookbackMsOf, SOURCES } from "../sources/index.ts";
import { notify } from "./notify.ts";
import { rules } from "./values/rules.ts";
import { streamsApart } from "./streams-apart.ts";
import { serverOrFalse } from "./server.ts";
import { ledgerSettings, sinkSettings } from "../sinks/index.ts";

/*
 * The schema of the configuration. Its types, messages, JSON Schema and manual come from it, so each key has a description
 * for newcomers.
 */

const windows = group({
  start: instant(
    "a time in UTC, in whole seconds, such as 2026-11-01T00:00:00Z; Pachca keeps events for 90 days",
  ).describe("The time of the first event to export. Pachca keeps events for 90 days. Do not change it later."),
  size: divisorOfHour()
    .prefault("5m")
    .describe("The span of event time in one window, which is exported and retried as a whole."),
  catchUpSize: divisorOfHour()
    .prefault("1h")
    .describe("The size of windows while the export is far behind, for fewer and larger objects. A multiple of size."),
  lag: duration(0, DAY_MS)
    .prefault("2m")
    .describe("How far to stay behind the clock, so that events that the source shows late are not missed."),
  lookback: duration(0, 7 * DAY_MS)
    .optional()
    .meta({ usual: "15m" })
    .describe(
      "How far each run looks back for events that appeared even later. They are exported once and counted as late.",
    ),
})
  .check(
    rules(({ size, catchUpSize }) => [
      [
        "catchUpSize",
        "not a multiple of size",
        typeof size === "number" && typeof catchUpSize === "number" && catchUpSize % size !== 0,
      ],
    ]),
  )
  .transform(({ start, size, catchUpSize, lag, lookback }) => ({
    start,
    sizeMs: size,
    catchUpSizeMs: catchUpSize,
    lagMs: lag,
    lookbackMs: lookback,
  }));

const batch = group({
  maxEvents: whole(1, 1_000_000).default(50_000).describe("The maximum number of events in one object."),
  maxBytes: byteSize("64KiB", "1GiB")
    .prefault("32MiB")
    .describe("The maximum size of one object before compression. A larger window becomes several objects."),
  maxEventBytes: byteSize("1KiB", "1GiB")
    .prefault("16MiB")
    .describe("The maximum size of one event. A larger event is quarantined, and the window continues."),
});

const reconcile = group({
  schedule: cron().describe("When to compare a past span with the source, in UTC."),
  span: duration(MINUTE_MS, 90 * DAY_MS).describe("How much of the most recent export is compared each time."),
}).transform(({ schedule, span }) => ({ schedule, spanMs: span }));

const severities = z
  .record(text("an event key, such as user_2fa_fail", /^\S{1,100}$/), whole(0, 10), {
    error: "a mapping of event keys to numbers from 0 to 10",
  })
  .meta({ accepted: "a mapping of event keys to numbers from 0 to 10" });

const stream = group({
  name: text("1 to 63 of a-z, 0-9 and dash", /^[a-z0-9-]{1,63}$/).describe(
    "The stream's name: its folder or prefix, and its name in the log. A new name starts a new ledger.",
  ),
  schedule: cron()
    .prefault("*/5 * * * *")
    .describe("When to export, in UTC. The worker also runs once at start. The next run catches up on a missed one."),
  source: oneOf(
    "the source",
    SOURCES.map(({ schema }) => schema),
  ).describe("Where events come from."),
  windows: windows.describe("How time is divided into windows."),
  parallel: whole(1, 128).default(16).describe("How many requests run in parallel while catching up."),
  batch: batch.prefault({}).describe("How large one object may become."),
  format: choice(FORMATS.map(({ name }) => name))
    .default(FORMATS[0].name)
    .describe(`What a line or message looks like. ${FORMATS.map(({ name, about }) => `${name}: ${about}.`).join(" ")}`),
  severities: severities
    .prefault({})
    .describe("Severities of event keys from 0 to 10, used by cef, leef and the priority of syslog."),
  sink: sinkSettings.describe("Where events go."),
  lagLimit: duration(SECOND_MS, 365 * DAY_MS)
    .optional()
    .describe(
      "How far behind the clock the stream may be before it counts as not ready. Default: windows.lag plus windows.size plus the longest possible time of three consecutive waits of the schedule, such as 22m for the defaults.",
    ),
  reconcile: reconcile
    .optional()
    .describe(
      "Requests recent events from the source again and reports what is missing. Default: only on demand, by `siem-export reconcile`.",
    ),
  ledger: ledgerSettings
    .optional()
    .describe(
      "Where the ledger is, and the key that signs it. Default: with the data, or in stateDirectory for syslog and stdout; unsigned.",
    ),
}).transform(({ lagLimit, windows, ...rest }) => ({
  ...rest,
  windows: { ...windows, lookbackMs: windows.lookbackMs ?? lookbackMsOf(rest.source) },
  ...(lagLimit !== undefined && { lagLimitMs: lagLimit }),
}));

const log = group({
  level: choice(["silent", "error", "warn", "info", "debug", "trace"])
    .default("info")
    .describe("The lowest level to log on standard error."),
});

export const configSchema = group({
  streams: list(stream, 1, 100).describe("What to export: each stream takes one source account to one sink."),
  stateDirectory: directory()
    .prefault("./state")
    .describe("The folder for the ledgers of streams whose sink keeps no objects (syslog, stdout)."),
  server: serverOrFalse
    .prefault({})
    .describe("Where health, metrics and the status page are served. false turns them off."),
  notify: notify.prefault({}).describe("Who is notified when a stream is unhealthy. Default: no one."),
  shutdownGrace: duration(0, HOUR_MS)
    .prefault("5s")
    .describe(
      "How long a worker may take to finish current windows after SIGTERM. The next start resumes what is unfinished.",
    ),
  log: log.prefault({}).describe("What is logged."),
})
  .check(streamsApart())
  .transform(({ shutdownGrace, ...rest }) => ({ ...rest, shutdownGraceMs: shutdownGrace }))
  .describe("The configuration of siem-export.");
