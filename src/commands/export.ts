import { once } from "node:events";
import { createWriteStream, existsSync } from "node:fs";
import { link, rm } from "node:fs/promises";
import type { Writable } from "node:stream";
import { finished } from "node:stream/promises";
import type { StreamConfig } from "../config/config.ts";
import { ProtocolError, RefusedError, TransientError, UsageError } from "../errors.ts";
import { idSet } from "../ledger/ids.ts";
import { progress } from "../observe/progress.ts";
import { readAhead } from "../export/read-ahead.ts";
import { earlierClock } from "../source.ts";
import { epochMs, formatInstant, SECOND_MS, type EpochMs, type Span } from "../time.ts";
import { retentionFloor } from "../export/window.ts";
import { linesOf } from "../sinks/delivered.ts";
import { command, CONFIG, FROM, required, spanOf, text, texts, TO, withDefault, type OptionsOf } from "./command.ts";

const flags = {
  config: CONFIG,
  stream: required(text("name", "the stream whose source to read", { short: "s" })),
  from: FROM,
  to: TO,
  out: withDefault(text("file", "a file that does not exist yet, or - for stdout", { short: "o" }), "-"),
  eventKey: texts("key", "only events of these kinds", { short: "k" }),
};

export const exportPeriod = command({
  name: "export",
  about: "writes the events of one period to a file or to stdout, without the ledger",
  flags,
  help: `
Example:
  siem-export export -s pachca-acme --from 2026-11-01T00:00:00Z --to 2026-11-02T00:00:00Z -k user_login -o logins.ndjson`,
  run: exportEvents,
});

/** Writes the lines in order of time, each event once. The ledger is neither read nor written. */
async function exportEvents(options: OptionsOf<typeof flags>, signal: AbortSignal): Promise<number> {
  const { loadStreams, logOf } = await import("./streams.ts");
  const { sourceFor } = await import("../assemble.ts");
  const { hoursOf } = await import("../export/reconcile.ts");
  const { writeOut } = await import("../sinks/stdout.ts");
  const span = spanOf(options);
  const config = await loadStreams(options.config, [options.stream]);
  const [stream] = config.streams;
  if (stream === undefined) throw new UsageError(`no stream ${options.stream}`);
  const log = logOf("warn");
  const { source, format } = sourceFor(await narrowed(stream, options.eventKey), { env: process.env, observe: log });

  const now = await earlierClock(source, epochMs(Date.now()), signal);
  refuseShort(span, now, stream.windows.lagMs, source.retentionMs);
  const destination = await openOut(options.out);
  const reader = readAhead(source, stream.parallel);
  const bar = progress(span, process.stderr);
  const seen = idSet();
  let left = 0;
  try {
    for (const part of hoursOf(span)) {
      for await (const { events, poison } of reader.read(part, hoursOf({ from: part.to, to: span.to }), signal)) {
        for (const { reason } of poison) log({ kind: "item.left", stream: stream.name, reason });
        left += poison.length;
        const fresh = events.filter(({ id }) => seen.add(id));
        if (fresh.length > 0) await writeOut(destination.out, linesOf(fresh, format), signal);
        const last = fresh.at(-1);
        if (last !== undefined) bar.update(last.time, seen.size);
      }
      bar.update(part.to, seen.size);
    }
    await destination.done();
  } catch (error) {
    await destination.abandon();
    throw error;
  } finally {
    reader.close();
    bar.end();
  }
  process.stderr.write(`${seen.size} events\n`);
  if (left === 0) return 0;
  // The exit code is not 0, for something was not exported.
  throw new ProtocolError(`export: ${left} items are not valid events and were left out`);
}

/** The stream, limited to some kinds of events. */
async function narrowed(stream: StreamConfig, eventKeys: readonly string[] | undefined): Promise<StreamConfig> {
  if (eventKeys === undefined) return stream;
  const { withEventKeys } = await import("../sources/index.ts");
  const source = withEventKeys(stream.source, eventKeys);
  if (source === undefined) {
    throw new UsageError(`--event-key: the source ${stream.source.type} has no filter by kind of event`);
  }
  return { ...stream, source };
}

/** A partial export must not look complete: the period must be over, and the source must still keep its events. */
function refuseShort({ from, to }: Span, now: EpochMs, lagMs: number, retentionMs: number | undefined): void {
  if (to + lagMs > now) {
    const latest = epochMs(Math.floor((now - lagMs) / SECOND_MS) * SECOND_MS);
    throw new TransientError(
      "unavailable",
      `export: the period is not complete before ${formatInstant(epochMs(to + lagMs))}, its end plus the lag`,
      {
        hint: `wait, or use --to ${formatInstant(latest)}`,
      },
    );
  }
  const floor = retentionFloor(now, retentionMs);
  if (from < floor) {
    const earliest = epochMs(Math.ceil(floor / SECOND_MS) * SECOND_MS);
    throw new RefusedError("not_found", `export: the source no longer keeps events of ${formatInstant(from)}`, {
      hint: `use --from ${formatInstant(earliest)} or later`,
    });
  }
}

interface Destination {
  readonly out: Writable;
  /** Resolves when everything is in the file, under its final name. */
  done(): Promise<void>;
  /** Removes the partial file: it must not look like a complete export. */
  abandon(): Promise<void>;
}

async function openOut(path: string): Promise<Destination> {
  if (path === "-") {
    return { out: process.stdout, done: async () => undefined, abandon: async () => undefined };
  }
  // Checked now, so that it does not fail after hours of reading. `link` at the end decides.
  if (existsSync(path)) throw refused(path, Object.assign(new Error("it exists"), { code: "EEXIST" }));
  const partial = `${path}.${process.pid}.tmp`;
  const out = createWriteStream(partial, { flags: "wx" });
  try {
    await once(out, "open");
  } catch (error) {
    throw refused(path, error);
  }
  const failed = finished(out).then(
    () => undefined,
    (error: unknown) => error,
  );
  return {
    out,
    async done() {
      out.end();
      const error = await failed;
      if (error !== undefined) throw refused(path, error);
      try {
        await link(partial, path);
      } catch (error) {
        throw refused(path, error);
      } finally {
        await rm(partial, { force: true });
      }
    },
    async abandon() {
      out.destroy();
      await failed;
      await rm(partial, { force: true });
    },
  };
}

function refused(path: string, cause: unknown): RefusedError {
  const code = (cause as NodeJS.ErrnoException).code ?? "failed";
  const hints: Readonly<Record<string, string>> = {
    EEXIST: "it already exists: remove it, or choose another file",
    ENOENT: "create its folder first",
    EACCES: "this user has no permission to write there",
  };
  const hint = hints[code];
  return new RefusedError("bad_request", `write ${path}: ${code}`, { hint, cause });
}
