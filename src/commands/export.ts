import { once } from "node:events";
import { createWriteStream, existsSync } from "node:fs";
import { link, rm } from "node:fs/promises";
import type { Writable } from "node:stream";
import { finished } from "node:stream/promises";
import { sourceFor } from "../assemble.ts";
import type { StreamConfig } from "../config/config.ts";
import { ProtocolError, RefusedError, TransientError, UsageError } from "../errors.ts";
import { idSet } from "../ledger/ids.ts";
import { factLog, logger } from "../observe/log.ts";
import { progress } from "../observe/progress.ts";
import { readAhead } from "../export/read-ahead.ts";
import { hoursOf } from "../export/reconcile.ts";
import { earlierClock } from "../source.ts";
import { writeOut } from "../sinks/stdout.ts";
import { epochMs, formatInstant, SECOND_MS, type EpochMs, type Span } from "../time.ts";
import { retentionFloor } from "../export/window.ts";
import { loadStreams, logLevelOf, spanOf, type ConfigOptions } from "./streams.ts";
import { linesOf } from "../sinks/delivered.ts";

export interface ExportOptions extends ConfigOptions {
  readonly stream: string;
  readonly from: string;
  readonly to: string;
  /** A file that does not exist yet, or `-` for stdout. */
  readonly out: string;
  readonly eventKey?: readonly string[];
}

/** One period of a stream's log as lines, in order of time, each event once. The ledger is neither read nor written. */
export async function exportCommand(options: ExportOptions, signal: AbortSignal): Promise<number> {
  const span = spanOf(options);
  const config = await loadStreams(options, [options.stream]);
  const [stream] = config.streams;
  if (stream === undefined) throw new UsageError(`no stream ${options.stream}`);
  const log = factLog(logger(logLevelOf("warn")));
  const { source, format } = sourceFor(narrowed(stream, options.eventKey), { env: process.env, observe: log });

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
  // Never 0 when something was not done.
  throw new ProtocolError(`export: ${left} items are no events, and were left out`);
}

/** The stream, asked for some keys of events alone. */
function narrowed(stream: StreamConfig, eventKeys: readonly string[] | undefined): StreamConfig {
  if (eventKeys === undefined) return stream;
  const { source } = stream;
  if (source.type !== "pachca") {
    throw new UsageError(`--event-key: the source ${source.type} cannot be asked for some kinds of event alone`);
  }
  return { ...stream, source: { ...source, filter: { ...source.filter, eventKeys } } };
}

/** A short answer must not look like a whole one: the period must be over, and kept by the source. */
function refuseShort({ from, to }: Span, now: EpochMs, lagMs: number, retentionMs: number | undefined): void {
  if (to + lagMs > now) {
    const latest = epochMs(Math.floor((now - lagMs) / SECOND_MS) * SECOND_MS);
    throw new TransientError("unavailable", `export: the period is not over until ${formatInstant(to)} and the lag`, {
      hint: `wait, or end it at ${formatInstant(latest)}`,
    });
  }
  const floor = retentionFloor(now, retentionMs);
  if (from < floor) {
    const earliest = epochMs(Math.ceil(floor / SECOND_MS) * SECOND_MS);
    throw new RefusedError("not_found", `export: the source does not keep events of ${formatInstant(from)} any more`, {
      hint: `begin at ${formatInstant(earliest)} or later`,
    });
  }
}

interface Destination {
  readonly out: Writable;
  /** Everything is there, under its name. */
  done(): Promise<void>;
  /** Half an export must not look like a whole one. */
  abandon(): Promise<void>;
}

async function openOut(path: string): Promise<Destination> {
  if (path === "-") {
    return { out: process.stdout, done: async () => undefined, abandon: async () => undefined };
  }
  // Said now, and not after hours of reading; `link` has the last word.
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
    EEXIST: "it exists already: remove it, or name another file",
    ENOENT: "make its folder first",
    EACCES: "this user may not write there",
  };
  const hint = hints[code];
  return new RefusedError("bad_request", `write ${path}: ${code}`, { hint, cause });
}
