import { assemble, type Stream } from "../assemble.ts";
import type { Config } from "../config/config.ts";
import type { Observe } from "../fact.ts";
import { withTimeLimit } from "../http/time-limit.ts";
import { notifications } from "../notify/notify.ts";
import { factLog, logger } from "../observe/log.ts";
import { metrics } from "../observe/metrics.ts";
import { assets, renderPage } from "../server/page/page.ts";
import { serveHealth, type ServerContent } from "../server/server.ts";
import { ledgerHistory } from "../status/ledger-history.ts";
import { statusAt } from "../status/status-at.ts";
import type { StatusDocument } from "../status/status-document.ts";
import { applyFact, initialStatus } from "../status/status.ts";
import { epochMs, SECOND_MS } from "../time.ts";
import { EXPORTER } from "../version.ts";
import { nextRun } from "../worker/schedule.ts";
import { work } from "../worker/worker.ts";
import { describeStream } from "./describe.ts";
import { logLevelOf } from "./streams.ts";

/** Notifications that are still waiting at the end delay the exit by this at most. */
const NOTIFY_AT_END_MS = 3 * SECOND_MS;

export interface WorkerOptions {
  readonly config: Config;
  /** Where the configuration was read; it goes into the log. */
  readonly configPath: string;
  /** Where proxies and credentials are looked up. */
  readonly env: NodeJS.ProcessEnv;
  /**
   * Called before the first run, when the server listens; `port` is undefined when there is no server. The observer that it
   * returns gets every fact after the status has taken it in.
   */
  readonly onReady?: (port: number | undefined) => Observe;
}

/**
 * Runs the worker with its log, status, metrics, notifications and server until `signal` aborts. Resolves with the exit code.
 * @throws ConfigError when the server cannot listen, or a file that the configuration names cannot be read
 */
export async function runWorker(options: WorkerOptions, signal: AbortSignal): Promise<number> {
  const { config, configPath, env, onReady } = options;
  const observers = [factLog(logger(logLevelOf(config.log.level)))];
  // Streams report their facts to observers that have to know the streams first.
  const observe: Observe = (fact) => observers.forEach((observer) => observer(fact));
  const streams = assemble(config, { env, observe, now: epochMs(Date.now()) });
  const content = contentOf(streams);
  const notifier = notifications(config.notify, content.document, observe, env);
  const ledgers = new Map(streams.map(({ config: { name }, ledgerStore }) => [name, ledgerStore]));
  // The status comes first: an observer that reads it when it gets a fact sees the status with that fact.
  observers.push(content.observe, ledgerHistory(ledgers, observe, signal), notifier.observe);

  const server = config.server === false ? undefined : await serveHealth(config.server, content);
  try {
    if (onReady !== undefined) observers.push(onReady(server?.port));
    const names = streams.map(({ config: { name } }) => name);
    observe({ kind: "worker.started", version: EXPORTER.version, config: configPath, streams: names });
    const exitCode = await workUntil(streams, config.shutdownGraceMs, observe, signal);
    await withTimeLimit(NOTIFY_AT_END_MS, (limit) => notifier.end(limit));
    observe({ kind: "worker.stopped", exitCode });
    return exitCode;
  } finally {
    await server?.close();
  }
}

/** What the server shows of these streams. It is up to date with the facts that `observe` gets. */
function contentOf(streams: readonly Stream[]): ServerContent & { readonly observe: Observe } {
  let status = initialStatus(EXPORTER.version, streams.map(describeStream));
  const document = (selected?: string): StatusDocument => statusAt(status, epochMs(Date.now()), nextRun, selected);
  const counters = metrics(
    streams.map(({ config: { name } }) => name),
    EXPORTER.version,
    () => document(),
  );
  return {
    observe(fact) {
      counters.observe(fact);
      status = applyFact(status, fact, epochMs(Date.now()));
    },
    document: () => document(),
    metrics: counters,
    // All streams share the room of one document; the one that is selected gets a document with all its details.
    page: {
      render: (all, selected) => renderPage(selected === undefined ? all : document(selected), selected),
      assets,
    },
  };
}

/** Works until `signal` aborts, then for the grace period at most, to finish the current windows. */
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
  // A signal that aborted during the preparations emits no further event.
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
