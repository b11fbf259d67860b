import { assemble, type Stream } from "../assemble.ts";
import { loadConfig, type Config, type SecretsAre } from "../config/config.ts";
import { ConfigError, UsageError } from "../errors.ts";
import type { Observe } from "../fact.ts";
import { epochMs, parseInstant, type Span } from "../time.ts";

/** What every command that reads the configuration takes. */
export interface ConfigOptions {
  /** The configuration's path. */
  readonly config: string;
}

/** The configuration, with only the named streams where any is named. */
export async function loadStreams(
  { config: path }: ConfigOptions,
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

/** The log's level: LOG_LEVEL, else as configured. */
export function logLevelOf(configured: string): string {
  const asked = process.env["LOG_LEVEL"];
  if (asked === undefined || asked === "") return configured;
  if (!LOG_LEVELS.includes(asked)) {
    throw new ConfigError(`LOG_LEVEL: found ${JSON.stringify(asked)}  (accepted: ${LOG_LEVELS.join(", ")})`);
  }
  return asked;
}

const LOG_LEVELS = ["silent", "error", "warn", "info", "debug", "trace"];

export function assembleNow(config: Config, observe: Observe): Stream[] {
  return assemble(config, { env: process.env, observe, now: epochMs(Date.now()) });
}

/** The span of `--from` and `--to`. @throws UsageError */
export function spanOf({ from, to }: { readonly from: string; readonly to: string }): Span {
  const instants = { from: parseInstant(from), to: parseInstant(to) };
  if (instants.from === undefined) throw new UsageError(`--from ${from}: not an instant, such as 2026-11-01T00:00:00Z`);
  if (instants.to === undefined) throw new UsageError(`--to ${to}: not an instant, such as 2026-11-02T00:00:00Z`);
  if (instants.to <= instants.from) throw new UsageError("--to must be later than --from");
  return { from: instants.from, to: instants.to };
}
