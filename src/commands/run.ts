import { resolve } from "node:path";
import { factLog, logger } from "../log.ts";
import type { Observe } from "../fact.ts";
import { serveHealth } from "../server.ts";
import { after, starting, type Status } from "../status.ts";
import { epochMs } from "../time.ts";
import { EXPORTER } from "../version.ts";
import { work } from "../worker.ts";
import { assembleNow, loadStreams, logLevelOf, type ConfigOptions } from "./streams.ts";

/** The worker, until `signal` aborts. Resolves with the exit code. */
export async function runCommand(options: ConfigOptions, signal: AbortSignal): Promise<number> {
  const config = await loadStreams(options);
  const log = factLog(logger(logLevelOf(config.log.level)));
  const names = config.streams.map(({ name }) => name);
  let status: Status = starting(names);
  const observe: Observe = (fact) => {
    log(fact);
    status = after(status, fact, epochMs(Date.now()));
  };
  const streams = assembleNow(config, observe);
  const server = config.server === false ? undefined : await serveHealth(config.server, () => status);
  try {
    observe({ kind: "worker.started", version: EXPORTER.version, config: resolve(options.config), streams: names });
    signal.addEventListener(
      "abort",
      () => observe({ kind: "worker.stopping", reason: signal.reason instanceof Error ? signal.reason.message : "" }),
      { once: true },
    );
    const scheduled = streams.map(({ pipeline, config: { schedule, reconcile } }) => ({
      pipeline,
      schedule,
      reconcile,
    }));
    const exitCode = await work(scheduled, observe, signal);
    observe({ kind: "worker.stopped", exitCode });
    return exitCode;
  } finally {
    await server?.close();
  }
}
