import { resolve } from "node:path";
import { runWorker } from "./run-worker.ts";
import { loadStreams, type ConfigOptions } from "./streams.ts";

/** Runs the worker of the configuration until `signal` aborts. Resolves with the exit code. */
export async function runCommand(options: ConfigOptions, signal: AbortSignal): Promise<number> {
  const config = await loadStreams(options);
  return runWorker({ config, configPath: resolve(options.config), env: process.env }, signal);
}
