import { resolve } from "node:path";
import type { Stream } from "../assemble.ts";
import type { Observe } from "../fact.ts";
import { factLog, logger } from "../observe/log.ts";
import { notifications } from "../notify/notify.ts";
import { pastReader } from "../status/ledger-history.ts";
import { serveHealth } from "../server/server.ts";
import { SECOND_MS } from "../time.ts";
import { EXPORTER } from "../version.ts";
import { work } from "../worker/worker.ts";
import { assembleNow, loadStreams, logLevelOf, type ConfigOptions } from "./streams.ts";
import { tellingOf } from "./observers.ts";
import { within } from "../http/time-limit.ts";

/** What is waiting to be sent at the end may hold up the end for so long. */
const NOTIFY_AT_END_MS = 3 * SECOND_MS;

/** The worker, until `signal` aborts. Resolves with the exit code. */
export async function runCommand(options: ConfigOptions, signal: AbortSignal): Promise<number> {
  const config = await loadStreams(options);
  // The streams tell their facts to readers who must know the streams first.
  const readers = [factLog(logger(logLevelOf(config.log.level)))];
  const observe: Observe = (fact) => readers.forEach((read) => read(fact));
  const streams = assembleNow(config, observe);
  const telling = tellingOf(streams);
  const told = notifications(config.notify, telling.document, observe, process.env);
  const ledgers = new Map(streams.map(({ config: { name }, ledgerStore }) => [name, ledgerStore]));
  // The status first: whoever looks at it when told of a fact sees it with that fact.
  readers.push(telling.observe, pastReader(ledgers, observe, signal), told.observe);

  const server = config.server === false ? undefined : await serveHealth(config.server, telling);
  try {
    const names = streams.map(({ config: { name } }) => name);
    observe({ kind: "worker.started", version: EXPORTER.version, config: resolve(options.config), streams: names });
    const exitCode = await workUntil(streams, config.shutdownGraceMs, observe, signal);
    await within(NOTIFY_AT_END_MS, new AbortController().signal, (limit) => told.end(limit));
    observe({ kind: "worker.stopped", exitCode });
    return exitCode;
  } finally {
    await server?.close();
  }
}

/** Works until `signal` aborts, and then for as long as the grace at most, to finish the windows at hand. */
async function workUntil(
  streams: readonly Stream[],
  graceMs: number,
  observe: Observe,
  signal: AbortSignal,
): Promise<number> {
  const abandon = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const stop = (): void => {
    observe({ kind: "worker.stopping", reason: signal.reason instanceof Error ? signal.reason.message : "" });
    timer = setTimeout(() => abandon.abort(signal.reason), graceMs);
  };
  // A signal that came while all this was made ready has rung already.
  if (signal.aborted) stop();
  else signal.addEventListener("abort", stop, { once: true });
  const scheduled = streams.map(({ pipeline, config: { schedule, reconcile } }) => ({
    pipeline,
    schedule,
    reconcile,
  }));
  try {
    return await work(scheduled, observe, signal, abandon.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }
}
