import { assemble, type Stream } from "../assemble.ts";
import { loadConfig, type Config, type SecretsAre } from "../config/config.ts";
import { ConfigError, UsageError } from "../errors.ts";
import type { Observe } from "../fact.ts";
import { factLog, logger } from "../observe/log.ts";
import { epochMs } from "../time.ts";

/**
 * The configuration at `path`, with only the named streams when any is named.
 * @param secrets `read when used`: for a command that only reads the archive
 * @throws ConfigError, UsageError
 */
export async function loadStreams(
  path: string,
  names: readonly string[] = [],
  secrets: SecretsAre = "required",
): Promise<Config> {
  const config = await loadConfig(path, process.env, secrets);
  const unknown = names.find((name) => !config.streams.some((stream) => stream.name === name));
  if (unknown !== undefined) {
    const known = config.streams.map(({ name }) => name).join(", ");
    throw new UsageError(`no stream ${JSON.stringify(unknown)} in ${path}; it has: ${known}`);
  }
  return names.length === 0
    ? config
    : { ...config, streams: config.streams.filter(({ name }) => names.includes(name)) };
}

/**
 * The streams of a configuration, by this machine's clock and environment.
 * @param secrets as for `loadStreams`
 * @throws ConfigError
 */
export function assembleNow(config: Config, observe: Observe, secrets: SecretsAre = "required"): Stream[] {
  return assemble(config, { env: process.env, observe, now: epochMs(Date.now()), secrets });
}

/** A log of facts, on stderr unless `output` is given. LOG_LEVEL overrides `level`. @throws ConfigError */
export function logOf(level: string, output?: Parameters<typeof logger>[1]): Observe {
  return factLog(logger(logLevelOf(level), output));
}

const LOG_LEVELS = ["silent", "error", "warn", "info", "debug", "trace"];

/** The log's level: LOG_LEVEL when it is set, else `configured`. @throws ConfigError */
export function logLevelOf(configured: string): string {
  const given = process.env["LOG_LEVEL"];
  if (given === undefined || given === "") return configured;
  if (!LOG_LEVELS.includes(given)) {
    throw new ConfigError(`LOG_LEVEL: found ${JSON.stringify(given)}  (accepted: ${LOG_LEVELS.join(", ")})`);
  }
  return given;
}
